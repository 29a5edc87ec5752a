"""SASL as Service Bus has it: who comes anonymously (or by MSSBCBS, EXTERNAL) shows tokens to `$cbs` afterwards; PLAIN
carries a shared access key's name and value, and needs no token. Documented: PLAIN and ANONYMOUS; MSSBCBS is what older
clients of Microsoft's send.
"""

from typing import Any

from localcloud.emulators.service_bus.codec.types import Array, Symbol, UByte
from localcloud.emulators.service_bus.protocol.access import Access
from localcloud.emulators.service_bus.protocol.errors import Refused

OK, AUTH_FAILED = UByte(0), UByte(1)
_BY_TOKEN = {"MSSBCBS", "ANONYMOUS", "EXTERNAL"}
MECHANISMS = Array([Symbol(name) for name in ("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL")])


def accepts(access: Access, fields: list[Any]) -> bool:
    """Does a sasl-init (mechanism, initial-response, hostname) get through?"""
    mechanism, response = fields[:2]
    if mechanism in _BY_TOKEN:
        return True
    if mechanism != "PLAIN" or not isinstance(response, bytes) or response.count(b"\x00") != 2:
        return False
    _, name, secret = response.split(b"\x00")
    try:
        access.plain(name.decode(), secret.decode())
    except (Refused, UnicodeDecodeError):
        return False
    return True
