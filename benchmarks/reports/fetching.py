"""Reports by page through the whole way: host, package, queue, PostgreSQL, blobs; beside the script with `requests`.

Alma's cursor forces a report's pages one after another, so a report costs at least its pages times Alma's round trip;
how long that is, the script measures in the same minutes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.ingestion.field import alone
from benchmarks.reports.institution import COLUMNS, Institution, report_job, row
from benchmarks.reports.place import Place, until
from benchmarks.reports.processor import used_s
from core.alma_analytics.starting import PERSON, begin
from localcloud.host.functions import FunctionsHost

SENDS = ("api-fetch", "data-combine", "report-email")
LATENCY_MS = 400
"""Eight at once are then 20 requests a second, below Alma's limit; the real service is slower."""
AT_ONCE = 8
LIMIT_S = 300
_log = logging.getLogger("benchmarks")


class Fetched(NamedTuple):
    """One round."""

    round_trip_s: float
    """Of the script's requests, the median."""
    script_s: float
    alone_s: float
    """One report alone, of as many pages as the longest of those at once."""
    alone_cpu_s: float
    """Processor time of everything but Alma: worker, host, door, Azurite, PostgreSQL."""
    together_s: float
    """All of them, until the last page of the last one is kept."""


async def fetching(place: Place, alma: Institution, folder: Path, rounds: int, *, pages: int = 20) -> list[Fetched]:
    """All ways in turn; the first round warms up."""
    alma.behave(latency_ms=LATENCY_MS, per_second=25)
    sizes = [max(1, pages - number % 4) for number in range(AT_ONCE)]
    for number, size in enumerate(sizes):
        rows = [row(number * 100_000 + at, "x") for at in range(size * 1000 - 500)]
        alma.library.put_report(f"/shared/report {number}", COLUMNS, rows)
    package = await asyncio.to_thread(place.package, "api-fetch", "handlers.alma_analytics.fetch_page")
    host = await place.host(package, alma, instances=2, sends=SENDS)
    found = []
    try:
        for lap in range(rounds + 1):
            _log.info("fetching, %s", f"round {lap} of {rounds}" if lap else "warming up")
            took, script_s = await _script(place, alma, folder / f"script-{lap}")
            before = used_s(os.getpid(), without=alma.pid)
            alone_s = await _ours(place, host, [0], sizes)
            cpu_s = used_s(os.getpid(), without=alma.pid) - before
            together_s = await _ours(place, host, list(range(AT_ONCE)), sizes)
            found.append(Fetched(statistics.median(took), script_s, alone_s, cpu_s, together_s))
    finally:
        await host.stop()
    return found[1:]


async def _script(place: Place, alma: Institution, folder: Path) -> tuple[list[float], float]:
    """Seconds of each request, and of the whole report."""
    await asyncio.to_thread(folder.mkdir)
    arguments = ["fetch", alma.url, place.ca_file, "/shared/report 0", str(folder)]
    used, seconds = await asyncio.to_thread(alone, "benchmarks.reports.sequential", *arguments)
    return msgspec.json.decode(used.note, type=list[float]), seconds


async def _ours(place: Place, host: FunctionsHost, reports: list[int], sizes: list[int]) -> float:
    """From the first message put to the last page kept. Raises when a page is missing or was asked for twice."""
    stamp = f"{time.time():.3f}"
    runs = {f"bench-{stamp}-{number}": number for number in reports}
    began = time.time()

    def start() -> None:
        for run_id, number in runs.items():
            with place.database.transaction() as tx:
                begin(
                    tx, place.outbox, report_job(f"/shared/report {number}"), run_id=run_id, slot=datetime.now(UTC),
                    trigger=PERSON, traceparent="",
                )  # fmt: skip
        for run_id in runs:
            place.outbox.flush(run_id)

    def done() -> bool:
        with place.database.transaction() as tx:
            row = tx.execute(
                "select count(*) as n from jobs.stage where run_id = any(%s) and state = 'done'", [list(runs)]
            ).fetchone()
            return row is not None and row["n"] == len(runs)

    await asyncio.to_thread(start)
    await until(done, LIMIT_S, 0.1)
    await until(lambda: host.in_flight == 0, LIMIT_S)
    with_pages = await asyncio.to_thread(_kept, place, list(runs))
    for run_id, number in runs.items():
        if with_pages[run_id][:3] != (sizes[number], sizes[number] * 1000 - 500, sizes[number]):
            raise RuntimeError(
                f"{run_id}: must have {sizes[number]} pages by as many requests, got {with_pages[run_id]}"
            )
    return max(end for *_, end in with_pages.values()) - began


def _kept(place: Place, runs: list[str]) -> dict[str, tuple[int, int, int, float]]:
    """Pages, rows, requests and the end of each run's fetch."""
    with place.database.transaction() as tx:
        rows = tx.execute(
            "select r.run_id, count(*) as pages, sum(p.rows)::int as rows, r.requests,"
            " (select extract(epoch from max(finished_at))::float8 from jobs.task t where t.run_id = r.run_id) as at"
            " from jobs.run r join alma.page p using (run_id) where r.run_id = any(%s) group by r.run_id",
            [runs],
        ).fetchall()
    return {one["run_id"]: (one["pages"], one["rows"], one["requests"], one["at"]) for one in rows}
