"""A message out of its envelope, whatever queue it came from: decoded, or with the reason why it never will be."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from core.messages.envelope import BusMessage, Envelope, of_bus, unpack, version_of
from core.runtime.decode import Undecodable, decode, excerpt
from core.runtime.outcome import Dead

Message = bytes | BusMessage | msgspec.Struct
"""A storage queue's message, Service Bus', or what a trigger without messages says (a timer's tick)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """`value` is Dead when the message cannot be handled."""

    message: Message
    value: msgspec.Struct | Dead
    envelope: Envelope | None = None

    @property
    def id(self) -> str:
        """The envelope's id, or the one that the message has on the bus; "" without either."""
        if self.envelope:
            return self.envelope.id
        return self.message.id if isinstance(self.message, BusMessage) else ""

    @property
    def parent(self) -> str | None:
        """The sender's traceparent."""
        if self.envelope:
            return self.envelope.traceparent
        return self.message.parent if isinstance(self.message, BusMessage) else None

    def attempt(self, delivery: int) -> int:
        """Sends and deliveries together; `delivery`: as the trigger counts, where the message does not know."""
        deliveries = self.message.deliveries if isinstance(self.message, BusMessage) else delivery
        return deliveries + (self.envelope.attempt - 1 if self.envelope else 0)


def open_message(message: Message, kind: type[msgspec.Struct], function: str) -> Opened:
    """Takes a message out of its envelope and decodes it."""
    if isinstance(message, msgspec.Struct):
        return Opened(message=message, value=message)
    body, envelope = message if isinstance(message, bytes) else message.body, None
    try:
        envelope = unpack(message) if isinstance(message, bytes) else of_bus(message)
        if envelope is None:
            return Opened(message=message, value=decode(body, kind))
        _check(envelope, kind, function)
        return Opened(message=message, value=decode(bytes(envelope.body), kind), envelope=envelope)
    except msgspec.ValidationError as error:
        what = "body" if isinstance(message, bytes) else "headers"
        return Opened(message=message, value=Dead(f"{what} must be an envelope: {error}; got {excerpt(body)}"))
    except Undecodable as error:
        return Opened(message=message, value=Dead(str(error)), envelope=envelope)


def _check(envelope: Envelope, kind: type[msgspec.Struct], function: str) -> None:
    wanted, version = kind.__name__, version_of(kind)
    if (envelope.type, envelope.version) != (wanted, version):
        raise Undecodable(
            f"message {envelope.id}: must be a {wanted} of version {version}, got a {envelope.type} of version "
            f"{envelope.version}; send {wanted} to the queue of {function}, or deploy sender and receiver together"
        )
