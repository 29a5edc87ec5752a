"""Alma, as a process of its own: the local cloud's stand-in with its door, data and journal, and nothing beside it.

`python -m benchmarks.reports.institution FOLDER AUTHORITY` prints its address and serves until its standard input ends.
Its clock is the one by which the limit is judged.
"""

from __future__ import annotations

import asyncio
import bisect
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from core.messages.alma_analytics import Change, Report, ReportJob, Rule
from localcloud.emulators.ca import CertificateAuthority
from localcloud.emulators.door import Door
from localcloud.emulators.ports import Ports
from localcloud.outside.alma import journal, settings
from localcloud.outside.alma.data import Library, json_bytes
from localcloud.outside.alma.journal import Entry
from localcloud.outside.alma.service import AlmaService
from localcloud.outside.alma.settings import Settings

KEY = "l8xxbenchbenchbenchbench"
COLUMNS = ["MMS Id", "Holding Id", "Item Id", "Barcode", "Title", "Internal Note 1", "Target note"]
FIELD = "item_data.internal_note_1"
RULE = Rule(kind="item", ids=COLUMNS[:3], set=[Change(field=FIELD, column=COLUMNS[6], now=COLUMNS[5])])
_EMPTY = ("description", "pages", "pieces", "po_line", "public_note", "fulfillment_note", "internal_note_2",
          "internal_note_3", "statistics_note_1", "statistics_note_2", "statistics_note_3")  # fmt: skip


class Institution:
    """Starts it, changes how it behaves, and reads what reached it."""

    def __init__(self, folder: Path, authority: Path) -> None:
        """`authority`: the folder of the certificate authority that its callers trust."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._authority = folder, authority
        self.library = Library(folder)
        self.url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.reports.institution", str(self.folder), str(self._authority)]
        self._process = process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout  # noqa: S101 - a pipe
        self.pid = process.pid
        self.url = process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"the institution must tell its address; it ended with {self._process.wait()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018 - pipes
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def behave(self, *, latency_ms: float, per_second: int) -> None:
        """From the next request on."""
        settings.write(self.folder, Settings(latency_ms=latency_ms, per_second=per_second, per_day=0))

    def seen(self, since: int = 0) -> list[Entry]:
        """Requests in order of arrival, without the first `since`."""
        return list(journal.read(self.folder))[since:]

    def write_items(self, first: int, count: int, note: str) -> list[list[str]]:
        """Items, and the rows of the report that wants `note` in them."""
        rows = [row(number, note) for number in range(first, first + count)]
        for mms, holding, pid, barcode, title, now, _ in rows:
            self.library.put_record("item", pid, json_bytes({
                "bib_data": {"mms_id": mms, "title": title}, "holding_data": {"holding_id": holding},
                "item_data": {"pid": pid, "barcode": barcode, "internal_note_1": now,
                              "physical_material_type": {"value": "BOOK", "desc": "Book"},
                              "library": {"value": "MAIN"}, "location": {"value": "STACK"},
                              "policy": {"value": "01", "desc": "28 days"}, **dict.fromkeys(_EMPTY, "")},
            }))  # fmt: skip
        return rows


def row(number: int, note: str) -> list[str]:
    """One row of a report about items."""
    ids = [f"{start}{number:08d}0101" for start in ("99", "22", "23")]
    return [*ids, f"B{number:08d}", f"Geschichte der Mühlen {number}", f"Rücken lose {number % 97}", note]


def report_job(path: str, *, limit: int = 1000, rule: Rule | None = None) -> ReportJob:
    """A job about one report of these rows."""
    return ReportJob(name="bench", report=Report(path=path, limit=limit), rule=rule, recipients=["bench@example.com"])


def most_in_a_second(arrivals: Sequence[float]) -> int:
    """Requests in the fullest second that ends with a request: any second, not the clock's."""
    return max((at + 1 - bisect.bisect_right(arrivals, when - 1) for at, when in enumerate(arrivals)), default=0)


def per_second(arrivals: Sequence[float]) -> float:
    """From the first request to the last one."""
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])


def arrivals_of(entries: Iterable[Entry]) -> list[float]:
    """When they came, those that were turned away too."""
    return sorted(entry.at for entry in entries)


async def serve(folder: Path, authority: Path) -> None:
    """Until standard input ends, which it does when whoever started this is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(PermissionError):  # the real one has a machine of its own: its clock must not wait for a processor
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    door = Door(Ports(folder / "ports.json"), CertificateAuthority(authority).server_context)
    print(await door.open(AlmaService(folder, KEY, clock=time.time)), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await door.close_all()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
