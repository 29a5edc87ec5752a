"""Whose turn it is to read and split: few at a time, which bounds memory, and more would only wait for each other's
turn on the processor.

One that waits for bytes does not count once it has waited for a second: connections that hang hold nobody else up. What
such a file has in hand (a batch and an unfinished chunk, about 2 MB) stays in memory.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PATIENCE_S = 1.0


class Turns:
    """At most `count` at a time. Thread-safe; a thread has one turn at most."""

    def __init__(
        self, count: int, *, patience_s: float = _PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._patience_s = patience_s
        self._clock = clock
        self._since: dict[int, float] = {}
        """By thread that has a turn: since when it waits for bytes; infinite: it works."""
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for a turn, and has it."""
        me = threading.get_ident()
        with self._changed:
            while self._working() >= self._count:
                self._changed.wait(self._patience_s)
            self._since[me] = math.inf
        try:
            yield
        finally:
            with self._changed:
                del self._since[me]
                self._changed.notify()

    def read(self, read: Callable[[int], bytes], size: int) -> bytes:
        """`read(size)`, by a thread that has a turn."""
        me = threading.get_ident()
        self._since[me] = self._clock()
        try:
            return read(size)
        finally:
            self._since[me] = math.inf

    def _working(self) -> int:
        limit = self._clock() - self._patience_s
        return sum(since > limit for since in self._since.values())
