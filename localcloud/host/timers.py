"""Timer triggers: one run at a time over all instances; a moment that was missed runs once, marked as past due."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from components.workers.ncrontab import Schedule
from localcloud.emulators.disk import is_full

_NAP_S = 30.0  # longest sleep at a time, so that a clock that jumps is noticed


class Timer:
    """One timer function. `run(past_due)` returns when the invocation is over."""

    def __init__(
        self, *, schedule: Schedule, note: Path, run: Callable[[str], Awaitable[object]], clock: Callable[[], float]
    ) -> None:
        """`note` is the file in which the next moment outlives the host; `run` takes the trigger's JSON."""
        self._schedule = schedule
        self._note = note
        self._run = run
        self._clock = clock
        self.next: datetime | None = None

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    async def loop(self) -> None:
        """Runs until cancelled."""
        due = self._noted()
        while True:
            now = self._now()
            if due is None or due > now:
                due = await self._sleep_until(self._plan(now))
            late = (self._now() - due).total_seconds()
            await self._run(self.request(past_due=late > 1))
            due = self._plan(self._now())

    def request(self, *, past_due: bool) -> str:
        """What the trigger hands to the function, as the platform words it."""
        now = self._now().isoformat()
        following = self._schedule.next(self._now()).isoformat()
        status = {"Last": now, "LastUpdated": now, "Next": following}
        return json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due})

    def _plan(self, after: datetime) -> datetime:
        self.next = self._schedule.next(after)
        try:
            self._note.write_text(json.dumps({"schedule": self._schedule.text, "next": self.next.isoformat()}), "utf-8")
        except OSError as error:
            if not is_full(error):
                raise
            # Only a restart needs the note; the timer itself goes on.
        return self.next

    def _noted(self) -> datetime | None:
        """The moment an earlier host was waiting for, if the schedule is still the same."""
        try:
            note = json.loads(self._note.read_text("utf-8"))
            return datetime.fromisoformat(note["next"]) if note["schedule"] == self._schedule.text else None
        except (FileNotFoundError, ValueError, KeyError):
            return None

    async def _sleep_until(self, moment: datetime) -> datetime:
        """Answers the moment that came: an earlier one, if the clock was set back meanwhile."""
        while (left := (moment - self._now()).total_seconds()) > 0:
            await asyncio.sleep(min(left, _NAP_S))
            if self._schedule.next(self._now()) < moment:
                moment = self._plan(self._now())
        return moment
