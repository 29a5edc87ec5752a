"""No more requests in any second than Alma allows, over all instances of all apps.

The database holds when the last requests left, as many as the limit allows in a second. Whoever sends takes the next
number and waits until a second after the request that left so many before it: then no second has more of them, whatever
their distances. One that leaves late says so before it leaves; the one that counts on it waits as much longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from core.alma_analytics.ports import Database
from core.alma_analytics.work import SQL

LATE_S = 0.008
"""So late, by what this process can know, a request leaves without a word …"""
SECOND_S = 1.04
"""… as the second is that much longer: for it, and for what the way to the server adds to one and not to another."""
CLOSE = 0.8
"""Of the even distance: what was left free when nobody was there may be made up for, but never in one burst."""
TELLS = 4
"""So often a late one tries to say when it leaves; then it takes another number."""


class Turn(NamedTuple):
    """A number, and the moments of this process's clock between which its own lies."""

    number: int
    earliest: float
    latest: float


class Pace:
    """Waits for its turn. Thread-safe."""

    def __init__(
        self,
        database: Database,
        *,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`per_second`: the limit that Alma sets; below 1, one request in so much longer a time."""
        self._database = database
        self._most = max(1, int(per_second))
        self._second = SECOND_S * max(1, self._most / per_second)
        self._gap = CLOSE / per_second
        self._clock, self._sleep = clock, sleep

    def __call__(self) -> None:
        """Returns at the moment at which a request may leave. Raises Transient when the database does not answer."""
        while True:
            turn = self._reserve()
            left = turn.latest - self._clock()
            if left > 0:
                self._sleep(left)
            if self._leaves(turn):
                return

    def _reserve(self) -> Turn:
        asked = self._clock()
        with self._database.transaction() as tx:
            values = {"gap": self._gap, "most": self._most, "second": self._second}
            row = tx.execute(SQL["reserve"], values).fetchone()
            answered = self._clock()
        assert row is not None  # noqa: S101 - a migration puts it
        # The database looked at its clock somewhere in between.
        return Turn(row["number"], asked + row["wait_s"], answered + row["wait_s"])

    def _leaves(self, turn: Turn) -> bool:
        """Whether the request may leave now: in time, or late and said so."""
        moment = turn.earliest
        for _ in range(TELLS):
            if self._clock() - moment <= LATE_S:
                return True
            moment = self._clock()
            with self._database.transaction() as tx:
                if tx.execute(SQL["leave_late"], {"number": turn.number, "most": self._most}).fetchone() is None:
                    return False
        return self._clock() - moment <= LATE_S
