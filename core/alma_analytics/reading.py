"""Report jobs, runs, pages, records and their outcomes, as people look at them. Reads only; times are aware."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from core.alma_analytics import names
from core.jobs import machine
from core.jobs.machine import Run, Tx
from core.sql import named

SQL: Final = named("core.alma_analytics", "reading.sql")
Which = Literal["all", "changed", "failed"]
STATES: Final[dict[Which, list[str] | None]] = {
    "all": None,
    "changed": ["updated", "dry"],
    "failed": ["conflict", "gone", "refused"],
}
"""What a choice of records means, by their states; None: any."""


class JobLine(msgspec.Struct, kw_only=True):
    """A report job and how it goes."""

    name: str
    schedule: str | None
    time_zone: str
    enabled: bool
    dry_run: bool
    next_slot: datetime | None
    problem: str | None
    """Why the scheduler gave it up."""
    last_run: str | None
    last_state: str | None
    waits_for: str | None
    """A run of its own that must be over before the slot that is due begins."""


class RunLine(msgspec.Struct, kw_only=True):
    """A run in a list."""

    run_id: str
    job: str
    state: str
    trigger: str
    slot: datetime
    created_at: datetime
    finished_at: datetime | None
    parked_until: datetime | None
    error: str | None
    requests: int
    counts: dict[str, int]
    retries: int


class StageLine(msgspec.Struct, kw_only=True):
    """How far a stage is."""

    stage: str
    state: str
    tasks: int
    settled: int
    failed: int
    opened_at: datetime
    done_at: datetime | None


class PageLine(msgspec.Struct, kw_only=True):
    """A page that was fetched."""

    side: str
    round: int
    page: int
    rows: int
    columns: list[str]
    blob: str
    fetched_at: datetime


class DatasetLine(msgspec.Struct, kw_only=True):
    """A dataset that was made."""

    side: str
    rows: int
    columns: list[str]
    blob: str


class RecordLine(msgspec.Struct, kw_only=True):
    """A record: what was there, what the run wants, what came of it."""

    position: int
    kind: str
    ids: list[str]
    before: dict[str, Any]
    after: dict[str, Any]
    state: str
    reason: str | None
    at: datetime | None


class Waiting(msgspec.Struct, kw_only=True):
    """Messages of a run that are committed and not sent."""

    queue: str
    messages: int
    since: datetime


class Whole(msgspec.Struct, kw_only=True):
    """Everything of one run."""

    run: Run
    stages: list[StageLine]
    pages: list[PageLine]
    datasets: list[DatasetLine]
    outcomes: dict[str, int]
    """Records by state."""
    records: list[RecordLine]
    waiting: list[Waiting]


def jobs(tx: Tx) -> list[JobLine]:
    """All report jobs by name."""
    values = {"system": names.SYSTEM, "now": datetime.now(UTC)}
    return msgspec.convert(tx.execute(SQL["jobs"], values).fetchall(), list[JobLine])


def runs(tx: Tx, *, job: str | None = None, state: str | None = None, limit: int = 50) -> list[RunLine]:
    """The latest runs, the latest first."""
    values = {"system": names.SYSTEM, "job": job, "state": state, "limit": limit}
    return msgspec.convert(tx.execute(SQL["runs"], values).fetchall(), list[RunLine])


def whole(tx: Tx, run_id: str, *, which: Which = "all", limit: int | None = None) -> Whole | None:
    """The run with its stages, pages, datasets and the chosen records (at most `limit`); None: no such run."""
    run = machine.find(tx, run_id)
    if run is None or run.system != names.SYSTEM:
        return None
    key = {"run_id": run_id}
    states = {row["state"]: row["records"] for row in tx.execute(SQL["outcomes"], key).fetchall()}
    chosen = tx.execute(SQL["records"], key | {"states": STATES[which], "limit": limit}).fetchall()
    return Whole(
        run=run,
        stages=_rows(tx, "stages", key, StageLine),
        pages=_rows(tx, "pages", key, PageLine),
        datasets=_rows(tx, "datasets", key, DatasetLine),
        outcomes=states,
        records=msgspec.convert(chosen, list[RecordLine]),
        waiting=_rows(tx, "messages", key, Waiting),
    )


def _rows(tx: Tx, statement: str, key: dict[str, str], kind: type[msgspec.Struct]) -> Any:
    return msgspec.convert(tx.execute(SQL[statement], key).fetchall(), list[kind])  # type: ignore[valid-type]
