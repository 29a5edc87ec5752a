"""The pace on a real PostgreSQL: any second has at most the limit, whoever leaves late."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.rows import dict_row

from benchmarks.reports.institution import most_in_a_second
from core.alma_analytics.pace import Pace
from core.alma_analytics.ports import Tx
from tests.postgres import Database

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")


class Kept:
    """One connection a thread, as instances keep them."""

    def __init__(self, database: Database) -> None:
        self._url = database.url
        self._own = threading.local()
        self.all: list[Tx] = []

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        if not hasattr(self._own, "connection"):
            self._own.connection = psycopg.connect(self._url, row_factory=dict_row)
            self.all.append(self._own.connection)
        with self._own.connection.transaction():
            yield self._own.connection


@pytest.fixture
def kept(database: Database) -> Iterator[Kept]:
    made = Kept(database)
    yield made
    for connection in made.all:
        connection.close()


def test_no_second_has_more_than_the_limit(kept: Kept) -> None:
    left: list[float] = []
    late = iter([0.0, 0.0, 0.15, 0.0, 0.4] * 100)

    def sleep(seconds: float) -> None:
        """Some wake up late."""
        time.sleep(seconds + next(late))

    def work() -> None:
        looked = [0.0]

        def clock() -> float:
            looked[0] = time.monotonic()
            return looked[0]

        pace = Pace(kept, per_second=30, clock=clock, sleep=sleep)
        for _ in range(12):
            pace()
            left.append(looked[0])  # when it was decided: a busy machine may keep this thread from here on

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(left) == 96
    assert most_in_a_second(sorted(left)) <= 30


def test_one_that_leaves_late_says_so_and_the_next_waits_for_it(kept: Kept) -> None:
    slow = Pace(kept, per_second=1, sleep=lambda seconds: time.sleep(seconds + 0.5))
    slow()
    slow()
    left = time.monotonic()
    Pace(kept, per_second=1)()
    assert time.monotonic() - left >= 1


def test_a_late_one_takes_another_number_when_the_next_counts_on_its_moment(kept: Kept) -> None:
    pace = Pace(kept, per_second=1)
    alone = pace._reserve()
    assert late(kept)._leaves(alone)
    turn = pace._reserve()
    after = pace._reserve()
    assert not late(kept)._leaves(turn)
    assert late(kept)._leaves(after)


def late(kept: Kept) -> Pace:
    """One whose clock is far beyond any moment."""
    return Pace(kept, per_second=1, clock=lambda: time.monotonic() // 1_000 * 1_000 + 1_000_000)


@pytest.mark.parametrize(("per_second", "second"), [(0.5, 2), (1, 1), (25, 0.032)])
def test_the_distance_of_two(kept: Kept, per_second: float, second: float) -> None:
    pace = Pace(kept, per_second=per_second)
    first = pace._reserve()
    assert pace._reserve().latest - first.earliest >= second


def test_only_as_many_moments_are_kept_as_the_limit_allows(kept: Kept, database: Database) -> None:
    for most in (3, 5, 2):
        pace = Pace(kept, per_second=most)
        numbers = [pace._reserve().number for _ in range(7)]
        assert numbers == list(range(numbers[0], numbers[0] + 7))
        with database.connect() as connection:
            row = connection.execute("select number, cardinality(sent) as kept from alma.pace").fetchone()
        assert row == {"number": numbers[-1], "kept": most}
