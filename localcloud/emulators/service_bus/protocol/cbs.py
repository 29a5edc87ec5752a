"""Claims-based security: tokens put to `$cbs` before the links that need them. Source: the AMQP protocol guide."""

from typing import Any

from localcloud.emulators.service_bus.codec.types import Int
from localcloud.emulators.service_bus.protocol.access import Access
from localcloud.emulators.service_bus.protocol.errors import Refused


def answer(access: Access, asked: dict[Any, Any], token: Any) -> tuple[dict[str, Any], Any]:
    """Status and body of the answer: 202 accepted, 401 refused and why, 400 and 501 for what is no put-token."""
    operation, kind, audience = asked.get("operation"), asked.get("type"), asked.get("name")
    if operation != "put-token":
        return _status(501, f"the operation is put-token, got {operation!r}"), None
    if not isinstance(audience, str) or not isinstance(kind, str) or not isinstance(token, str):
        return _status(
            400, "a put-token has a type, the audience as name, and the token as its body, all strings"
        ), None
    try:
        access.put(kind, audience, token)
    except Refused as error:
        return _status(401, str(error)), None
    return _status(202, "Accepted"), None


def _status(code: int, text: str) -> dict[str, Any]:
    return {"status-code": Int(code), "status-description": text}
