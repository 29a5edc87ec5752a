"""What may go wrong in one call, by chance; a seed gives the same weather each time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


@dataclass
class Weather:
    """Chances, each of one call."""

    seed: int = 0
    kill: float = 0.0
    double: float = 0.0
    """A message that is delivered twice."""
    throttled: float = 0.0
    lost_answer: float = 0.0
    """The call was served; its answer never came."""
    broken: float = 0.0
    """A server's own fault; the cursor may have moved."""
    expired: float = 0.0
    repeats: float = 0.0
    """A page served twice."""
    edited: float = 0.0
    """Somebody changes a record between our reading and writing it."""
    removed: float = 0.0
    day_ends_after: int = 0
    """Requests a day; 0: no limit."""
    overlap: float = 0.0
    """Another message is delivered in the middle of a call …"""
    turn_lost: float = 0.0
    """… and the connections that hold turns end first."""
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.calm = False
        self.meanwhile: Callable[[], None] | None = None
        """Delivers another message."""

    def strikes(self, chance: float) -> bool:
        return not self.calm and self.random.random() < chance

    @contextmanager
    def maybe_last(self, *, overlaps: bool = True) -> Iterator[None]:
        """A call that the process may not live to make, or to see answered."""
        if self.strikes(self.kill / 2):
            raise Killed
        if overlaps and self.meanwhile and self.strikes(self.overlap):
            self.meanwhile()
        yield
        if self.strikes(self.kill / 2):
            raise Killed
