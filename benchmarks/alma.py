"""alma_analytics: fetching reports, updating records under Alma's limit, combining and cross-referencing datasets.

Each beside its peer in the same minutes: a plain sequential `requests` program, the limit itself, a straight polars
script. Fetching and updating go the whole way: built packages in the Functions host, Azurite, PostgreSQL, tokens; Alma
is a process of its own. One round of updating takes three minutes, so there is one of it for every five of the others.
"""

import asyncio
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Bench, Figure, figure, machine, ratio
from benchmarks.reports import fetching, joining, updating
from benchmarks.reports.institution import Institution
from benchmarks.reports.place import Place

_MEMORY = "/dev/shm"  # noqa: S108 - Alma's clock must not wait for this machine's disk


class Sizes(NamedTuple):
    """How much of each."""

    pages: int = 20
    records: int = 2_000
    rows: int = 500_000


class Found(NamedTuple):
    """Every round of everything, and how busy the machine was."""

    fetched: list[fetching.Fetched]
    updated: list[updating.Updated]
    joined: list[joining.Joined]
    loads: list[float]


def run(root: Path, rounds: int, *, sizes: Sizes | None = None, name: str = "alma") -> Bench:
    """All three."""
    sizes = sizes or Sizes()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        memory = stack.enter_context(tempfile.TemporaryDirectory(dir=_MEMORY if Path(_MEMORY).is_dir() else None))
        found = asyncio.run(_run(root, folder, Path(memory), rounds, sizes))
    return Bench(
        name=name, machine=machine(), rounds=rounds, rows=_rows(sizes, found), ratios=_ratios(sizes, found)
    )  # fmt: skip


async def _run(root: Path, folder: Path, memory: Path, rounds: int, sizes: Sizes) -> Found:
    loads = [os.getloadavg()[0]]
    async with Place(root, folder) as place:
        with Institution(memory, place.authority) as alma:
            fetched = await fetching.fetching(place, alma, folder, rounds, pages=sizes.pages)
            loads.append(os.getloadavg()[0])
            updated = await updating.updating(place, alma, folder, max(1, rounds // 5), records=sizes.records)
            loads.append(os.getloadavg()[0])
        joined = await joining.joining(place, root, folder / "blobs", rounds, rows=sizes.rows)
    return Found(fetched, updated, joined, [*loads, os.getloadavg()[0]])


def _rows(sizes: Sizes, found: Found) -> list[Figure]:
    fetched, updated, joined, loads = found
    return [
        figure("Alma's answer to one page", (one.round_trip_s for one in fetched)),
        figure(f"a report of {sizes.pages} pages, requests", (one.script_s for one in fetched)),
        figure(f"a report of {sizes.pages} pages, ours", (one.alone_s for one in fetched)),
        figure(f"a report of {sizes.pages} pages, ours: processor a page",
               (one.alone_cpu_s / sizes.pages for one in fetched), "s"),
        figure(f"{fetching.AT_ONCE} such reports at once, ours", (one.together_s for one in fetched)),
        figure(f"{sizes.records:,} records, requests", (one.script_rate for one in updated), "requests/s"),
        figure(f"{sizes.records:,} records, ours in {updating.INSTANCES} instances",
               (one.rate for one in updated), "requests/s"),
        figure("most in any sliding second", (one.most for one in updated), "requests"),
        figure("turned away by Alma", (one.refused for one in updated), "requests"),
        figure(f"2 × {sizes.rows:,} rows joined, polars", (one.polars_s for one in joined)),
        figure(f"2 × {sizes.rows:,} rows joined, polars: peak memory", (one.polars_rss_mb for one in joined), "MB"),
        figure(f"2 × {sizes.rows:,} rows joined, ours", (one.ours_s for one in joined)),
        figure(f"2 × {sizes.rows:,} rows joined, ours: peak memory", (one.ours_rss_mb for one in joined), "MB"),
        figure("processes waiting for this machine's cores", loads, "load"),
    ]  # fmt: skip


def _ratios(sizes: Sizes, found: Found) -> dict[str, float]:
    fetched, updated, joined, _ = found
    alone = [one.alone_s for one in fetched]
    return {
        "a report: ours / pages × Alma's answer": ratio(alone, [sizes.pages * one.round_trip_s for one in fetched]),
        "a report: ours / requests": ratio(alone, [one.script_s for one in fetched]),
        f"{fetching.AT_ONCE} reports at once / the longest alone": ratio([one.together_s for one in fetched], alone),
        "updating: ours / Alma's limit": ratio([one.rate for one in updated], [updating.LIMIT]),
        "updating: ours / requests": ratio([one.rate for one in updated], [one.script_rate for one in updated]),
        "joining: ours / polars": ratio([one.ours_s for one in joined], [one.polars_s for one in joined]),
    }  # fmt: skip
