"""Two reports' pages → two datasets → one joined: the real steps, beside a straight polars script.

Both in processes of their own, on the same pages in the stored form (gzipped JSON by column) in a local folder.
`python -m benchmarks.reports.combining FOLDER ENDPOINT CA RUN` is ours; the script is polars_script.py. What both write
is compared.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.ingestion.contestant import compete
from core.alma_analytics import names
from core.alma_analytics.combine import combine
from core.alma_analytics.cross_reference import cross_reference
from core.alma_analytics.work import Work
from core.clients.postgres import Postgres
from core.jobs.outbox import Outbox
from core.messages.alma_analytics import Change, Combine, CrossReference, Report, ReportJob, Rule

PAGE_ROWS = 1000
MAIN = ["MMS Id", "Holding Id", "Item Id", "Barcode", "Title", "Internal Note 1"]
OTHER = ["Barcode", "Target location", "Target note"]
KEY = "Barcode"
DATABASE, ADMINISTRATOR = "alma", "deployer"


def job() -> ReportJob:
    """Rows whose key is in both reports, with the other's columns."""
    note = Change(field="item_data.internal_note_1", column="other.Target note", now="Internal Note 1")
    return ReportJob(
        name="bench", report=Report(path="/shared/main", key=KEY), other=Report(path="/shared/other", key=KEY),
        rule=Rule(kind="item", ids=MAIN[:3], set=[note]), recipients=["bench@example.com"],
    )  # fmt: skip


class Kept(NamedTuple):
    """A file's content."""

    body: bytes


class Folder:
    """A container's promises, kept by files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> Kept | None:
        """None when there is no such file."""
        path = self._folder / name
        return Kept(path.read_bytes()) if path.exists() else None

    def put(self, name: str, body: bytes, *, etag: str | None = None, kind: str = "") -> str:
        """Whole."""
        del etag, kind
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return ""

    def delete(self, name: str) -> None:
        """Removes it."""
        (self._folder / name).unlink(missing_ok=True)

    def names(self, prefix: str = "") -> Iterator[str]:
        """All of them."""
        found = (str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file())
        return iter(sorted(name for name in found if name.startswith(prefix)))


def page_names(run: str, side: str, rows: int) -> list[str]:
    """Blobs of a report's pages, as the fetch names them."""
    return [f"{run}/{side}/01/{page:05}.json.gz" for page in range(1, -(-rows // PAGE_ROWS) + 1)]


def rows_of(side: str, first: int, count: int, total: int) -> Iterator[Sequence[str | None]]:
    """Rows of a report: half of the other's keys are also the main one's; every fourth note is null."""
    for number in range(first, first + count):
        if side == "main":
            ids = (f"{start}{number:08d}0101" for start in ("99", "22", "23"))
            note = None if number % 4 == 0 else f"Rücken lose {number % 97}"
            yield (*ids, f"B{number:08d}", f"Geschichte der Mühlen {number % 5000}, Band {number % 7}", note)
        else:
            key = (number * 7919) % total * 2  # another order, and half of them strangers
            yield (f"B{key:08d}", "Außenmagazin", f"Außenmagazin Regal {number % 40:02d}/{number % 200:03d}")


class Nowhere:
    """A queue of which nobody asks: the datasets are what is measured."""

    def send(self, body: bytes, *, delay_s: int = 0) -> None:
        """Gone."""


def ours(folder: Folder, database: Postgres, run_id: str) -> None:
    """The real steps, one message after another."""
    outbox = Outbox(database, dict.fromkeys(names.QUEUES, Nowhere()))
    work = Work(database=database, outbox=outbox, traceparent="")
    for side in names.sides(job()):
        combine(work, folder, folder, Combine(run_id=run_id, side=side, round=1))
    cross_reference(work, folder, CrossReference(run_id=run_id))


def main(folder: str, endpoint: str, ca_file: str, run_id: str) -> None:
    """See above; the token is in the environment."""
    token = os.environ["DATABASE_TOKEN"]
    database = Postgres(lambda: token, endpoint=endpoint, name=DATABASE, user=ADMINISTRATOR, ca_file=ca_file)
    compete(lambda: ours(Folder(Path(folder)), database, run_id))


if __name__ == "__main__":
    main(*sys.argv[1:])
