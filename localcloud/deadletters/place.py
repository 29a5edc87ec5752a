"""What every kind of dead-letter place can do, and the pace and progress of doing it."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from localcloud.deadletters.entry import Entry, Kind

Tell = Callable[[int], None]
"""Told how many more are done."""


class DeadLetterError(Exception):
    """A place could not do what was asked; the message says which, and why."""


class Place(Protocol):
    """A dead-letter place of one system."""

    name: str
    """For people: the queue, the container."""
    kinds: Sequence[Kind]
    """Of its entries."""

    def entries(self) -> list[Entry]:
        """All that can be seen, the oldest first."""

    def hidden(self) -> int:
        """How many more there are that cannot be seen now: in somebody's hands."""

    def recover(self) -> None:
        """Clears up after a command that was killed."""

    def redrive(self, entries: Sequence[Entry], pace: "Pace", tell: Tell) -> None:
        """Sends them where they came from. Interrupted, it can be asked again: nothing is lost or doubled."""

    def drop(self, entries: Sequence[Entry], pace: "Pace", tell: Tell) -> None:
        """Removes them for good."""


class Pace:
    """At most `rate` a second; 0: as fast as it goes."""

    def __init__(self, rate: float = 0) -> None:
        self.rate = rate
        self._next = 0.0

    def batch(self, most: int) -> int:
        """How many to do at once so that the pace is kept evenly."""
        return max(1, min(most, int(self.rate / 10))) if self.rate else most

    def wait(self, count: int = 1) -> None:
        """Waits until `count` more may go."""
        if not self.rate:
            return
        now = time.monotonic()
        if self._next > now:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + count / self.rate
