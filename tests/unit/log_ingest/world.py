"""Small honest stand-ins for the outside: they keep the promises of the Protocols, in memory, without sockets."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from core.clients.faults import Changed, Denied, Fault, Gone, Transient
from core.log_ingest.ports import Clients, Message, Rules
from core.log_ingest.run import Run
from core.messages.log_ingest import RunSummary
from core.runtime.deadline import Deadline
from core.runtime.log import Log


class Clock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Delivered:
    id: str
    receipt: str
    body: str
    receives: int


@dataclass
class _Queued:
    id: str
    body: str
    receives: int = 0
    visible_at: float = 0.0
    receipt: str = ""


class MemoryQueue:
    """Visibility, receive counts; a receipt is good for the latest delivery only."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.messages: dict[str, _Queued] = {}
        self.lock = threading.Lock()
        self._ids = itertools.count(1)
        self.hidden: list[int] = []
        self.was_hidden = threading.Event()

    def put(self, body: Any) -> str:
        name = f"message-{next(self._ids)}"
        self.messages[name] = _Queued(name, body if isinstance(body, str) else json.dumps(body))
        return name

    def receive(self, count: int, *, wait_s: int, visibility_s: int) -> Sequence[Message]:  # noqa: ARG002
        got: list[Message] = []
        with self.lock:
            for one in self.messages.values():
                if len(got) == count:
                    break
                if one.visible_at <= self.clock.now:
                    one.receives += 1
                    one.visible_at = self.clock.now + visibility_s
                    one.receipt = f"{one.id}/{one.receives}"
                    got.append(Delivered(one.id, one.receipt, one.body, one.receives))
        return got

    def delete(self, message: Message) -> None:
        with self.lock:
            one = self._held(message)
            if one is not None:
                del self.messages[one.id]

    def hide(self, message: Message, seconds: int) -> None:
        with self.lock:
            one = self._held(message)
            if one is None:
                raise Fault("stale receipt")
            one.visible_at = self.clock.now + seconds
            self.hidden.append(seconds)
            self.was_hidden.set()

    def _held(self, message: Message) -> _Queued | None:
        one = self.messages.get(message.id)
        return one if one is not None and one.receipt == message.receipt else None


class MemoryObject:
    def __init__(self, body: bytes, etag: str, version: str, modified: datetime, on_read: Callable[[], None]) -> None:
        self._body = body
        self._at = 0
        self.etag, self.version, self.modified = etag, version, modified
        self._on_read = on_read

    def read(self, size: int) -> bytes:
        self._on_read()
        piece = self._body[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def close(self) -> None:
        self._at = len(self._body)


class MemoryObjects:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], tuple[bytes, datetime]] = {}
        self.denied: set[str] = set()
        self.broken: set[str] = set()
        """Keys whose read fails for want of a network."""
        self.on_read: Callable[[], None] = lambda: None
        self.opened: list[str] = []

    def put(self, key: str, body: bytes, *, bucket: str = "logs", modified: datetime | None = None) -> str:
        self.objects[bucket, key] = (body, modified or datetime(2025, 10, 31, 12, 30, tzinfo=UTC))
        return hashlib.md5(body).hexdigest()  # noqa: S324 - S3's ETag

    def open(self, bucket: str, key: str, version: str | None) -> MemoryObject:  # noqa: ARG002
        self.opened.append(key)
        if bucket in self.denied or key in self.denied:
            raise Denied(f"s3 get {bucket}/{key}: 403 AccessDenied")
        if key in self.broken:
            raise Transient(f"s3 get {bucket}/{key}: 503 SlowDown")
        if (bucket, key) not in self.objects:
            raise Gone(f"s3 get {bucket}/{key}: 404 NoSuchKey")
        body, modified = self.objects[bucket, key]
        return MemoryObject(body, hashlib.md5(body).hexdigest(), "", modified, self.on_read)  # noqa: S324


