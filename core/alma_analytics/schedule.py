"""When a job is due: cron in a time zone, and which of the moments missed is made up for.

Daylight saving as Debian's cron has it: a job at fixed times runs once a day, whatever the clock does. 02:30 that does
not exist runs when the clock goes on (03:00); 02:30 that exists twice runs the first time. A job whose minute or hour
begins with `*` follows real time: it runs at each moment whose local time matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from heapq import heappop, heappush
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import tzdata  # noqa: F401 - zoneinfo reads its files where the system has none; so it becomes part of the package
from cronsim import CronSim, CronSimError

FIELDS: Final = "minute hour day month weekday"
_WINDOWS: Final = tuple(timedelta(hours=hours) for hours in (1, 24, 24 * 8, 24 * 32, 24 * 367))
_BACK: Final = timedelta(hours=3)
"""No clock is put back by more (Troll: 2 h)."""


class ScheduleError(ValueError):
    """No schedule; `must` and `got` say why."""

    def __init__(self, must: str, got: str) -> None:
        """What must hold, and what was found."""
        super().__init__(f"must be {must}, got {got}")
        self.must, self.got = must, got


def check_zone(name: str) -> None:
    """Raises ScheduleError unless the IANA time zone exists."""
    if name not in _zones():
        near = get_close_matches(name, _zones(), 1)
        hint = f" (do you mean {near[0]}?)" if near else ""
        raise ScheduleError(f"an IANA time zone like Europe/Berlin{hint}", repr(name))


def check_cron(cron: str) -> None:
    """Raises ScheduleError unless it has five fields and comes at least once in fifty years."""
    must = f"cron with five fields ({FIELDS})"
    if len(cron.split()) != 5:
        raise ScheduleError(must, f"{cron!r}: {len(cron.split())} fields")
    try:
        next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ScheduleError(must, f"{cron!r}: {error}") from error
    except StopIteration as stop:
        raise ScheduleError(must, f"{cron!r}: a day that never comes") from stop


def next_slot(cron: str, zone: str, after: datetime) -> datetime:
    """The first slot later than `after`, in UTC. Raises ScheduleError for a cron or zone that is none."""
    check_zone(zone)
    check_cron(cron)
    return next(_slots(cron, zone, after))


def due_slot(cron: str, zone: str, *, first: datetime, now: datetime) -> datetime | None:
    """The latest slot from `first` to `now`, in UTC: of many that were missed, the one that is made up for.

    None when there is none (the schedule's rules changed since `first` was worked out). Raises ScheduleError.
    """
    check_zone(zone)
    check_cron(cron)
    before = first - timedelta(seconds=1)
    recent = [now - window for window in _WINDOWS]
    for start in [*(one for one in recent if one > before), before]:  # not a year of minutes, one by one
        found = None
        for slot in _slots(cron, zone, start):
            if slot > now:
                break
            found = slot
        if found is not None:
            return found
    return None


def _slots(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Slots later than `after`, each once and in order, in UTC.

    cronsim counts in local time without a zone; what a local time is in real time is settled here, as cronsim's own
    rules lose a slot where a clock is put back by half an hour.
    """
    place, last = ZoneInfo(zone), after.astimezone(UTC)
    fixed = not any(field.startswith("*") for field in cron.split()[:2])
    waiting: list[datetime] = []
    begin = last.astimezone(place).replace(tzinfo=None) - _BACK
    for local in CronSim(cron, begin):
        first, second = (local.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first > second:  # the clock skips it
            if not fixed:
                continue
            first = second = _after_gap(local, place)
        for slot in {first} if fixed else {first, second}:
            heappush(waiting, slot)
        while waiting and waiting[0] <= first:  # no later local time is earlier than that
            slot = heappop(waiting)
            if slot > last:
                last = slot
                yield slot


def _after_gap(local: datetime, place: ZoneInfo) -> datetime:
    """The moment at which the clock goes on after a local time that it skips."""
    while True:
        first, second = (local.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first <= second:
            return first
        local += timedelta(minutes=1)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
