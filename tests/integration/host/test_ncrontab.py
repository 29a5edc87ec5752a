from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.workers.ncrontab import ScheduleError, parse

START = datetime(2026, 2, 27, 23, 59, 58, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("* * * * * *", ["2026-02-27T23:59:59", "2026-02-28T00:00:00"]),
        ("*/2 * * * * *", ["2026-02-28T00:00:00", "2026-02-28T00:00:02"]),
        ("0 */30 * * * *", ["2026-02-28T00:00:00", "2026-02-28T00:30:00"]),
        ("*/5 * * * *", ["2026-02-28T00:00:00", "2026-02-28T00:05:00"]),
        ("0 30 9 * * mon-fri", ["2026-03-02T09:30:00", "2026-03-03T09:30:00"]),
        ("0 0 12 * * 0", ["2026-03-01T12:00:00", "2026-03-08T12:00:00"]),
        ("0 0 12 * * 7", ["2026-03-01T12:00:00", "2026-03-08T12:00:00"]),
        ("0 0 12 * * 5-7", ["2026-02-28T12:00:00", "2026-03-01T12:00:00", "2026-03-06T12:00:00"]),
        ("0 0 0 29 feb *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        ("0 0 0 31 * *", ["2026-03-31T00:00:00", "2026-05-31T00:00:00"]),
        ("30 10,20-40/10 1 1 January *", ["2027-01-01T01:10:30", "2027-01-01T01:20:30", "2027-01-01T01:30:30"]),
        ("0 0 0 13 * Friday", ["2026-03-13T00:00:00", "2026-11-13T00:00:00"]),  # both day fields must match
        ("50/5 59 23 * * *", ["2026-02-28T23:59:50", "2026-02-28T23:59:55"]),
    ],
)
def test_next(text: str, following: list[str]) -> None:
    schedule, moment = parse(text), START
    found = []
    for _ in following:
        moment = schedule.next(moment)
        found.append(moment.isoformat().removesuffix("+00:00"))
    assert found == following


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("0 * * *", r"6 fields .* got 4; write for instance"),
        ("60 * * * * *", r'its second must be from 0 to 59, got "60"'),
        ("0 0 0 0 * *", r"its day must be from 1 to 31"),
        ("0 0 0 * 13 *", r"its month must be from 1 to 12"),
        ("0 0 0 * * 8", r"its day of week must be from 0 to 6"),
        ("0 */0 * * * *", r"its minute must have steps of 1 or more"),
        ("0 30-10 * * * *", r"ranges that go up"),
        ("0 x * * * *", r"its minute must be made of numbers, \*, lists"),
        ("0 1,,2 * * * *", r"its minute must be made of"),
        ("0 0 0 31 4 *", r"never happens"),
        ("", r"got 0"),
    ],
)
def test_wrong_schedules_are_told_apart(text: str, error: str) -> None:
    with pytest.raises(ScheduleError, match=error):
        parse(text)


@given(
    st.tuples(*(st.integers(0, top) for top in (59, 59, 23))),
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds are naive
)
def test_next_equals_looking_second_by_second_over_a_day(time: tuple[int, int, int], after: datetime) -> None:
    second, minute, hour = time
    schedule = parse(f"{second} {minute} {hour} * * *")
    expected = after.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if expected <= after:
        expected += timedelta(days=1)
    assert schedule.next(after) == expected