class MemoryTable:
    """Takes JSON arrays under the real limits. `answer` may raise before or after the rows are in."""

    max_bytes = 1_000_000
    max_rows = 0
    max_field_bytes = 65_536
    takes_time_generated = True

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.uploads: list[int] = []
        self.lock = threading.Lock()
        self.before: Callable[[list[dict[str, Any]]], None] = lambda _: None
        self.after: Callable[[list[dict[str, Any]]], None] = lambda _: None

    def send(self, body: bytes, *, until: float | None = None) -> tuple[int, int]:  # noqa: ARG002
        assert len(body) <= self.max_bytes
        rows = json.loads(body)
        assert isinstance(rows, list)
        assert rows
        assert not self.max_rows or len(rows) <= self.max_rows
        assert all(len(row["Raw_Data"].encode()) <= self.max_field_bytes for row in rows)
        with self.lock:
            self.before(rows)
            self.rows.extend(rows)
            self.uploads.append(len(rows))
            self.after(rows)
        return len(body), 0


@dataclass(frozen=True)
class KeptBlob:
    body: bytes
    etag: str


class MemoryContainer:
    """ETags change with each write; preconditions hold."""

    def __init__(self) -> None:
        self.blobs: dict[str, KeptBlob] = {}
        self.lock = threading.Lock()
        self._etags = itertools.count(1)

    def get(self, name: str) -> KeptBlob | None:
        with self.lock:
            return self.blobs.get(name)

    def put(self, name: str, body: bytes, *, etag: str | None = None) -> str:
        with self.lock:
            now = self.blobs.get(name)
            if etag is not None and etag != (now.etag if now else ""):
                raise Changed(f"blob put {name}: 412")
            new = f'"{next(self._etags)}"'
            self.blobs[name] = KeptBlob(body, new)
            return new

    def delete(self, name: str) -> None:
        with self.lock:
            self.blobs.pop(name, None)

    def read(self, prefix: str) -> list[dict[str, Any]]:
        return [json.loads(blob.body) for name, blob in sorted(self.blobs.items()) if name.startswith(prefix)]


@dataclass
class World:
    """One of everything, and runs on it."""

    clock: Clock = field(default_factory=Clock)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    table: MemoryTable = field(default_factory=MemoryTable)
    progress: MemoryContainer = field(default_factory=MemoryContainer)
    failed: MemoryContainer = field(default_factory=MemoryContainer)
    rules: Rules = field(default_factory=lambda: Rules(receive_wait_s=0, files_at_once=4, uploads_at_once=4))
    slept: list[float] = field(default_factory=list)
    early: list[Callable[[], object]] = field(default_factory=list)
    today: datetime = datetime(2025, 10, 31, 18, 0, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.queue = MemoryQueue(self.clock)

    def feed(self, key: str, body: bytes, **more: Any) -> str:
        """An object and its notification in the document's form; the message's id."""
        self.objects.put(key, body, **more)
        return self.queue.put({"Bucket Name": "logs", "Object Key": key, "Event Time": "2025-10-31T12:30:45Z"})

    def run(self, **rules: Any) -> RunSummary:
        clients = Clients(
            queue=self.queue, objects=self.objects, upload=self.table, progress=self.progress, failed=self.failed,
            rules=replace(self.rules, **rules), early=self.early,
        )  # fmt: skip
        deadline = Deadline(300, clock=self.clock)
        return Run(clients, clients.rules, deadline, Log(), now=lambda: self.today, sleep=self.slept.append).execute()

    def later(self, seconds: float = 3600) -> None:
        self.clock.now += seconds

    def texts(self) -> list[str]:
        return [row["Raw_Data"] for row in self.table.rows]

    def dead_entries(self) -> list[dict[str, Any]]:
        return [entry for letter in self.failed.read("files/") for entry in letter["entries"]]

    def dead_messages(self) -> list[dict[str, Any]]:
        return self.failed.read("messages/")


def lines(*texts: str) -> bytes:
    return "".join(text + "\n" for text in texts).encode()


def gz(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def many(count: int, size: int = 400) -> list[str]:
    """That many records of about `size` bytes each."""
    return [json.dumps({"n": number, "x": "y" * size}) for number in range(count)]


def failing_first(times: int, fault: Exception) -> Callable[[Any], None]:
    """To stand before or after a call: raises the first `times` times."""
    left = [times]

    def look(_: Any) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise fault

    return look
