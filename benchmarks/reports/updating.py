"""Records read, changed and written by three instances that share one limit; beside the script with `requests`.

What counts is the stand-in's own journal: when each request arrived, those that it turned away too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.ingestion.field import alone
from benchmarks.reports.combining import Folder
from benchmarks.reports.institution import (
    COLUMNS,
    FIELD,
    RULE,
    Institution,
    arrivals_of,
    most_in_a_second,
    per_second,
    report_job,
)
from benchmarks.reports.place import Place, until
from core.alma_analytics.combine import parquet
from core.alma_analytics.prepare import prepare_updates
from core.alma_analytics.starting import PERSON
from core.alma_analytics.work import SQL, Work
from core.clients.alma_record import JsonDocument
from core.jobs import machine
from core.messages.alma_analytics import PrepareUpdates

SENDS = ("alma-update", "report-email")
LATENCY_MS, LIMIT, INSTANCES = 60, 25, 3
SCRIPT_RECORDS = 400
"""Enough to see a rate that does not change."""
_log = logging.getLogger("benchmarks")


class Updated(NamedTuple):
    """One round."""

    rate: float
    """Requests a second, from the first one's arrival to the last one's."""
    most: int
    """In the fullest sliding second, by the server's clock."""
    refused: int
    """Turned away: over the limit."""
    script_rate: float


async def updating(place: Place, alma: Institution, folder: Path, rounds: int, *, records: int = 2000) -> list[Updated]:
    """Both ways in turn."""
    package = await asyncio.to_thread(place.package, "alma-update", "handlers.alma_analytics.update_records")
    host = await place.host(package, alma, instances=INSTANCES, sends=SENDS)
    alma.behave(latency_ms=LATENCY_MS, per_second=LIMIT)
    found = []
    try:
        for lap in range(1, rounds + 1):
            _log.info("updating, round %s of %s: the script", lap, rounds)
            script = await _script(place, alma, folder / f"update-{lap}", min(records, SCRIPT_RECORDS), lap)
            _log.info("updating, round %s of %s: %s records by %s instances", lap, rounds, records, INSTANCES)
            found.append(await _ours(place, alma, folder / f"update-{lap}", records, lap, script))
            await until(lambda: host.in_flight == 0, 60)
    finally:
        await host.stop()
    return found


async def _script(place: Place, alma: Institution, folder: Path, records: int, lap: int) -> float:
    """Its requests a second."""
    rows = alma.write_items(0, records, f"from the script {lap}")
    await asyncio.to_thread(Folder(folder).put, "items.json", json.dumps(rows).encode())
    seen = len(alma.seen())
    arguments = ["update", alma.url, place.ca_file, str(folder)]
    await asyncio.to_thread(alone, "benchmarks.reports.sequential", *arguments)
    return per_second(arrivals_of(alma.seen(seen)))


async def _ours(
    place: Place, alma: Institution, folder: Path, records: int, lap: int, script_rate: float,
) -> Updated:  # fmt: skip
    run_id, note = f"bench-update-{lap}", f"from us {lap}"
    rows = alma.write_items(0, records, note)
    seen = len(alma.seen())
    await asyncio.to_thread(_begin, place, folder, run_id, rows)
    limit_s = records * 2 / LIMIT * 2 + 60
    await until(lambda: _settled(place, run_id), limit_s, 1)
    entries = alma.seen(seen)
    _check(alma, rows, note)
    arrivals = arrivals_of(entries)
    refused = sum(one.status == 429 for one in entries)
    return Updated(per_second(arrivals), most_in_a_second(arrivals), refused, script_rate)


def _begin(place: Place, folder: Path, run_id: str, rows: list[list[str]]) -> None:
    """A run whose dataset is there: its updates are planned by the real step, which sends a message a batch."""
    body = parquet(COLUMNS, iter([[list(column) for column in zip(*rows, strict=True)]]))
    dataset = {"run_id": run_id, "side": "main", "rows": len(rows), "columns": COLUMNS, "blob": "main"}
    with place.database.transaction() as tx:
        machine.start(
            tx, run_id=run_id, system="alma_analytics", job="bench", slot=datetime.now(UTC), trigger=PERSON,
            params=msgspec.to_builtins(report_job("/shared/bench", rule=RULE)), traceparent="",
        )  # fmt: skip
        tx.execute(SQL["put_dataset"], dataset)
    datasets = Folder(folder)
    datasets.put("main", body)
    work = Work(database=place.database, outbox=place.outbox, traceparent="")
    prepare_updates(work, datasets, PrepareUpdates(run_id=run_id))


def _settled(place: Place, run_id: str) -> bool:
    with place.database.transaction() as tx:
        query = "select count(*) as n from alma.record where run_id = %s and state in ('pending', 'sent')"
        row = tx.execute(query, [run_id]).fetchone()
        return row is not None and row["n"] == 0


def _check(alma: Institution, rows: list[list[str]], note: str) -> None:
    """Every record has its note."""
    for row in rows:
        body = alma.library.record("item", row[2])
        if body is None or JsonDocument(body).read(FIELD) != note:
            raise RuntimeError(f"item {row[2]}: its note must be {note!r}, got {body!r}")
