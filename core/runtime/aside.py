"""What becomes of a message that a step gives up: the place for it differs from trigger to trigger, this does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.messages.envelope import BusMessage


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenUp:
    """A message that will never be handled."""

    message: bytes | BusMessage
    """As the trigger handed it over."""
    reason: str
    function: str
    id: str
    """Of its envelope; without one, of the invocation."""
    traceparent: str
    attempt: int


class Aside(Protocol):
    """The place for messages that will never be handled."""

    async def keep(self, gone: GivenUp) -> None:
        """Returns when it is safe there. Whatever it raises, the message stays where it is and comes again."""


TEXT_MAX = 4096
"""Characters of a reason and of a description: Service Bus takes no longer ones."""


def said(gone: GivenUp) -> tuple[str, str]:
    """Reason and description on Service Bus; the same wherever the message lies."""
    return gone.reason[:TEXT_MAX], f"given up by {gone.function} at attempt {gone.attempt}"[:TEXT_MAX]
