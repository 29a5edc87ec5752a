"""Slots over daylight-saving changes, against a search through every minute."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.alma_analytics.schedule import ScheduleError, check_cron, due_slot, next_slot

ZONES = [
    "Europe/Berlin", "America/New_York", "America/Havana", "America/Santiago", "Asia/Beirut", "Africa/Casablanca",
    "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Chatham", "Asia/Kathmandu", "UTC",
]  # fmt: skip
MINUTE = timedelta(minutes=1)


@lru_cache(maxsize=32)
def changes(zone: str) -> tuple[datetime, ...]:
    """The moments from 2024 to 2030 at which the zone's clock is put forward or back."""
    found, hour = [], timedelta(hours=1)
    at, end, place = datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    before = at.astimezone(place).utcoffset()
    while at < end:
        at += hour
        now = at.astimezone(place).utcoffset()
        if now != before:
            found.append(at)
        before = now
    return tuple(found)


def minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    at = start
    while at <= end:
        yield at
        at += MINUTE


def once_a_day(zone: str, wanted: time, day: date) -> datetime:
    """The first minute of the day's that shows `wanted`, or, if the clock skips it, the first that shows more."""
    noon = datetime.combine(day, time(12), tzinfo=UTC)
    local = [
        (at, at.astimezone(ZoneInfo(zone))) for at in minutes(noon - timedelta(hours=26), noon + timedelta(hours=26))
    ]
    same = [at for at, here in local if (here.date(), here.time()) == (day, wanted)]
    later = [at for at, here in local if (here.date(), here.time()) > (day, wanted)]
    return same[0] if same else later[0]


@pytest.mark.parametrize("zone", ZONES)
def test_a_fixed_time_comes_once_a_day_over_every_change_of_the_clock(zone: str) -> None:
    for change in changes(zone) or (datetime(2026, 3, 29, 1, tzinfo=UTC),):
        here = change.astimezone(ZoneInfo(zone))
        for wanted in {
            here.time(),
            (here - timedelta(minutes=30)).time(),
            (here - timedelta(hours=1)).time(),
            time(2, 30),
        }:
            cron = f"{wanted.minute} {wanted.hour} * * *"
            days = [here.date() + timedelta(days=offset) for offset in (-1, 0, 1)]
            slot = datetime.combine(days[0], time(), tzinfo=ZoneInfo(zone)).astimezone(UTC) - MINUTE
            for day in days:
                slot = next_slot(cron, zone, slot)
                assert slot == once_a_day(zone, wanted, day), (cron, zone, day)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("cron", "every", "hours"), [("*/20 * * * *", 20, 1), ("0 */2 * * *", 60, 2)])
def test_an_interval_follows_real_time_over_every_change(zone: str, cron: str, every: int, hours: int) -> None:
    for change in changes(zone):
        start, end = change - timedelta(hours=5), change + timedelta(hours=5)
        local = [(at, at.astimezone(ZoneInfo(zone))) for at in minutes(start + MINUTE, end)]
        expected = [at for at, here in local if here.minute % every == 0 and here.hour % hours == 0]
        found, slot = [], start
        while (slot := next_slot(cron, zone, slot)) <= end:
            found.append(slot)
        assert found == expected, (zone, change)


@pytest.mark.parametrize(
    ("after", "slot"),
    [
        ("2026-03-28T23:00:00Z", "2026-03-29T01:00:00Z"),  # 02:30 does not exist: 03:00 summer time
        ("2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"),
        ("2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"),  # 02:30 exists twice: the first
        ("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("2026-10-25T01:15:00Z", "2026-10-26T01:30:00Z"),  # asked between the first and the second
    ],
)
def test_half_past_two_in_berlin(after: str, slot: str) -> None:
    assert next_slot("30 2 * * *", "Europe/Berlin", datetime.fromisoformat(after)) == datetime.fromisoformat(slot)


CRONS = ["30 2 * * *", "0,30 2 * * *", "0 2,3 * * *", "*/15 * * * *", "0 0 * * *", "15 */3 * * MON-FRI", "0 6 1 * *",
         "0 0 29 2 *", "59 23 L * *"]  # fmt: skip
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@settings(deadline=None)
@given(st.sampled_from(CRONS), st.sampled_from(ZONES), MOMENTS, st.floats(0, 1, exclude_max=True))
def test_the_next_slot_is_the_same_from_every_moment_before_it(cron: str, zone: str, at: datetime, part: float) -> None:
    slots = [next_slot(cron, zone, at)]
    slots += [next_slot(cron, zone, slots[0])]
    for before, slot in pairwise([at, *slots]):
        assert slot > before
        between = min(before + (slot - before) * part, slot - timedelta(microseconds=1))
        assert next_slot(cron, zone, between) == slot


@settings(deadline=None)
@given(st.sampled_from(CRONS), st.sampled_from(ZONES), MOMENTS, st.integers(0, 60))
def test_of_many_missed_slots_the_latest_is_due(cron: str, zone: str, at: datetime, missed: int) -> None:
    first = slot = next_slot(cron, zone, at)
    if "*/" not in cron:
        missed = min(missed, 5)
    for _ in range(missed):
        slot = next_slot(cron, zone, slot)
    until = next_slot(cron, zone, slot)
    assert due_slot(cron, zone, first=first, now=slot) == slot
    assert due_slot(cron, zone, first=first, now=until - timedelta(seconds=1)) == slot
    assert due_slot(cron, zone, first=first, now=first - timedelta(seconds=1)) is None


def test_years_of_missed_minutes_are_not_counted_one_by_one() -> None:
    first, now = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)
    assert due_slot("* * * * *", "UTC", first=first, now=now) == datetime(2026, 11, 26, 12, tzinfo=UTC)
    leap = datetime(2020, 2, 29, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)
    assert due_slot("0 0 29 2 *", "UTC", first=leap[0], now=now) == leap[1]


def judge(cron: str) -> None:
    """It has a next slot, or is refused with a reason."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        check_cron(cron)
    except ScheduleError:
        with pytest.raises(ScheduleError, match="five fields"):
            next_slot(cron, "Europe/Berlin", now)
    else:
        assert next_slot(cron, "Europe/Berlin", now) > now


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789*/,-#LWMONJAN ²"), max_size=14))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    judge(text)


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("0123456789*/,-#LWMON"), min_size=1, max_size=5), min_size=5, max_size=5))
def test_any_five_fields_are_a_schedule_or_refused(fields: list[str]) -> None:
    judge(" ".join(fields))
