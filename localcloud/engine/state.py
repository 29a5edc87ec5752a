"""The embedded engine's memory between two runs: what it made, in one SQLite file a stack.

Written after every single step, so that a run killed half-way goes on where it was. One writer at a time: a second
`up` of the same stack is refused at once with the holder's process id, never queued.
"""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from localcloud.engine.holding import holding
from localcloud.engine.values import Values


class StackBusyError(Exception):
    """Another run holds this stack."""


class StateError(Exception):
    """The record of a stack cannot be opened."""


class Record(msgspec.Struct, kw_only=True):
    """One resource as the last run left it. `order` counts registrations: one depends on earlier ones only."""

    urn: str
    type: str
    name: str
    custom: bool
    order: int
    parent: str = ""
    id: str = ""
    inputs: Values = {}
    outputs: Values = {}
    dependencies: list[str] = []
    protect: bool = False
    retain_on_delete: bool = False
    replace_on_changes: list[str] = []


class State:
    """The records of one stack. Thread-safe: registrations arrive on many threads."""

    def __init__(self, file: Path) -> None:
        """Open or create the file (mode 0600: outputs may hold what only its owner should read)."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        self._file = file
        self._mutex = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS resource (urn TEXT PRIMARY KEY, record BLOB NOT NULL)")
        except sqlite3.OperationalError as error:
            free_mb = shutil.disk_usage(file.parent).free // 1_000_000
            raise StateError(
                f"the engine's record {file} must be readable and writable, got: {error} ({free_mb} MB free on its "
                "disk); free some space or mend the file's rights, then run this again: nothing was changed"
            ) from error

    def close(self) -> None:
        """Close the file; records are already on disk."""
        self._db.close()

    def records(self) -> dict[str, Record]:
        """Every record by urn."""
        with self._mutex:
            rows = self._db.execute("SELECT record FROM resource").fetchall()
        records = (msgspec.json.decode(row[0], type=Record) for row in rows)
        return {record.urn: record for record in records}

    def put(self, record: Record) -> None:
        """Write one record."""
        with self._mutex:
            self._db.execute("REPLACE INTO resource VALUES (?, ?)", (record.urn, msgspec.json.encode(record)))

    def remove(self, urn: str) -> None:
        """Forget one record."""
        with self._mutex:
            self._db.execute("DELETE FROM resource WHERE urn = ?", (urn,))

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """Hold the stack for one run; raises `StackBusyError` if another process holds it."""

        def busy(holder: str) -> StackBusyError:
            return StackBusyError(
                f"another run (process {holder}) is changing this stack; wait for it to end, then run this again"
            )

        with holding(self._file.with_suffix(".lock"), busy):
            yield
