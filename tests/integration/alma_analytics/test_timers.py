"""The scheduler's two handlers, as the platform calls them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from core.alma_analytics import jobs, names
from core.jobs import machine
from core.messages.alma_analytics import ReportJob
from core.messages.ticks import TimerTick
from core.runtime.context import Context
from core.runtime.deadline import Deadline
from core.runtime.log import Log
from core.runtime.outcome import Done, Retry
from core.runtime.settings import SettingsError, read
from handlers.alma_analytics import schedule, sweep
from tests.integration.alma_analytics.queues import Queues
from tests.postgres import Database
from tests.unit.alma_analytics.rows import row

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")


def called(clients: Any, *, limit_s: float = 300) -> Context[Any]:
    return Context(
        function="f", invocation_id="i", trace_id="0af7651916cd43dd8448eb211c80319c", span_id="b7ad6b7169203331",
        attempt=1, deadline=Deadline(limit_s), clients=clients, log=Log(),
    )  # fmt: skip


def due(database: Database, *wanted: str) -> None:
    """Jobs whose slot was a minute ago."""
    with database.transaction() as tx:
        for name in wanted:
            job = msgspec.convert(row(name=name, schedule="* * * * *"), ReportJob)
            jobs.apply(tx, job, datetime.now(UTC) - timedelta(minutes=2))


def test_the_schedule_starts_what_is_due_and_carries_its_trace(database: Database) -> None:
    queues = Queues(database)
    due(database, "one", "two")
    outcome = schedule.handle(TimerTick(), called(SimpleNamespace(database=database, outbox=queues.outbox)))
    assert isinstance(outcome, Done)
    assert outcome.counts == {"in": 2, "dead": 0}
    traces = {envelope.traceparent for envelope in queues[names.API_FETCH].envelopes}
    assert traces == {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with database.transaction() as tx:
        assert {row["traceparent"] for row in tx.execute("select traceparent from jobs.run").fetchall()} == traces


def test_a_queue_that_is_down_is_told_and_costs_nothing(database: Database) -> None:
    queues = Queues(database)
    queues[names.API_FETCH].down = True
    due(database, "one")
    clients = SimpleNamespace(database=database, outbox=queues.outbox)
    outcome = schedule.handle(TimerTick(), called(clients))
    assert isinstance(outcome, Retry)
    assert "messages wait for the sweep" in outcome.reason
    queues[names.API_FETCH].down = False
    with database.transaction() as tx:
        tx.execute("update jobs.outbox set put_at = put_at - interval '2 minutes'")
    swept = sweep.handle(TimerTick(), called((clients, timedelta(days=30))))
    assert isinstance(swept, Done)
    assert swept.counts == {"in": 2}


def test_nothing_is_begun_when_the_time_is_up(database: Database) -> None:
    queues = Queues(database)
    due(database, "one")
    clients = SimpleNamespace(database=database, outbox=queues.outbox)
    outcome = schedule.handle(TimerTick(), called(clients, limit_s=schedule.SAFE_S))
    assert isinstance(outcome, Done)
    assert outcome.counts == {"in": 0, "dead": 0}


def test_the_sweep_asks_for_a_clean_up(database: Database) -> None:
    queues = Queues(database)
    due(database, "one")
    clients = SimpleNamespace(database=database, outbox=queues.outbox)
    schedule.handle(TimerTick(), called(clients))
    with database.transaction() as tx:
        run = tx.execute("select run_id from jobs.run").fetchone()
        assert run is not None
        machine.finish(tx, run["run_id"])
    outcome = sweep.handle(TimerTick(), called((clients, timedelta(0))))
    assert isinstance(outcome, Done)
    assert outcome.summary == {"sent": 1, "clean_up": [run["run_id"]]}


def test_days_that_are_none_are_refused_at_start() -> None:
    with pytest.raises(SettingsError, match="CLEANUP_DAYS must be"):
        read(sweep.Settings, {"CLEANUP_DAYS": "-1"})
