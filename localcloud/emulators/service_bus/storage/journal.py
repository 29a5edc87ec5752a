"""An append-only log of records in a folder: what `durable()` told about survives SIGKILL of the process.

It does not survive a power loss: records are handed to the operating system, not forced to the disk (no fsync).

- **Records** are bytes, framed by length and CRC-32. The log knows nothing of what they say.
- **Group commit**: all that was appended is written by one `write`, when somebody asks `durable`, or else within
  `LATEST_S`.
- **Torn tails**: a record that was cut off by a kill is cut from the newest file at the next start; nobody was told
  of it.
- **Reclaiming**: the log is a row of segments. When it is much larger than what lives in it, the oldest segment is
  read again, a piece with every commit; the owner's `keep` turns each record into one of what still lives, which is
  appended anew; then the file is deleted. A record may only refer to things whose record is older: so deleting from
  the old end never leaves a reference without its thing.
"""

import asyncio
import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

MAGIC: Final = b"SBLOG\x00\x01\n"
FRAME: Final = struct.Struct("<II")  # length and CRC-32 of the record
SEGMENT_BYTES: Final = 4 * 1024 * 1024
SLACK_SEGMENTS: Final = 4  # beyond twice of what lives
STEP_BYTES: Final = 64 * 1024
MAX_RECORD: Final = 1 << 30
LATEST_S: Final = 0.01
"""Whoever tells a client of something asks `durable` first, so nearly always nothing is left to be written then."""


class JournalError(Exception):
    """The folder cannot be used: says which file and why."""


class Journal:
    """Open with `Journal(folder)`, read everything with `replay()` once, then append."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._buffer: list[bytes] = []
        self._pending = 0
        self._scheduled = False
        self._reading: Iterator[bytes] | None = None
        self._keep: Callable[[bytes], bytes | None] = lambda record: record
        self._live: Callable[[], int] = lambda: 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            text = f"{folder} is in use by another process; stop that one, or give this one a folder of its own."
            raise JournalError(text) from None
        self._segments = {int(path.stem): path.stat().st_size for path in sorted(folder.glob("*.log"))}
        self._newest = max(self._segments, default=1)
        self.size = sum(self._segments.values())
        """Bytes of all segments."""
        self._file = -1

    def replay(self) -> Iterator[bytes]:
        """All records, oldest first; then the log is ready for appending. A torn tail is cut."""
        for number in sorted(self._segments):
            yield from self._read(number, newest=number == self._newest)
        self._open_segment(self._newest)

    def reclaim(self, keep: Callable[[bytes], bytes | None], live: Callable[[], int]) -> None:
        """From now on old segments are given up. `keep` is asked what of a record still lives (None: nothing), `live`
        for about how many bytes live.
        """
        self._keep, self._live = keep, live

    # -- writing

    def append(self, record: bytes) -> None:
        """Written with the next commit: by `durable` or `flush`, or soon."""
        self._push(record)
        if not self._scheduled:
            self._schedule()

    def _push(self, record: bytes) -> None:
        self._buffer.append(FRAME.pack(len(record), zlib.crc32(record)))
        self._buffer.append(record)
        self._pending += FRAME.size + len(record)

    def _schedule(self) -> None:
        try:
            asyncio.get_running_loop().call_later(LATEST_S, self._commit)
        except RuntimeError:
            return  # no event loop: the owner flushes
        self._scheduled = True

    def durable(self) -> asyncio.Future[None] | None:
        """Write what all appended since the last write, at once: without fsync, waiting for a larger group would
        cost more than it saves (measured). None: it is written. A future that failed with OSError: it could not be, and
        is tried again with the next write.
        """
        try:
            self.flush()
        except OSError as error:
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed
        return None

    def _commit(self) -> None:
        self._scheduled = False
        try:
            self.flush()
        except OSError:
            return  # whoever asks `durable` is told; the next write tries again

    def flush(self) -> None:
        """Write what was appended."""
        if not self._buffer:
            return
        written = self._pending
        self._write()
        self._tidy(written)

    def _write(self) -> None:
        """All or nothing: what was written in part is cut off again."""
        data = b"".join(self._buffer)
        newest = self._newest
        start = self._segments[newest]
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            os.ftruncate(self._file, start)
            raise
        self._segments[newest] = start + len(data)
        self.size += len(data)
        self._buffer.clear()
        self._pending = 0
        if self._segments[newest] >= self._segment_bytes:
            self._open_segment(newest + 1)

    def close(self) -> None:
        """Write the rest and let go of the folder."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        os.close(self._lock)

    # -- segments

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012}.log"

    def _open_segment(self, number: int) -> None:
        if self._file >= 0:
            os.close(self._file)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path(number), flags, 0o600)
        size = os.fstat(self._file).st_size
        if size < len(MAGIC):  # new, or torn before its first record
            os.ftruncate(self._file, 0)
            os.write(self._file, MAGIC)
            size = len(MAGIC)
        self.size += size - self._segments.get(number, 0)
        self._segments[number] = size
        self._newest = number

    def _read(self, number: int, *, newest: bool = False) -> Iterator[bytes]:
        path = self._path(number)
        good = 0
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            if magic == MAGIC:
                good = len(MAGIC)
                while (frame := file.read(FRAME.size)) and (record := _record(frame, file.read)) is not None:
                    good += FRAME.size + len(record)
                    yield record
            elif not newest or not MAGIC.startswith(magic):
                raise JournalError(f"{path} is no log of this version; move it away to begin anew.")
        if good == path.stat().st_size:
            return
        if not newest:
            raise JournalError(
                f"{path} is damaged at byte {good}: only the newest file can be cut off there by a kill."
            )
        os.truncate(path, good)
        self.size += good - self._segments[number]
        self._segments[number] = good

    def _tidy(self, written: int) -> None:
        """Go on with giving up the oldest segment, twice as fast as the log grows."""
        if self._reading is None:
            enough = 2 * self._live() + SLACK_SEGMENTS * self._segment_bytes
            if len(self._segments) < 2 or self.size <= enough:
                return
            self._reading = self._read(min(self._segments))
        left = max(STEP_BYTES, 2 * written)
        for record in self._reading:
            left -= len(record)
            kept = self._keep(record)
            if kept is not None:
                self._push(kept)
            if left <= 0:
                break
        else:
            self._reading = None
        if self._buffer:
            self._write()  # what lives stands in the new place before the old one goes
        if self._reading is None:
            oldest = min(self._segments)
            self._path(oldest).unlink()
            self.size -= self._segments.pop(oldest)


def _record(frame: bytes, read: Callable[[int], bytes]) -> bytes | None:
    """The record that follows its frame, whole; None when the file ends before."""
    if len(frame) < FRAME.size:
        return None
    length, crc = FRAME.unpack(frame)
    if length > MAX_RECORD:
        return None
    record = read(length)
    return record if len(record) == length and zlib.crc32(record) == crc else None
