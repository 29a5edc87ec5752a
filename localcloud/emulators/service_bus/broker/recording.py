"""The broker's changes as records of a log, and back.

A record is a list of events, all of one operation: a batch, or a message that moves, stands or falls as a whole.
Values of application properties keep their kind (uuid, time, decimal); the widths of whole numbers are in the
message's own bytes.
"""

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from localcloud.emulators.service_bus.broker.model import Envelope, Message, State

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.nodes import Node

PUT, UPDATE, REMOVE, SEEN, STATE, NODE, GONE = range(1, 8)
_UUID, _DECIMAL, _TIME = range(1, 4)
_PLAIN: Final = frozenset((str, int, float, bool, bytes, type(None)))


class Log(Protocol):
    """What is needed of a journal."""

    def append(self, record: bytes) -> None:
        """Keep a record."""

    def flush(self) -> None:
        """Hand everything to the operating system."""

    def durable(self) -> asyncio.Future[None] | None:
        """Resolves when that has happened."""


def plain(value: Any) -> Any:
    """A value that msgpack can hold, the kind kept."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return _extension(value)


def _extension(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return msgspec.msgpack.Ext(_UUID, value.bytes)
    if isinstance(value, Decimal):
        return msgspec.msgpack.Ext(_DECIMAL, str(value).encode())
    if isinstance(value, datetime):
        return msgspec.msgpack.Ext(_TIME, value.isoformat().encode())
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)  # a codec's own kind of number or text
    return bytes(value) if isinstance(value, (bytearray, memoryview, bytes)) else str(value)


def _unplain(code: int, data: memoryview) -> Any:
    if code == _UUID:
        return uuid.UUID(bytes=bytes(data))
    text = bytes(data).decode()
    return Decimal(text) if code == _DECIMAL else datetime.fromisoformat(text)


# The codec's own kinds of text and number (a content type is a symbol) can stand in any field.
_encode: Final = msgspec.msgpack.Encoder(enc_hook=_extension).encode
_decode: Final = msgspec.msgpack.Decoder(ext_hook=_unplain).decode


def encode(events: list[Any]) -> bytes:
    """One record."""
    return _encode(events)


def decode(record: bytes) -> list[list[Any]]:
    """Its events."""
    events: list[list[Any]] = _decode(record)
    return events


def put_event(backlog: int, m: Message) -> list[Any]:
    """A message, whole."""
    return [
        PUT, backlog, m.sequence, m.enqueued, m.delivery_count, int(m.state), m.expires, m.dead_letter_reason,
        m.dead_letter_description, m.dead_letter_source, m.enqueued_sequence, m.hops,
        envelope_row(m.envelope),
    ]  # fmt: skip


def envelope_row(e: Envelope) -> list[Any]:
    """In the order of its fields."""
    identity, correlation = e.message_id, e.correlation_id
    return [
        e.raw, identity if type(identity) is str else plain(identity), e.session_id, e.subject, e.to, e.reply_to,
        e.reply_to_session_id, correlation if type(correlation) is str else plain(correlation), e.content_type,
        plain(e.application_properties) if e.application_properties else {}, e.ttl, e.partition_key, e.scheduled,
        plain(e.annotations) if e.annotations else {}, e.durable, e.priority, e.size, e.rewritten,
    ]  # fmt: skip


def message_of(event: list[Any]) -> Message:
    """From a put event."""
    _, _, sequence, enqueued, count, state, expires, reason, description, source, first, hops, row = event
    return Message(
        sequence, enqueued, Envelope(*row), count, State(state), expires, reason, description, source, first, None, hops
    )  # fmt: skip


class Recorder:
    """Notes changes in a log; see `kernel.Record`."""

    def __init__(self, log: Log, node_row: Callable[["Node"], list[Any]]) -> None:
        self._log = log
        self._node_row = node_row
        self._events: list[list[Any]] = []

    def put(self, backlog: int, message: Message) -> None:
        """A message is there."""
        self._events.append(put_event(backlog, message))

    def update(self, backlog: int, message: Message, *, rewritten: bool = False) -> None:
        """Its delivery count, state or envelope changed."""
        row = envelope_row(message.envelope) if rewritten else None
        self._events.append([UPDATE, backlog, message.sequence, message.delivery_count, int(message.state), row])

    def remove(self, backlog: int, sequence: int) -> None:
        """It is gone."""
        self._events.append([REMOVE, backlog, sequence])

    def seen(self, node: int, message_id: Any, when: float) -> None:
        """An id for duplicate detection."""
        self._events.append([SEEN, node, plain(message_id), when])

    def session_state(self, backlog: int, session: str, state: bytes | None, when: float) -> None:
        """A session's state."""
        self._events.append([STATE, backlog, session, state, when])

    def node(self, node: "Node") -> None:
        """An entity as it is."""
        self._events.append(self._node_row(node))

    def node_gone(self, node: "Node") -> None:
        """No more."""
        self._events.append([GONE, node.number])

    def commit(self) -> None:
        """End of one change."""
        if self._events:
            self._log.append(_encode(self._events))
            self._events = []

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._log.flush()

    def durable(self) -> asyncio.Future[None] | None:
        """Resolves when that has happened."""
        return self._log.durable()


class NoRecord:
    """Memory only."""

    def put(self, backlog: int, message: Message) -> None:
        """Nothing is kept."""

    def update(self, backlog: int, message: Message, *, rewritten: bool = False) -> None:
        """Nothing is kept."""

    def remove(self, backlog: int, sequence: int) -> None:
        """Nothing is kept."""

    def seen(self, node: int, message_id: Any, when: float) -> None:
        """Nothing is kept."""

    def session_state(self, backlog: int, session: str, state: bytes | None, when: float) -> None:
        """Nothing is kept."""

    def node(self, node: "Node") -> None:
        """Nothing is kept."""

    def node_gone(self, node: "Node") -> None:
        """Nothing is kept."""

    def commit(self) -> None:
        """Nothing is kept."""

    def flush(self) -> None:
        """Nothing is kept."""

    def durable(self) -> asyncio.Future[None] | None:
        """All that can be said is said."""
        return None
