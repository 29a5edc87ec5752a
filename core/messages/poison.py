"""A message that will never be handled, as it lies in a `-poison` queue: with its reason, and itself unchanged.

The Functions host's own poison messages are the bare message, without any of this.
"""

from __future__ import annotations

import msgspec

from core.messages.envelope import pack, unpack


class Poison(msgspec.Struct, frozen=True, kw_only=True):
    """Travels in an envelope (type `Poison`) whose id, traceparent and attempt are those of the message."""

    reason: str
    function: str
    time: str
    """When it was put aside (RFC 3339)."""
    body: str
    """The message as it stood in its queue, to the character; a redrive puts this back."""


def wrap(poison: Poison, *, id: str, traceparent: str, attempt: int) -> bytes:  # noqa: A002 - the wire's word
    """As it goes onto the poison queue."""
    return pack(poison, id=id, traceparent=traceparent, attempt=attempt)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a poison queue, understood."""

    body: str
    """What a redrive puts back."""
    poison: Poison | None = None
    """None: the host put it there."""
    attempt: int = 0
    traceparent: str = ""


def find(content: str) -> Found:
    """Any message of a poison queue. Never fails: what it does not know is the message itself."""
    try:
        envelope = unpack(content.encode())
        if envelope is not None and envelope.type == Poison.__name__:
            poison = msgspec.json.decode(envelope.body, type=Poison)
            return Found(body=poison.body, poison=poison, attempt=envelope.attempt, traceparent=envelope.traceparent)
    except (msgspec.ValidationError, UnicodeEncodeError):
        pass
    return Found(body=content)
