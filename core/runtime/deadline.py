"""How long an invocation may still work. Monotonic: a clock set back must not lengthen a run."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """Counts from its construction; every figure is in seconds."""

    def __init__(self, limit_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit_s`: the platform's time limit for this invocation."""
        self.limit_s = limit_s
        self.clock = clock
        self.started = clock()

    def elapsed(self) -> float:
        """Seconds since the invocation began."""
        return self.clock() - self.started

    def left(self, within_s: float | None = None) -> float:
        """Seconds until `within_s` after the beginning (default: the limit); never below zero."""
        return max(0.0, (self.limit_s if within_s is None else min(within_s, self.limit_s)) - self.elapsed())

    def passed(self, within_s: float | None = None) -> bool:
        """Whether that moment is over."""
        return self.left(within_s) <= 0
