"""The dead-letter place: blobs that say what was left out, why, and how to feed it again.

`files/<file id>/<first entry>.json`: lines and files (`whole.json`: a file given up); `messages/<message id>.json`:
whole messages. Names and contents are deterministic but for the time, so that writing again after a crash records
nothing twice. How a letter comes back: redrive.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from core.log_ingest.notices import File
from core.log_ingest.ports import Container, Message
from core.log_ingest.progress import safe_name

ENTRIES_PER_BLOB = 1_000
EXCERPT_BYTES = 200


class DeadEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One record, or the rest of a file from some line on."""

    reason: str
    scope: str = "line"
    """line, or file: from here to the end."""
    line: int = 0
    position: int = 0
    """The record's number in the file; 0: the file as a whole."""
    excerpt: str = ""
    """At most 200 bytes, escaped."""
    attempts: int = 1
    """How often it was tried, redrives included."""
    time: str = ""
    """When it was found dead again; empty: the letter's own time."""
    last: str = ""
    """Why the last redrive could not even try it."""


class DeadFile(msgspec.Struct, kw_only=True):
    """A blob below `files/`."""

    time: str
    bucket: str
    key: str
    version: str
    event_time: str
    message_id: str
    message: str
    """A body that announces the file again."""
    entries: list[DeadEntry]


class DeadMessage(msgspec.Struct, kw_only=True):
    """A blob below `messages/`."""

    time: str
    reason: str
    message_id: str
    receives: int
    excerpt: str
    body: str
    attempts: int = 1
    """How often it was dead-lettered."""


class DeadLetters:
    """Writes into the dead-letter place."""

    def __init__(self, container: Container, *, now: Callable[[], datetime]) -> None:
        self._container = container
        self._now = now

    def message(self, message: Message, reason: str) -> None:
        """A whole message is dead."""
        body = message.body.encode("utf-8", "backslashreplace").decode()  # a lone surrogate could not be written
        letter = DeadMessage(
            time=self._time(), reason=reason, message_id=message.id, receives=message.receives,
            excerpt=excerpt(body[:EXCERPT_BYTES].encode()), body=body,
        )  # fmt: skip
        self._container.put(f"messages/{safe_name(message.id)}.json", msgspec.json.encode(letter))

    def of_file(self, file: File, *, file_id: str, version: str, message_id: str, recorded: int) -> FileLetters:
        """The place of one file; its first `recorded` entries were written by earlier runs."""
        head = DeadFile(
            time=self._time(), bucket=file.bucket, key=file.key, version=version, event_time=file.event_time,
            message_id=message_id, message=file.body(), entries=[],
        )  # fmt: skip
        return FileLetters(self._container, f"files/{file_id}", head, recorded)

    def given_up(self, file: File, *, file_id: str, message_id: str, reason: str) -> None:
        """A whole file is dead: its lines were never read to the end, or not at all."""
        head = DeadFile(
            time=self._time(), bucket=file.bucket, key=file.key, version=file.version, event_time=file.event_time,
            message_id=message_id, message=file.body(), entries=[DeadEntry(scope="file", reason=reason)],
        )  # fmt: skip
        self._container.put(f"files/{file_id}/whole.json", msgspec.json.encode(head))

    def _time(self) -> str:
        return stamp(self._now())


class FileLetters:
    """Entries of one file, in file order. One thread."""

    def __init__(self, container: Container, folder: str, head: DeadFile, recorded: int) -> None:
        self._container = container
        self._folder = folder
        self._head = head
        self._seen = 0
        self._recorded_before = recorded
        self.recorded = recorded

    @property
    def new(self) -> int:
        """Entries that this run recorded."""
        return self.recorded - self._recorded_before

    def add(self, entry: DeadEntry) -> None:
        """One more; those that an earlier run recorded are passed over."""
        self._seen += 1
        if self._seen <= self._recorded_before:
            return
        self._head.entries.append(entry)
        if len(self._head.entries) >= ENTRIES_PER_BLOB:
            self.flush()

    def flush(self) -> None:
        """Writes what is not yet written."""
        if self._head.entries:
            self._container.put(f"{self._folder}/{self.recorded + 1:08d}.json", msgspec.json.encode(self._head))
            self.recorded += len(self._head.entries)
            self._head.entries = []


def stamp(moment: datetime) -> str:
    """A time as letters say it: RFC 3339, milliseconds, UTC."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def excerpt(text: bytes) -> str:
    """The beginning, at most 200 bytes of printable ASCII: everything else is escaped."""
    shown = text[:EXCERPT_BYTES].decode("utf-8", "surrogateescape")
    return "".join(map(_printable, shown))[:EXCERPT_BYTES]


def _printable(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
