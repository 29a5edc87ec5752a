"""Puts both ways of `combining` through their rounds, and looks at Parquet's two libraries as packages."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from uv import find_uv_bin

from benchmarks.ingestion.field import alone
from benchmarks.reports.combining import MAIN, OTHER, Folder, job, page_names, rows_of
from benchmarks.reports.place import Place
from core.alma_analytics.fetch import packed
from core.alma_analytics.starting import PERSON
from core.alma_analytics.work import SQL
from core.jobs import machine

POLARS = "polars==2.1.0"
_log = logging.getLogger("benchmarks")


class Joined(NamedTuple):
    """One round."""

    ours_s: float
    ours_rss_mb: float
    polars_s: float
    polars_rss_mb: float


def installed(root: Path, pin: str) -> Path:
    """A library in a folder of its own, below the project's cache: no requirement of anything else."""
    folder = root / ".millrace" / "benchmarks" / pin
    if not folder.exists():
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        _log.info("installing %s", pin)
        command = [find_uv_bin(), "pip", "install", "--quiet", "--only-binary", ":all:", "--target", str(new), pin]
        subprocess.run([*command, "--python", sys.executable], check=True)
        new.replace(folder)
    return folder


async def joining(place: Place, root: Path, folder: Path, rounds: int, *, rows: int = 500_000) -> list[Joined]:
    """Both ways in turn on `2 × rows`; the first round warms up."""
    polars = await asyncio.to_thread(installed, root, POLARS)
    _log.info("writing 2 × %s rows", f"{rows:,}")
    await asyncio.to_thread(_write, Folder(folder), rows)
    found = []
    for lap in range(rounds + 1):
        _log.info("joining, %s", f"round {lap} of {rounds}" if lap else "warming up")
        run_id = f"bench-join-{lap}"
        await asyncio.to_thread(_declare, place, run_id, rows)
        found.append(await asyncio.to_thread(_round, place, folder, polars, run_id))
    return found[1:]


def _write(folder: Folder, rows: int) -> None:
    for side, columns in (("main", MAIN), ("other", OTHER)):
        for name in page_names("pages", side, rows):
            first = (int(name[-13:-8]) - 1) * 1000
            page = list(rows_of(side, first, min(1000, rows - first), rows))
            folder.put(name, packed(columns, page))


def _declare(place: Place, run_id: str, rows: int) -> None:
    with place.database.transaction() as tx:
        machine.start(
            tx, run_id=run_id, system="alma_analytics", job="bench", slot=datetime.now(UTC), trigger=PERSON,
            params=msgspec.to_builtins(job()), traceparent="",
        )  # fmt: skip
        for side, columns in (("main", MAIN), ("other", OTHER)):
            for page, name in enumerate(page_names("pages", side, rows), 1):
                tx.execute(SQL["keep_page"], {
                    "run_id": run_id, "side": side, "round": 1, "page": page, "columns": columns, "digest": str(page),
                    "rows": min(1000, rows - (page - 1) * 1000), "blob": name,
                })  # fmt: skip


def _round(place: Place, folder: Path, polars: Path, run_id: str) -> Joined:
    environment = {**os.environ, "DATABASE_TOKEN": place.administrator_token}
    ours, ours_s = alone(
        "benchmarks.reports.combining", str(folder), place.database_endpoint, place.ca_file, run_id,
        environment=environment,
    )  # fmt: skip
    path = os.pathsep.join([str(polars), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": path}
    script, script_s = alone("benchmarks.reports.polars_script", str(folder), "pages", environment=environment)
    for side in ("main", "other", "joined"):
        one, two = (pq.read_table(folder / run / f"{side}.parquet") for run in (run_id, "pages"))
        if not one.equals(two.cast(pa.schema(one.schema))):
            raise RuntimeError(f"{side}: both must write the same rows, got {one.num_rows:,} and {two.num_rows:,}")
        (folder / run_id / f"{side}.parquet").unlink()
    return Joined(ours_s, ours.peak_rss_mb, script_s, script.peak_rss_mb)
