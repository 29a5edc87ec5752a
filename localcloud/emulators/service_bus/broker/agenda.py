"""Who wants to be looked at when. Time is the broker's injected clock: nothing here sleeps."""

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Protocol


class Dated(Protocol):
    """Something with work that falls due."""

    due: float
    """When it is on the agenda; infinity: it is not."""

    def run_due(self, now: float) -> float:
        """Do what is due and return when there will be more (infinity: never)."""


class Agenda:
    """One entry for each dated thing, at its earliest time; if that work was done meanwhile, it is simply asked
    anew.
    """

    def __init__(self, on_earlier: Callable[[float], None] = lambda _when: None) -> None:
        """`on_earlier` hears of every new earliest time (to set the event loop's timer)."""
        self._heap: list[tuple[float, int, Dated]] = []
        self._entries = 0
        self.on_earlier = on_earlier

    @property
    def next(self) -> float:
        """When something may be due."""
        return self._heap[0][0] if self._heap else math.inf

    def want(self, dated: Dated, when: float) -> None:
        """Look at it at that time, or earlier if that was wanted before."""
        if when >= dated.due:
            return
        dated.due = when
        self._entries += 1
        earliest = when < self.next
        heappush(self._heap, (when, self._entries, dated))
        if earliest:
            self.on_earlier(when)

    def run(self, now: float) -> None:
        """Everything that is due."""
        while self._heap and self._heap[0][0] <= now:
            when, _, dated = heappop(self._heap)
            if dated.due == when:
                dated.due = math.inf
                self.want(dated, dated.run_due(now))
        if self._heap:
            self.on_earlier(self.next)
