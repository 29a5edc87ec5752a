"""Who waits for messages of a queue is woken when one becomes visible, instead of asking all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_S = 3600.0
"""A message hidden for longer is found by the next look."""


class Bell:
    """Rung by the door, heard by hosts; all on one loop. A ring that nobody waits for is forgotten."""

    def __init__(self) -> None:
        self._ears: dict[str, set[asyncio.Event]] = {}
        self._later: set[tuple[str, int]] = set()

    @contextmanager
    def ear(self, queue: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `queue` ("account/name") may have a message; whoever hears clears it."""
        event = asyncio.Event()
        self._ears.setdefault(queue, set()).add(event)
        try:
            yield event
        finally:
            ears = self._ears[queue]
            ears.discard(event)
            if not ears:
                del self._ears[queue]

    def ring(self, queue: str, after_s: float = 0) -> None:
        """A message of `queue` is visible now, or will be; rings for the same second are one."""
        if after_s <= 0:
            self._ring(queue)
        elif after_s <= LONGEST_S:
            loop = asyncio.get_running_loop()
            second = int(loop.time() + after_s) + 1
            if (queue, second) not in self._later:
                self._later.add((queue, second))
                loop.call_at(second, self._due, queue, second)

    def _due(self, queue: str, second: int) -> None:
        self._later.discard((queue, second))
        self._ring(queue)

    def _ring(self, queue: str) -> None:
        for event in self._ears.get(queue, ()):
            event.set()
