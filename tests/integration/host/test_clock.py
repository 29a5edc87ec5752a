"""A machine's clock jumps: a laptop that slept, a time service that corrects. Timers follow it, in both directions."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from components.workers.ncrontab import parse
from localcloud.host.timers import Timer
from tests.integration.host.waiting import until


class Ticks:
    """A timer of one second on a clock that the test moves."""

    def __init__(self, note: Path) -> None:
        self.ahead_s, self.count = 0.0, 0
        self.timer = Timer(schedule=parse("* * * * * *"), note=note, run=self._tick, clock=self._now)

    def _now(self) -> float:
        return time.time() + self.ahead_s

    async def _tick(self, _data: str) -> None:
        self.count += 1


async def test_a_timer_goes_on_when_the_clock_jumps(tmp_path: Path) -> None:
    ticks = Ticks(tmp_path / "note.json")
    ticks.ahead_s = 3 * 3600
    loop = asyncio.create_task(ticks.timer.loop())
    try:
        await until(lambda: ticks.count >= 1)
        for jump in (0.0, 48 * 3600.0, -3600.0):  # back to now, two days ahead, back before the beginning
            ticks.ahead_s, before = jump, ticks.count
            await until(lambda before=before: ticks.count > before, limit_s=10)  # type: ignore[misc]
            assert ticks.count <= before + 2, "a moment that was skipped runs once, not once for each second"
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
