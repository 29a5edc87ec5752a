"""Moves of runs, stages and tasks, on real PostgreSQL, by many at once."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

import psycopg
import pytest

from core.jobs import machine
from core.jobs.machine import Finish
from tests.integration.jobs.conftest import MIGRATIONS, RUN
from tests.postgres import Database

pytestmark = pytest.mark.migrations(MIGRATIONS)
T = TypeVar("T")
MANY = 16
TOMORROW = datetime(2026, 11, 27, tzinfo=UTC)


def at_once(database: Database, work: Callable[[machine.Tx, int], T], count: int = MANY) -> list[T]:
    """`work` by so many threads, each with its own connection, let go in the same moment."""
    gate = threading.Barrier(count)

    def one(number: int) -> T:
        with database.connect() as tx:
            tx.execute("select 1")
            tx.commit()
            gate.wait(30)
            return work(tx, number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_many_starters_of_one_run_start_it_once(database: Database) -> None:
    def start(tx: machine.Tx, number: int) -> bool:
        return machine.start(
            tx, run_id=RUN, system="s", job="j", slot=TOMORROW, trigger=f"starter {number}", params={}, traceparent=""
        )

    assert sum(at_once(database, start)) == 1


def test_many_finish_the_same_last_task_and_one_is_told_that_the_stage_is_done(jobs: Database) -> None:
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "update", ["1"])
    told = at_once(jobs, lambda tx, _: machine.finish_task(tx, RUN, "update", "1"))
    assert sorted(told, reverse=True) == [Finish(True, True), *[Finish(False, False)] * (MANY - 1)]


@pytest.mark.parametrize("seed", range(5))
def test_tasks_finished_and_failed_at_once_and_twice_end_their_stage_once(jobs: Database, seed: int) -> None:
    names = [str(number) for number in range(1, 41)]
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "update", names)

    def work(tx: machine.Tx, number: int) -> list[Finish]:
        dice = random.Random(f"{seed}/{number}")
        found = []
        for name in dice.sample(names, len(names)):
            with tx.transaction():
                machine.begin_task(tx, RUN, "update", name)
            with tx.transaction():
                if dice.random() < 0.2:
                    found.append(machine.fail_task(tx, RUN, "update", name, "broken"))
                else:
                    found.append(machine.finish_task(tx, RUN, "update", name, requests=1))
        return found

    told = [one for some in at_once(jobs, work, 8) for one in some]
    assert sum(one.stage_done for one in told) == 1
    assert sum(one.moved for one in told) == len(names)
    with jobs.transaction() as tx:
        stage, tasks = machine.find_stage(tx, RUN, "update"), machine.tasks(tx, RUN)
    assert stage is not None
    assert (stage.state, stage.tasks, stage.settled) == ("done", 40, 40)
    assert stage.failed == sum(task.state == "failed" for task in tasks)


def test_a_growing_stage_ends_once_whoever_adds_seals_and_finishes(jobs: Database) -> None:
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "fetch-main", ["1"], sealed=False)

    def pages(tx: machine.Tx, _: int) -> int:
        """Each page is worked on by all of them: finished, and the next one added or the stage sealed."""
        ends = 0
        for page in range(1, 31):
            with tx.transaction():
                finish = machine.finish_task(tx, RUN, "fetch-main", str(page))
                if finish.moved and page < 30:
                    assert machine.add_task(tx, RUN, "fetch-main", str(page + 1))
                elif finish.moved:
                    finish = machine.seal(tx, RUN, "fetch-main")
                ends += finish.stage_done
        return ends

    assert sum(at_once(jobs, pages)) == 1


def test_a_stage_ends_by_its_seal_or_by_its_last_task(jobs: Database) -> None:
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "a", ["1", "2"], sealed=False)
        assert machine.finish_task(tx, RUN, "a", "1") == (True, False)
        assert machine.seal(tx, RUN, "a") == (True, False)
        assert machine.seal(tx, RUN, "a") == (False, False)
        assert machine.finish_task(tx, RUN, "a", "2") == (True, True)
        machine.open_stage(tx, RUN, "b", ["1"], sealed=False)
        assert machine.finish_task(tx, RUN, "b", "1") == (True, False)
        assert machine.seal(tx, RUN, "b") == (True, True)
        assert not machine.add_task(tx, RUN, "b", "2")
        assert machine.open_stage(tx, RUN, "empty")
        assert [stage.state for stage in machine.stages(tx, RUN)] == ["done"] * 3


def test_a_repeated_stage_or_task_changes_nothing(jobs: Database) -> None:
    with jobs.transaction() as tx:
        assert machine.open_stage(tx, RUN, "a", ["1", "1"], sealed=False)
        assert not machine.open_stage(tx, RUN, "a", ["7"])
        assert not machine.add_task(tx, RUN, "a", "1")
        assert machine.add_task(tx, RUN, "a", "2")
        assert [task.task for task in machine.tasks(tx, RUN)] == ["1", "2"]
        assert not machine.add_task(tx, RUN, "unknown", "1")
        assert machine.seal(tx, RUN, "unknown") == (False, False)
        assert machine.finish_task(tx, RUN, "a", "unknown") == (False, False)


def test_a_task_begins_until_it_is_settled_or_its_run_is_over(jobs: Database) -> None:
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "a", ["1", "2"])
        assert [getattr(machine.begin_task(tx, RUN, "a", "1"), "attempt", None) for _ in range(2)] == [1, 2]
        machine.finish_task(tx, RUN, "a", "1", result={"rows": 5}, requests=3)
        assert machine.begin_task(tx, RUN, "a", "1") is None
        assert machine.begin_task(tx, RUN, "a", "unknown") is None
        machine.park(tx, RUN, TOMORROW, "daily threshold")
        assert machine.begin_task(tx, RUN, "a", "2") is not None
        machine.fail(tx, RUN, "no such report")
        assert machine.begin_task(tx, RUN, "a", "2") is None
        assert machine.finish_task(tx, RUN, "a", "2") == (True, True)
        done, _ = machine.tasks(tx, RUN)
        run = machine.find(tx, RUN)
    assert (done.result, done.requests, done.attempt) == ({"rows": 5}, 3, 2)
    assert run is not None
    assert run.requests == 3


def test_a_runs_states_and_its_first_error(jobs: Database) -> None:
    with jobs.transaction() as tx:
        assert not machine.resume(tx, RUN)
        assert machine.park(tx, RUN, TOMORROW, "daily threshold")
        assert not machine.park(tx, RUN, TOMORROW, "again")
        assert not machine.finish(tx, RUN)
        assert machine.resume(tx, RUN)
        assert machine.fail(tx, RUN, "first")
        assert not machine.fail(tx, RUN, "second")
        assert getattr(machine.find(tx, RUN), "error", None) == "first"
        assert machine.resume(tx, RUN)
        assert machine.finish(tx, RUN)
        assert not machine.fail(tx, RUN, "too late")
        run = machine.find(tx, RUN)
    assert run is not None
    assert (run.state, run.error, run.retries) == ("done", None, 1)
    assert run.finished_at is not None


def test_a_reason_in_others_words_is_kept_whatever_is_in_it(jobs: Database) -> None:
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "a", ["1"])
        machine.fail_task(tx, RUN, "a", "1", "half \ud83d and \0")
        machine.fail(tx, RUN, "x" * 5000)
        (task,) = machine.tasks(tx, RUN)
        run = machine.find(tx, RUN)
    assert task.reason == "half \\ud83d and \\x00"
    assert run is not None
    assert run.error == "x" * 2000 + "…"


def test_counts_of_many_add_up(jobs: Database) -> None:
    def work(tx: machine.Tx, number: int) -> None:
        machine.count(tx, RUN, requests=2, rows=number, **{f"batch{number % 2}": 1})

    at_once(jobs, work)
    with jobs.transaction() as tx:
        run = machine.find(tx, RUN)
    assert run is not None
    assert run.requests == 2 * MANY
    assert run.counts == {"rows": sum(range(MANY)), "batch0": MANY // 2, "batch1": MANY // 2}


def test_of_two_that_begin_a_stage_anew_one_does(jobs: Database) -> None:
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "fetch-main", ["1"], sealed=False)
        machine.finish_task(tx, RUN, "fetch-main", "1")
        machine.add_task(tx, RUN, "fetch-main", "2")
    rounds = at_once(jobs, lambda tx, _: machine.reset_stage(tx, RUN, "fetch-main", round=1))
    assert sorted(rounds, key=str) == [2, *[None] * (MANY - 1)]
    with jobs.transaction() as tx:
        assert machine.tasks(tx, RUN) == []
        assert machine.add_task(tx, RUN, "fetch-main", "1")
        assert getattr(machine.begin_task(tx, RUN, "fetch-main", "1"), "round", None) == 2
        assert machine.finish_task(tx, RUN, "fetch-main", "1") == (True, False)
        assert machine.seal(tx, RUN, "fetch-main").stage_done
        assert machine.reset_stage(tx, RUN, "fetch-main") is None


def test_failed_tasks_wait_again_and_their_stage_ends_once_more(jobs: Database) -> None:
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "update", ["1", "2", "10"])
        machine.finish_task(tx, RUN, "update", "1")
        machine.fail_task(tx, RUN, "update", "2", "refused")
        assert machine.fail_task(tx, RUN, "update", "10", "refused").stage_done
        assert sorted(machine.reopen(tx, RUN, "update")) == ["10", "2"]
        assert machine.reopen(tx, RUN, "update") == []
        assert [task.task for task in machine.tasks(tx, RUN, unsettled=True)] == ["2", "10"]
        assert machine.finish_task(tx, RUN, "update", "2") == (True, False)
        assert machine.finish_task(tx, RUN, "update", "10") == (True, True)
        assert machine.forget_stage(tx, RUN, "update")
        assert machine.tasks(tx, RUN) == []


def test_begin_and_finish_in_one_transaction_by_many_never_deadlock(jobs: Database) -> None:
    names = [str(number) for number in range(20)]
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "a", names)

    def work(tx: machine.Tx, number: int) -> int:
        order = random.Random(number).sample(names, len(names))
        with tx.transaction():
            for name in order:
                machine.begin_task(tx, RUN, "a", name)
            return sum(machine.finish_task(tx, RUN, "a", name).moved for name in order)

    assert sum(at_once(jobs, work)) == len(names)


def test_a_transaction_that_breaks_leaves_nothing(jobs: Database) -> None:
    def broken(tx: machine.Tx) -> None:
        machine.open_stage(tx, RUN, "a", ["1"])
        machine.finish_task(tx, RUN, "a", "1", requests=5)
        raise RuntimeError

    with pytest.raises(RuntimeError), jobs.transaction() as tx:
        broken(tx)
    with jobs.transaction() as tx:
        assert machine.stages(tx, RUN) == []
        assert getattr(machine.find(tx, RUN), "requests", None) == 0


def test_the_tables_refuse_a_state_that_cannot_be(jobs: Database) -> None:
    with pytest.raises(psycopg.errors.CheckViolation), jobs.transaction() as tx:
        tx.execute("update jobs.run set state = 'done'")  # no finished_at
    with jobs.transaction() as tx:
        machine.open_stage(tx, RUN, "a", ["1"])
    with pytest.raises(psycopg.errors.CheckViolation), jobs.transaction() as tx:
        tx.execute("update jobs.stage set settled = 1")  # all settled, and yet open
