"""What a run does with each kind of job and report, besides the usual one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from core.alma_analytics.fetch import ROW_LIMIT
from core.clients.alma import Page, ReportFault
from core.messages.alma_analytics import Change, ReportJob, Rule
from core.runtime.outcome import Done
from tests.integration.alma_analytics.test_runs import JOB, library, rows_of
from tests.integration.alma_analytics.weather import Weather
from tests.integration.alma_analytics.world import World
from tests.postgres import Database

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")
AUDIT, REMOTE = "/shared/audit", "/shared/remote"


def finished(world: World, database: Database, job: ReportJob) -> dict[str, Any]:
    """The run's row once nothing is left to do."""
    world.start(job)
    world.run()
    assert world.dead == []
    (run,) = rows_of(database, "select * from jobs.run")
    return run


def states(database: Database) -> dict[str, int]:
    found = rows_of(database, "select state, count(*)::int as records from alma.record group by 1")
    return {row["state"]: row["records"] for row in found}


def subject(world: World) -> str:
    (letter,) = world.mailbox.sent.values()
    return letter.subject


def test_a_dry_run_prepares_everything_and_updates_nothing(database: Database) -> None:
    world = World(database, Weather())
    wanted = library(world)
    run = finished(world, database, msgspec.structs.replace(JOB, dry_run=True))
    assert (run["state"], states(database)) == ("done", {"dry": len(wanted)})
    assert not world.alma.applied
    assert world.alma.requests == 6, "pages only"
    assert subject(world) == f"[Alma] shelf-audit: dry run, {len(wanted)} would change"


def test_a_second_run_touches_nothing_twice(database: Database) -> None:
    world = World(database, Weather())
    wanted = library(world)
    finished(world, database, JOB)
    world.start(JOB, "run-2")
    world.run()
    assert sum(world.alma.applied.values()) == len(wanted)
    found = rows_of(
        database, "select state, count(*)::int as records from alma.record where run_id = 'run-2' group by 1"
    )
    assert found == [{"state": "unchanged", "records": len(wanted)}]


def test_a_report_without_a_rule_is_told_and_nothing_else(database: Database) -> None:
    world = World(database, Weather())
    library(world)
    run = finished(world, database, msgspec.structs.replace(JOB, rule=None, other=None))
    assert (run["state"], states(database)) == ("done", {})
    assert subject(world) == "[Alma] shelf-audit: nothing to change"


def test_rows_whose_key_the_other_report_has_not(database: Database) -> None:
    world = World(database, Weather())
    library(world, items=20)
    rule = Rule(
        kind="item", ids=["MMS Id", "Holding Id", "Item Id"], set=[Change(field="note", value="not in store")],
        matched="main_only",
    )  # fmt: skip
    run = finished(world, database, msgspec.structs.replace(JOB, rule=rule))
    assert (run["state"], states(database)) == ("done", {"updated": 10})


def test_no_rows_at_all(database: Database) -> None:
    world = World(database, Weather())
    library(world)
    for path, (columns, _) in list(world.alma.reports.items()):
        world.alma.reports[path] = (columns, [])
    run = finished(world, database, JOB)
    assert (run["state"], states(database), subject(world)) == ("done", {}, "[Alma] shelf-audit: nothing to change")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("a heading", 'main report: must have column "Item Id"'),
        ("a key twice", 'other report: its key "Barcode" must be there once each, 1 are there more often (B00000)'),
        ("the limit", f"must have fewer than {ROW_LIMIT:,} rows, as Analytics cuts there"),
    ],
)
def test_what_ends_a_run_and_is_told_with_its_reason(database: Database, wrong: str, says: str) -> None:
    world = World(database, Weather())
    library(world, items=30)
    columns, rows = world.alma.reports[AUDIT]
    if wrong == "a heading":
        world.alma.reports[AUDIT] = (tuple("Piece" if name == "Item Id" else name for name in columns), rows)
    elif wrong == "a key twice":
        other = world.alma.reports[REMOTE]
        world.alma.reports[REMOTE] = (other[0], [*other[1], other[1][0]])
    job = JOB
    if wrong == "the limit":
        job = msgspec.structs.replace(JOB, report=msgspec.structs.replace(JOB.report, limit=1000))
        world.alma.reports[AUDIT] = (columns, [(*rows[0][:3], f"X{n}", None, None) for n in range(ROW_LIMIT)])
    run = finished(world, database, job)
    assert run["state"] == "failed"
    assert says in run["error"]
    assert not world.alma.applied
    (letter,) = world.mailbox.sent.values()
    assert says in letter.text


def test_two_rows_that_want_different_values_of_one_record_leave_it_alone(database: Database) -> None:
    world = World(database, Weather())
    library(world, items=8)
    columns, rows = world.alma.reports[AUDIT]
    world.alma.reports[AUDIT] = (columns, [*rows, (*rows[2][:3], "B00004", None, None)])
    finished(world, database, JOB)
    (refused,) = rows_of(database, "select ids, reason from alma.record where state = 'refused'")
    assert tuple(refused["ids"]) == rows[2][:3]
    assert refused["reason"] == "two rows of the report want different values of it"


def test_the_daily_threshold_parks_the_run_until_the_next_day(database: Database) -> None:
    world = World(database, Weather(day_ends_after=30))
    wanted = library(world)
    began = world.clock.now
    run = finished(world, database, JOB)
    assert (run["state"], states(database)) == ("done", {"updated": len(wanted)})
    assert world.clock.now - began > timedelta(days=1)


def test_a_letter_that_may_have_left_long_ago_is_not_sent_again(database: Database) -> None:
    world = World(database, Weather())
    library(world, items=4)
    world.start(JOB)
    while not any(one.queue == "report-email" for one in world.queue):
        world._deliver(world.queue[0])
    (message,) = [one for one in world.queue if one.queue == "report-email"]
    with database.connect() as tx:  # it was begun, and nobody looked after it for a day
        tx.execute("update jobs.task set state = 'running', attempt = 1, started_at = now() where stage = 'notify'")
        tx.execute("update jobs.stage set opened_at = opened_at - interval '24 hours' where stage = 'notify'")
    outcome = world._handle(message)
    assert isinstance(outcome, Done)
    assert world.mailbox.sent == {}
    (task,) = rows_of(database, "select state, reason from jobs.task where stage = 'notify'")
    assert task["state"] == "failed"
    assert "may have left" in task["reason"]


def test_a_reason_names_report_and_page_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(database, Weather())
    library(world, items=4)

    def answered(*_: Any, path: str, **__: Any) -> Page:  # as core.clients.alma words it
        raise ReportFault(f"report {path}: 400 GENERAL_ERROR Path not found ({path})")

    monkeypatch.setattr(world.alma, "report_page", answered)
    run = finished(world, database, JOB)
    assert run["error"] in {
        f"report {path}, page 1: 400 GENERAL_ERROR Path not found ({path})" for path in (AUDIT, REMOTE)
    }
