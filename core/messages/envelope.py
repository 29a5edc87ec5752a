"""What stands around a message on a storage queue: queues have no headers, so the message carries its own.

On the wire, one JSON object: `{"id", "type", "version", "traceparent", "attempt", "body"}`.
"""

from __future__ import annotations

from typing import Annotated

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
