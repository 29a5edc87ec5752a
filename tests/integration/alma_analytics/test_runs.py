"""Whole runs under every weather: each record once or listed, no page skipped or doubled, one letter."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest

from core.messages.alma_analytics import Change, Report, ReportJob, Rule
from tests.integration.alma_analytics.weather import Weather
from tests.integration.alma_analytics.world import World
from tests.postgres import Database

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")

JOB = ReportJob(
    name="shelf-audit",
    report=Report(path="/shared/audit", limit=25, key="Barcode"),
    other=Report(path="/shared/remote", limit=25, key="Barcode"),
    rule=Rule(
        kind="item",
        ids=["MMS Id", "Holding Id", "Item Id"],
        set=[Change(field="note", column="other.Note", now="Note")],
    ),
    recipients=["librarian@example.com"],
)


def library(world: World, items: int = 90) -> dict[tuple[str, ...], str]:
    """Puts items and two reports into Alma; what the job must bring about, by ids."""
    rows: list[tuple[str | None, ...]] = []
    others: list[tuple[str | None, ...]] = []
    wanted: dict[tuple[str, ...], str] = {}
    for number in range(items):
        ids = (f"99{number:06}", f"22{number:06}", f"23{number:06}")
        now = f"old {number}" if number % 4 else None
        world.alma.records[ids] = {"note": now, "title": f"Größe {number}"}
        rows.append((*ids, f"B{number:05}", f"Größe {number}", now))
        if number % 2 == 0:
            new = f"to store {number}" if number % 10 else now
            others.append((f"B{number:05}", new))
            if new and new != now:
                wanted[ids] = new
    world.alma.reports["/shared/audit"] = (("MMS Id", "Holding Id", "Item Id", "Barcode", "Title", "Note"), rows)
    world.alma.reports["/shared/remote"] = (("Barcode", "Note"), others)
    return wanted


def rows_of(database: Database, sql: str) -> list[dict[str, Any]]:
    with database.connect() as connection:
        return connection.execute(sql).fetchall()


def check(world: World, database: Database, wanted: dict[tuple[str, ...], str]) -> str:
    """Compares what came of the run with the truth; answers its state."""
    assert world.dead == []
    (run,) = rows_of(database, "select * from jobs.run")
    assert rows_of(database, "select * from jobs.outbox") == []
    assert len(world.mailbox.sent) == 1, world.mailbox.sent.keys()
    if run["state"] == "failed":
        assert "begun 6 times" in run["error"] or "tries" in run["error"], run["error"]
        return "failed"
    assert run["state"] == "done", run
    for side, path in (("main", "/shared/audit"), ("other", "/shared/remote")):
        table = pq.read_table(_reader(world.datasets.kept[f"run-1/{side}.parquet"]))
        assert [tuple(row.values()) for row in table.to_pylist()] == world.alma.reports[path][1], side
    records = rows_of(database, "select * from alma.record")
    assert {tuple(row["ids"]) for row in records} == set(wanted)
    for row in records:
        _judge(world, wanted, row)
    return "done"


def _reader(body: bytes) -> Any:
    import pyarrow as pa

    return pa.BufferReader(body)


def _judge(world: World, wanted: dict[tuple[str, ...], str], row: dict[str, Any]) -> None:
    ids = tuple(row["ids"])
    applied = world.alma.applied[ids]
    if row["state"] == "updated":
        assert applied == 1, (ids, applied)
        assert ids in world.alma.removals or world.alma.records[ids]["note"] == wanted[ids]
    elif row["state"] == "conflict":
        assert ids in world.alma.edits, row
        assert applied == 0
    elif row["state"] == "gone":
        assert ids in world.alma.removals, row
    else:
        raise AssertionError(row)


def test_a_calm_run_updates_what_differs_and_tells_its_people(database: Database) -> None:
    world = World(database, Weather())
    wanted = library(world)
    world.start(JOB)
    world.run()
    assert check(world, database, wanted) == "done"
    (letter,) = world.mailbox.sent.values()
    assert letter.subject == f"[Alma] shelf-audit: {len(wanted)} of {len(wanted)} updated"
    assert world.alma.requests == 4 + 2 + 2 * len(wanted)


@pytest.mark.parametrize("seed", range(12))
def test_two_instances_at_once_lose_and_double_nothing(database: Database, seed: int) -> None:
    weather = Weather(
        seed=seed, kill=0.005, double=0.9, overlap=0.3, turn_lost=0.5, throttled=0.03, lost_answer=0.02, expired=0.03,
        repeats=0.02,
    )  # fmt: skip
    world = World(database, weather)
    wanted = library(world)
    world.start(JOB)
    world.run()
    assert world.overlapped > 0
    check(world, database, wanted)


@pytest.mark.parametrize("seed", range(12))
def test_weather_loses_and_doubles_nothing(database: Database, seed: int) -> None:
    weather = Weather(
        seed=seed, kill=0.01, double=0.1, throttled=0.03, lost_answer=0.02, broken=0.03, expired=0.03, repeats=0.03,
        edited=0.03, removed=0.01, day_ends_after=150 if seed % 3 == 0 else 0,
    )  # fmt: skip
    world = World(database, weather)
    wanted = library(world)
    world.start(JOB)
    world.run()
    check(world, database, wanted)
