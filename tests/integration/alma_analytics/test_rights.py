"""What the scheduler and people do, each as the database role that they have: enough rights, and no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from core.alma_analytics import jobs
from core.alma_analytics.starting import Scheduler
from core.alma_analytics.sweeping import Sweep
from core.jobs import machine
from core.messages.alma_analytics import ReportJob
from localcloud.session.alma import Alma
from tests.integration.alma_analytics.queues import TRACE, Queues
from tests.postgres import Connection, Database
from tests.unit.alma_analytics.rows import row

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")
NOW = datetime(2026, 11, 26, 6, tzinfo=UTC)


@dataclass(frozen=True)
class As:
    """The database with the rights of one role."""

    database: Database
    role: str

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self.database.transaction() as tx:
            tx.execute(f"set local role {self.role}")
            yield tx


def test_the_scheduler_starts_sweeps_and_asks_for_clean_ups(database: Database) -> None:
    scheduler = As(database, "alma_scheduler")
    queues = Queues(scheduler)
    with database.transaction() as tx:
        jobs.apply(tx, msgspec.convert(row(schedule="0 7 * * *"), ReportJob), NOW - timedelta(hours=1))
    (run_id,) = Scheduler(scheduler, queues.outbox, traceparent=TRACE, now=lambda: NOW).tick().started
    with database.transaction() as tx:
        machine.fail(tx, run_id, "no such report")
    later = datetime.now(UTC) + timedelta(days=31)
    sweep = Sweep(scheduler, queues.outbox, clean_up_after=timedelta(days=30), traceparent=TRACE, now=lambda: later)
    assert sweep.execute().asked == [run_id]


def test_the_scheduler_changes_no_record(database: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), As(database, "alma_scheduler").transaction() as tx:
        tx.execute("update alma.record set state = 'updated'")


def test_people_apply_run_show_and_retry(database: Database, tmp_path: Path) -> None:
    people = As(database, "alma_operator")
    queues = Queues(people)
    alma = Alma(people, queues.outbox, lambda _: None)
    file = tmp_path / "jobs.json"
    file.write_bytes(msgspec.json.encode([row()]))
    assert alma.apply(file).created == ["overdue-items"]
    run_id = alma.run("overdue-items", dry_run=False).run_id
    with database.transaction() as tx:
        tx.execute("insert into alma.fetch (run_id, side) values (%s, 'main')", [run_id])
        machine.fail(tx, run_id, "8 tries")
        machine.open_stage(tx, run_id, "notify", ["1"])
    alma.retry(run_id)
    assert alma.show(run_id, which="all").run.state == "running"
    assert [job.name for job in alma.jobs()] == ["overdue-items"]
    with database.transaction() as tx:
        machine.fail(tx, run_id, "again")
    assert alma.remove(["overdue-items"]).removed == ["overdue-items"]
