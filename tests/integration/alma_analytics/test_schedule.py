"""Report jobs, what is due, and the sweep: on real PostgreSQL, by many at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.alma_analytics import jobs, names
from core.alma_analytics.starting import Scheduler, Ticked
from core.alma_analytics.sweeping import Sweep
from core.jobs import machine
from core.messages.alma_analytics import ReportJob
from localcloud.session.alma import Alma
from localcloud.session.local import LocalCloudError
from tests.integration.alma_analytics.queues import TRACE, Queues
from tests.postgres import Database
from tests.unit.alma_analytics.rows import row

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")
MORNING = datetime(2026, 11, 26, 6, tzinfo=UTC)


def job(**changes: Any) -> ReportJob:
    return msgspec.convert(row(**({"schedule": "0 7 * * *"} | changes)), ReportJob)


def apply(database: Database, *wanted: ReportJob, now: datetime) -> list[str]:
    with database.transaction() as tx:
        return [jobs.apply(tx, one, now) for one in wanted]


def next_of(database: Database, name: str = "overdue-items") -> datetime | None:
    with database.transaction() as tx:
        found = tx.execute("select next_slot from alma.report_job where name = %s", [name]).fetchone()
    assert found is not None
    slot: datetime | None = found["next_slot"]
    return slot


def tick(database: Database, queues: Queues, now: datetime) -> Ticked:
    return Scheduler(database, queues.outbox, traceparent=TRACE, now=lambda: now).tick()


def runs(database: Database) -> list[str]:
    with database.transaction() as tx:
        return [r["run_id"] for r in tx.execute("select run_id from jobs.run order by run_id").fetchall()]


def test_a_job_is_created_changed_or_left_as_it_is(database: Database) -> None:
    assert apply(database, job(), now=MORNING) == ["created"]
    assert next_of(database) == MORNING + timedelta(days=1)  # 07:00 in Berlin has just been
    later = MORNING + timedelta(days=3)
    assert apply(database, job(), now=later) == ["unchanged"]
    assert apply(database, job(recipients=["else@example.org"]), now=later) == ["changed"]
    assert next_of(database) == MORNING + timedelta(days=1)  # a slot that is due is not skipped
    assert apply(database, job(schedule="0 8 * * *"), now=later) == ["changed"]
    assert next_of(database) == later + timedelta(hours=1)
    assert apply(database, job(enabled=False), now=later) == ["changed"]
    assert next_of(database) is None
    with database.transaction() as tx:
        assert jobs.find(tx, "overdue-items") == job(enabled=False)
        assert jobs.find(tx, "unknown") is None


def test_a_due_job_starts_a_run_that_fetches_both_reports(database: Database) -> None:
    queues = Queues(database)
    apply(database, job(), now=MORNING - timedelta(minutes=5))
    assert tick(database, queues, MORNING - timedelta(minutes=1)).started == []
    assert tick(database, queues, MORNING + timedelta(seconds=20)).started == ["overdue-items-20261126T0600Z"]
    assert tick(database, queues, MORNING + timedelta(seconds=40)).started == []
    assert next_of(database) == MORNING + timedelta(days=1)
    with database.transaction() as tx:
        run = machine.find(tx, "overdue-items-20261126T0600Z")
        stages = machine.stages(tx, "overdue-items-20261126T0600Z")
    assert run is not None
    assert (run.job, run.slot, run.trigger, run.state) == ("overdue-items", MORNING, "schedule", "running")
    assert msgspec.convert(run.params, ReportJob) == job()
    assert [(stage.stage, stage.tasks, stage.sealed) for stage in stages] == [
        ("fetch-main", 1, False),
        ("fetch-other", 1, False),
    ]
    first = {"run_id": run.run_id, "side": "main", "round": 1, "page": 1}
    assert queues.said() == [(names.API_FETCH, first), (names.API_FETCH, first | {"side": "other"})]
    assert {envelope.traceparent for envelope in queues[names.API_FETCH].envelopes} == {TRACE}


def test_a_schedule_missed_for_days_runs_once(database: Database) -> None:
    queues = Queues(database)
    apply(database, job(), now=MORNING - timedelta(days=10))
    assert tick(database, queues, MORNING + timedelta(hours=5)).started == ["overdue-items-20261126T0600Z"]
    assert tick(database, queues, MORNING + timedelta(hours=5)).started == []
    assert next_of(database) == MORNING + timedelta(days=1)


def test_many_schedulers_at_once_start_one_run_of_each_job(database: Database) -> None:
    queues, gate = Queues(database), threading.Barrier(16)
    wanted = [f"job-{number}" for number in range(5)]
    apply(database, *(job(name=name) for name in wanted), now=MORNING - timedelta(hours=1))

    def one(_: int) -> list[str]:
        gate.wait(30)
        return tick(database, queues, MORNING).started

    with ThreadPoolExecutor(16) as pool:
        started = [run_id for some in pool.map(one, range(16)) for run_id in some]
    assert sorted(started) == [f"{name}-20261126T0600Z" for name in wanted]
    assert len(queues[names.API_FETCH].ids) == len(set(queues[names.API_FETCH].ids)) == 10


def test_a_clock_set_back_starts_no_slot_twice(database: Database) -> None:
    queues = Queues(database)
    apply(database, job(), now=MORNING - timedelta(hours=1))
    assert tick(database, queues, MORNING).started
    apply(database, job(enabled=False), job(), now=MORNING - timedelta(minutes=1))
    assert next_of(database) == MORNING
    assert tick(database, queues, MORNING).started == []
    assert runs(database) == ["overdue-items-20261126T0600Z"]


def test_a_row_that_makes_no_sense_is_given_up_and_the_others_run(database: Database) -> None:
    queues = Queues(database)
    apply(database, job(name="broken"), job(name="fine"), now=MORNING - timedelta(hours=1))
    with database.transaction() as tx:
        tx.execute(
            """update alma.report_job set job = jsonb_set(job, '{time_zone}', '"Atlantis"') where name = 'broken'"""
        )
    ticked = tick(database, queues, MORNING)
    assert ticked.started == ["fine-20261126T0600Z"]
    assert "must be an IANA time zone" in ticked.problems["broken"]
    assert next_of(database, "broken") is None
    assert apply(database, job(name="broken"), now=MORNING) == ["changed"]
    assert next_of(database, "broken") == MORNING + timedelta(days=1)


def test_a_message_that_could_not_be_sent_is_sent_by_the_sweep(database: Database) -> None:
    queues = Queues(database)
    queues[names.API_FETCH].down = True
    apply(database, job(), now=MORNING - timedelta(hours=1))
    ticked = tick(database, queues, MORNING)
    assert ticked.unsent
    assert ticked.problems == {"overdue-items-20261126T0600Z": "queue: 503"}
    assert sweep(database, queues, MORNING).sent == 0  # it is not forgotten yet
    with database.transaction() as tx:
        tx.execute("update jobs.outbox set put_at = put_at - interval '2 minutes'")
    assert sweep(database, queues, MORNING).problems == {"overdue-items-20261126T0600Z": "queue: 503"}
    queues[names.API_FETCH].down = False
    assert sweep(database, queues, MORNING).sent == 2
    assert sweep(database, queues, MORNING).sent == 0


def sweep(database: Database, queues: Queues, now: datetime, days: int = 30) -> Any:
    made = Sweep(database, queues.outbox, clean_up_after=timedelta(days=days), traceparent=TRACE, now=lambda: now)
    return made.execute()


def test_a_run_is_cleaned_up_once_some_days_after_its_end_and_never_before(database: Database) -> None:
    queues = Queues(database)
    apply(database, job(name="done"), job(name="failed"), job(name="running"), now=MORNING - timedelta(hours=1))
    done, failed, _ = tick(database, queues, MORNING).started
    with database.transaction() as tx:
        machine.finish(tx, done)
    with database.transaction() as tx:
        machine.fail(tx, failed, "no such report")
    now = datetime.now(UTC)  # the database's clock says when a run ended
    assert sweep(database, queues, now + timedelta(days=29)).asked == []
    assert sweep(database, queues, now + timedelta(days=31)).asked == [done, failed]
    assert sweep(database, queues, now + timedelta(days=31)).asked == []
    assert queues[names.CLEANUP].ids == [f"{done}/clean-up", f"{failed}/clean-up"]


def test_many_sweeps_at_once_ask_once(database: Database) -> None:
    queues, gate = Queues(database), threading.Barrier(8)
    apply(database, job(), now=MORNING - timedelta(hours=1))
    (run_id,) = tick(database, queues, MORNING).started
    with database.transaction() as tx:
        machine.finish(tx, run_id)
    later = datetime.now(UTC) + timedelta(days=31)

    def one(_: int) -> list[str]:
        gate.wait(30)
        asked: list[str] = sweep(database, queues, later).asked
        return asked

    with ThreadPoolExecutor(8) as pool:
        assert [asked for some in pool.map(one, range(8)) for asked in some] == [run_id]
    assert queues[names.CLEANUP].ids == [f"{run_id}/clean-up"]


def test_a_slot_that_comes_while_the_last_run_goes_on_waits_and_then_runs_once(database: Database) -> None:
    queues = Queues(database)
    apply(database, job(), job(name="another"), now=MORNING - timedelta(hours=1))
    first = "overdue-items-20261126T0600Z"
    assert first in tick(database, queues, MORNING).started
    with database.transaction() as tx:
        machine.park(tx, first, MORNING + timedelta(days=5), "DAILY_THRESHOLD")
        machine.finish(tx, "another-20261126T0600Z")
    ticked = tick(database, queues, MORNING + timedelta(days=1))
    assert ticked.started == ["another-20261127T0600Z"]  # which waits for nobody
    assert ticked.waiting == {"overdue-items": first}
    assert ticked.problems == {}
    later = MORNING + timedelta(days=3, hours=2)
    assert tick(database, queues, later).waiting["overdue-items"] == first
    with database.transaction() as tx:
        machine.fail(tx, first, "given up")
        machine.finish(tx, "another-20261127T0600Z")
    ticked = tick(database, queues, later)
    assert "overdue-items-20261129T0600Z" in ticked.started  # the latest of three, once
    assert ticked.waiting == {}
    assert next_of(database) == MORNING + timedelta(days=4)


def test_a_person_and_schedulers_at_once_begin_one_run(database: Database, tmp_path: Path) -> None:
    queues, gate = Queues(database), threading.Barrier(8)
    file = tmp_path / "jobs.json"
    for lap in range(5):
        name = f"job-{lap}"
        file.write_bytes(msgspec.json.encode([row(name=name, schedule="0 7 * * *")]))
        people = Alma(database, queues.outbox, lambda _: None)
        people.apply(file)
        with database.transaction() as tx:
            tx.execute("update alma.report_job set next_slot = %s where name = %s", [MORNING, name])

        def one(number: int, people: Alma = people, name: str = name) -> int:
            gate.wait(30)
            if number % 2:
                return len(tick(database, queues, MORNING).started)
            try:
                people.run(name, dry_run=False)
            except LocalCloudError:
                return 0
            return 1

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(one, range(8))) == 1
        with database.transaction() as tx:
            machine.finish(tx, runs(database)[-1])
        people.remove([name])  # the slot may be due still
