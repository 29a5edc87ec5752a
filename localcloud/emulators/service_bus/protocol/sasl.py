"""SASL as Service Bus has it: who comes anonymously (or by MSSBCBS, EXTERNAL) shows tokens to `$cbs` afterwards; PLAIN
carries a shared access key's name and value, and needs no token. Documented: PLAIN and ANONYMOUS; MSSBCBS is what older
clients of Microsoft's send.
"""

from typing import Any

from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.codec.types import Array, Symbol, UByte
from localcloud.emulators.service_bus.protocol.access import Access
from localcloud.emulators.service_bus.protocol.errors import Condition, ProtocolError, Refused

OK, AUTH_FAILED = UByte(0), UByte(1)
_BY_TOKEN = {"MSSBCBS", "ANONYMOUS", "EXTERNAL"}
MECHANISMS = Array([Symbol(name) for name in ("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL")])


def read_init(data: bytes, largest: int) -> tuple[list[Any], bytes] | None:
    """The fields of the sasl-init that `data` starts with, and what follows it (the next header already); None while it
    is not whole. Raises ProtocolError, CodecError.
    """
    size = int.from_bytes(data[:4], "big") if len(data) >= 4 else 8
    if not 8 <= size <= largest:
        raise ProtocolError(Condition.FRAMING, f"a frame takes 8 to {largest} bytes, got {size}")
    if len(data) < size:
        return None
    kind, _, start, end = frames.Splitter(largest).feed(data[:size])[0]
    code, fields, _ = frames.read_performative(data[start:end])
    if kind != frames.SASL or code != frames.SASL_INIT:
        raise ProtocolError(Condition.FRAMING, "a sasl-init comes before the connection is opened")
    return fields, data[size:]


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
