"""No more requests in any second than Alma allows, over all instances of all apps.

The database holds the moment at which the next request may leave; whoever sends takes a moment and waits for it. The
gap is a little longer than the limit's, so that requests that arrive a little late or early still keep the limit in
every second of the server's own clock. One that would leave late gives its moment up and takes another.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from core.alma_analytics.ports import Database
from core.alma_analytics.work import SQL

SHARE = 0.965
"""Of the limit: at 25 a second, a request may be 36 ms off and no second has 26."""
LATE_S = 0.008


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
        """`per_second`: the limit that Alma sets."""
        self._database, self._gap = database, 1 / (per_second * SHARE)
        self._clock, self._sleep = clock, sleep

    def __call__(self) -> None:
        """Returns at the moment at which a request may leave. Raises Transient when the database does not answer."""
        while True:
            asked = self._clock()
            with self._database.transaction() as tx:
                row = tx.execute(SQL["reserve"], {"gap": self._gap}).fetchone()
            assert row is not None  # noqa: S101 - a migration puts it
            # From when it was asked: the moment may come a little early then, never late; both ends of the gap alike.
            moment = self._clock() + row["wait_s"]
            if moment > self._clock():
                self._sleep(moment - self._clock())
            if self._clock() - max(moment, asked) <= LATE_S:
                return
