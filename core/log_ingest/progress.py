"""What is already done, kept as blobs: per file (which rows were accepted), per message (whether it gets on).

A file's blob is named by its content (bucket, key, version or ETag), so that the same object announced twice is read
once.
"""

from __future__ import annotations

import threading
from bisect import bisect_right

import msgspec

from core.clients.faults import Changed
from core.log_ingest.ports import Container


class FileState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The blob of one file."""

    bucket: str = ""
    key: str = ""
    version: str = ""
    done: bool = False
    part_bytes: int = 0
    """Rows are numbered under this limit."""
    accepted: list[tuple[int, int]] = []
    """Rows accepted: from, to before; sorted, apart from each other."""
    dead: int = 0
    """Dead-letter entries recorded, in file order."""
    run: int = 0
    """Which run of its message rows were last accepted in."""
    records_out: int = 0


class MessageState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The blob of a message that was not settled in one run."""

    runs: int = 0
    """Runs that began on it, as far as known. The receive count grows without a run, too: when answers get lost."""
    last_run: str = ""
    moved_at: int = 0
    """The last run that got on, or that a passing fault of others stopped."""
    tries: dict[str, int] = {}
    """Failed tries by file."""
    last: str = ""
    """The last failure."""


class FileProgress:
    """A file's state with its guarded writes. Thread-safe."""

    def __init__(self, container: Container, file_id: str, *, part_bytes: int, folder: str = "files") -> None:
        """Reads the blob."""
        self._container = container
        self._name = f"{folder}/{file_id[:2]}/{file_id}.json"
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._changes = self._saved = 0
        kept = container.get(self._name)
        self._etag = kept.etag if kept else ""
        self.state = msgspec.json.decode(kept.body, type=FileState) if kept else FileState()
        self.known = kept is not None
        if self.state.part_bytes not in {0, part_bytes} and not self.state.done:
            self.state.accepted = []  # numbered under another limit: cannot be compared (a changed upload option)
        self.state.part_bytes = part_bytes
        self._starts = [first for first, _ in self.state.accepted]
        self._before = list(self.state.accepted)
        self._records_before = self.state.records_out

    def accepted_before(self, row: int) -> bool:
        """Whether an earlier run got this row accepted."""
        at = bisect_right(self._starts, row) - 1
        return at >= 0 and row < self._before[at][1]

    def accept(self, first: int, last: int, *, records: int, run: int) -> None:
        """Rows `first` to before `last` were accepted."""
        with self._lock:
            self.state.accepted = merged([*self.state.accepted, (first, last)])
            self.state.records_out += records
            self.state.run = run
            self._changes += 1

    def withdraw(self) -> tuple[int, int]:
        """What this run accepted does not count; answers how many rows and records that were."""
        with self._lock:
            rows = sum(last - first for first, last in self.state.accepted) - sum(b - a for a, b in self._before)
            records = self.state.records_out - self._records_before
            self.state.accepted, self.state.records_out = list(self._before), self._records_before
            return rows, records

    def save(self, *, done: bool = False, dead: int | None = None) -> None:
        """Writes what changed. Raises Changed when another run works on the same file."""
        with self._lock:
            self.state.done = self.state.done or done
            self.state.dead = self.state.dead if dead is None else dead
            self._changes += 1
            wanted = self._changes
        with self._writing:
            if self._saved >= wanted:
                return  # written together with somebody else's change
            with self._lock:
                body, now = msgspec.json.encode(self.state), self._changes
            try:
                self._etag = self._container.put(self._name, body, etag=self._etag)
            except Changed as error:
                kept = self._container.get(self._name)
                if kept is None or kept.body != body:  # else: our own write, whose answer got lost
                    raise Changed(f"another run works on {self.state.bucket}/{self.state.key}") from error
                self._etag = kept.etag
            self._saved = now


class MessageProgress:
    """A message's state; read, and this run noted, only when it was received before."""

    def __init__(self, container: Container, message_id: str, *, receives: int, run: str) -> None:
        """`run` tells this run from others: a message delivered twice in one run began once."""
        self._container = container
        self._name = f"messages/{safe_name(message_id)}.json"
        kept = container.get(self._name) if receives > 1 else None
        self.known = kept is not None
        self.state = msgspec.json.decode(kept.body, type=MessageState) if kept else MessageState()
        if self.state.last_run != run:
            unknown = receives > 1 and not self.known  # an earlier run left no note: it may have died of this message
            self.state.runs += 2 if unknown else 1
            self.state.last_run = run
            if receives > 1:
                self.save()

    def still(self, file_run: int = 0) -> int:
        """Runs without progress so far, this one included."""
        return self.state.runs - max(self.state.moved_at, file_run)

    def save(self) -> None:
        """Writes the state."""
        self._container.put(self._name, msgspec.json.encode(self.state))
        self.known = True

    def forget(self) -> None:
        """The message is settled."""
        if self.known:
            self._container.delete(self._name)


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same rows in as few ranges as possible, sorted."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def safe_name(text: str) -> str:
    """A message id as part of a blob's name."""
    return "".join(char if char.isascii() and (char.isalnum() or char == "-") else "_" for char in text)[:100]
