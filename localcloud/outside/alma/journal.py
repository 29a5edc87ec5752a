"""Every request that reached the stand-in, in a file that outlives it: who, when, what, and how it was answered."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

FILE = "journal.jsonl"


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request."""

    n: int
    """Counted from 1, over restarts."""
    at: float
    """When it arrived: seconds since 1970, by the stand-in's clock."""
    caller: str = ""
    """The end of its key."""
    operation: str = ""
    """GetReport, GetItem, PutItem, …"""
    what: str = ""
    """The report's path, or the record's ids with slashes."""
    status: int = 0
    """0: never carried out (a fault came first, or the stand-in was killed)."""
    code: str = ""
    """Of a refusal."""
    counted: bool = True
    """Within the thresholds, and part of them."""
    cursor: str = ""
    """Of a report: the beginning of its token …"""
    first: int = 0
    """… and the rows that were served, from 0 …"""
    rows: int = 0
    """… and how many."""
    changed: bool = False
    """Of an update: the record is another one now."""


class Journal:
    """Appends two lines a request: when it is let in, and when it is done."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        known = list(read(folder))
        self._n = max((one.n for one in known), default=0)
        if self._path.exists() and not self._path.read_bytes().endswith(b"\n"):
            self._write(b"\n")  # killed while writing
        self.kept = [one.at for one in known if one.counted]
        """When counted requests arrived, of all that is in the file."""

    def asked(self, entry: Entry) -> Entry:
        """Gives it its number."""
        self._n += 1
        entry.n = self._n
        self.done(entry)
        return entry

    def done(self, entry: Entry) -> None:
        """Writes it as it is now."""
        self._write(msgspec.json.encode(entry) + b"\n")

    def _write(self, line: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(line)


def read(folder: Path) -> Iterator[Entry]:
    """Every request in the order of arrival, as its last line tells it; a line that was cut off is left out."""
    entries: dict[int, Entry] = {}
    try:
        lines = (folder / FILE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.MsgspecError:
            continue
        entries[entry.n] = entry
    yield from (entries[n] for n in sorted(entries))
