"""What stands around a message. Storage queues have no headers, so there the message carries its own.

On a storage queue, one JSON object: `{"id", "type", "version", "traceparent", "attempt", "body"}` (`pack`, `unpack`).
On Service Bus each value has the place that Service Bus has for it (`to_bus`, `of_bus`): message id, subject, and the
application properties `version`, `traceparent` (once more as `Diagnostic-Id`, which Azure's SDKs read) and `attempt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A message with its headers."""

    id: str
    """Equal for every copy of one message, however often it is sent or delivered."""
    type: str
    """The name of the body's Struct."""
    version: Annotated[int, Meta(ge=1)]
    """The Struct's `VERSION`; another one means that sender and receiver no longer agree on its fields."""
    traceparent: str
    """W3C Trace Context of the invocation that sent it; its work goes on in the same trace."""
    attempt: Annotated[int, Meta(ge=1)]
    """Sends of this work so far: above 1 when a handler put the same work into a queue again."""
    body: msgspec.Raw
    """The Struct's JSON."""


KEYS = frozenset(Envelope.__struct_fields__)


def version_of(kind: type[msgspec.Struct]) -> int:
    """The version of a message Struct: its `VERSION: ClassVar[int]`, 1 without one."""
    return int(getattr(kind, "VERSION", 1))


def pack(message: msgspec.Struct, *, id: str, traceparent: str, attempt: int = 1) -> bytes:  # noqa: A002 - the wire's word
    """The message in its envelope, as it goes onto a queue."""
    kind = type(message)
    return msgspec.json.encode(
        Envelope(
            id=id, type=kind.__name__, version=version_of(kind), traceparent=traceparent, attempt=attempt,
            body=msgspec.Raw(msgspec.json.encode(message)),
        )
    )  # fmt: skip


def unpack(body: bytes) -> Envelope | None:
    """The envelope, or None: `body` has none, the whole of it is the message.

    Raises msgspec.ValidationError for an object that has an envelope's keys and other values.
    """
    try:
        return msgspec.json.decode(body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if not _has_keys(body):
            return None
        raise


def _has_keys(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw]).keys() >= KEYS
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


JSON = "application/json"
_OURS = ("version", "traceparent", "attempt")
_AZURE_TRACE = "Diagnostic-Id"
"""The property of Azure's SDKs with a W3C traceparent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BusMessage:
    """A message of Service Bus without its SDK: the body and what is said beside it; "" where nothing is."""

    body: bytes
    id: str = ""
    """`message-id`; what duplicate detection goes by."""
    subject: str = ""
    content_type: str = ""
    correlation_id: str = ""
    session_id: str = ""
    """Messages of one are handed out in order, one receiver at a time."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Application properties: filters of subscriptions go by them."""
    deliveries: int = 1
    """This one included; the broker counts, senders leave it."""

    @property
    def parent(self) -> str | None:
        """The sender's traceparent, whoever it was."""
        found = self.properties.get("traceparent") or self.properties.get(_AZURE_TRACE)
        return found if isinstance(found, str) else None


def to_bus(
    message: msgspec.Struct,
    *,
    id: str,  # noqa: A002 - the wire's word
    traceparent: str,
    attempt: int = 1,
    session_id: str = "",
    properties: Mapping[str, Any] | None = None,
) -> BusMessage:
    """The message with its headers, as it goes onto a queue or topic; `properties`: more of them, for filters."""
    kind = type(message)
    ours = {"version": version_of(kind), "traceparent": traceparent, _AZURE_TRACE: traceparent, "attempt": attempt}
    return BusMessage(
        body=msgspec.json.encode(message), id=id, subject=kind.__name__, content_type=JSON, session_id=session_id,
        properties={**(properties or {}), **ours},
    )  # fmt: skip


def of_bus(message: BusMessage) -> Envelope | None:
    """The envelope, or None: some of our headers are not there, it is somebody else's message and all body.

    Raises msgspec.ValidationError for a message that has our headers with other values.
    """
    if not all(name in message.properties for name in _OURS):
        return None
    headers = {name: message.properties[name] for name in _OURS}
    return msgspec.convert(
        {**headers, "id": message.id, "type": message.subject, "body": msgspec.Raw(message.body)}, type=Envelope
    )
