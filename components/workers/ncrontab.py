"""NCRONTAB, the schedules of timer triggers: `{second} {minute} {hour} {day} {month} {day of week}`, in UTC.

Each field is `*` or a list of values, ranges (`1-5`) and steps (`*/5`, `10-30/10`, `3/10` = from 3 on); months and days
of the week also by name. A day matches when both day fields match: unlike in cron, they are not alternatives
(NCrontab, the library the platform uses).
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_YEARS = 28  # after this many, weekdays and leap years repeat: a schedule without a day until then has none


class ScheduleError(ValueError):
    """The text is no schedule; says which field and why."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule: the allowed values of each field, sorted."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def next(self, after: datetime) -> datetime:
        """The first moment later than `after` (aware), in UTC. Raises ScheduleError when there is none."""
        after = after.astimezone(UTC)
        now = (after.hour, after.minute, after.second)
        for year in range(after.year, after.year + _YEARS + 1):
            for month in self.months:
                if (year, month) < (after.year, after.month):
                    continue
                for day in self._days_of(year, month):
                    today = (year, month, day) == (after.year, after.month, after.day)
                    if (year, month, day) < (after.year, after.month, after.day):
                        continue
                    time = self._time(now if today else None)
                    if time is not None:
                        return datetime(year, month, day, *time, tzinfo=UTC)
        raise ScheduleError(f'schedule "{self.text}" never happens; correct its day or month')

    def _days_of(self, year: int, month: int) -> list[int]:
        first, length = monthrange(year, month)  # Monday is 0 there, Sunday is 0 here
        return [day for day in self.days if day <= length and (first + day) % 7 in self.weekdays]

    def _time(self, after: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
        """The first time of a day, later than `after` when given."""
        if after is None:
            return self.hours[0], self.minutes[0], self.seconds[0]
        for hour in self.hours:
            if hour > after[0]:
                return hour, self.minutes[0], self.seconds[0]
            if hour == after[0]:
                for minute in self.minutes:
                    if minute > after[1]:
                        return hour, minute, self.seconds[0]
                    later = [second for second in self.seconds if second > after[2]] if minute == after[1] else []
                    if later:
                        return hour, minute, later[0]
        return None


def parse(text: str) -> Schedule:
    """The schedule that `text` says; five fields mean "at second 0", as on the platform. Raises ScheduleError."""
    fields = text.split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise ScheduleError(
            f'schedule "{text}": it must have 6 fields (second minute hour day month weekday), got {len(fields)}; '
            'write for instance "0 */30 * * * *"'
        )
    values = [_field(text, field, *rule) for field, rule in zip(fields, _FIELDS, strict=True)]
    schedule = Schedule(text, *values)
    schedule.next(datetime(2024, 1, 1, tzinfo=UTC))
    return schedule


def longest_gap(schedule: Schedule) -> timedelta:
    """The longest time between two moments of a schedule, over a leap year."""
    marks = [hour * 3600 + minute * 60 for hour in schedule.hours for minute in schedule.minutes]
    first, last = schedule.seconds[0], schedule.seconds[-1]
    within = [
        *(later - earlier for earlier, later in pairwise(schedule.seconds)),
        *((later + first) - (earlier + last) for earlier, later in pairwise(marks)),
    ]
    longest = timedelta(seconds=max(within, default=0))
    moment, end = (
        schedule.next(datetime(2024, 1, 1, tzinfo=UTC) - timedelta(seconds=1)),
        datetime(2025, 1, 1, tzinfo=UTC),
    )
    while moment < end:
        midnight = moment.replace(hour=0, minute=0, second=0)
        evening = midnight + timedelta(seconds=marks[-1] + last)
        moment = schedule.next(evening)
        longest = max(longest, moment - evening)
    return longest


_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_SUNDAY = "7"  # Sunday has two numbers


@dataclass(frozen=True, slots=True)
class _Field:
    """One field while it is read."""

    schedule: str
    text: str
    name: str
    low: int
    high: int
    names: tuple[str, ...]

    def wrong(self, must: str) -> ScheduleError:
        got = f'got "{self.text}"; correct that field'
        return ScheduleError(f'schedule "{self.schedule}": its {self.name} must {must}, {got}')

    def value(self, word: str) -> int:
        if len(word) >= 3 and word.lower()[:3] in self.names:
            return self.names.index(word.lower()[:3]) + self.low
        if not word.isdecimal():
            raise self.wrong(f"be made of numbers{' or names' if self.names else ''}, *, lists, ranges and steps")
        if not self.low <= int(word) <= self.high:
            raise self.wrong(f"be from {self.low} to {self.high}")
        return int(word)

    def part(self, part: str) -> set[int]:
        match = _PART.fullmatch(part)
        if match is None:
            raise self.wrong("be made of numbers, *, lists, ranges and steps")
        star, first, last, step = match.groups()
        sunday: set[int] = set()
        if self.name == "day of week" and _SUNDAY in {first, last}:
            sunday = {0}
            if first == _SUNDAY:
                return sunday
            last = str(self.high)
        begin = self.low if star else self.value(first)
        end = self.high if star or (step and not last) else self.value(last or first)
        if step == "0" or end < begin:
            raise self.wrong("have steps of 1 or more and ranges that go up")
        return sunday | set(range(begin, end + 1, int(step or 1)))


def _field(schedule: str, text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> tuple[int, ...]:
    field = _Field(schedule, text, name, low, high, names)
    return tuple(sorted(set().union(*(field.part(part) for part in text.split(",")))))
