"""Records → rows → upload bodies, written as bytes: the record's text is escaped once and never parsed.

The shape is `core.messages.log_ingest.Row`; a test keeps the two in step.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec

from core.log_ingest.validate import CLEAN_BYTES

_encode = msgspec.json.encode
_SEPARATOR = b"\x7f"  # passes JSON escaping unchanged, and hardly ever occurs in a record
_CONTINUES = 0b1000_0000


@dataclass(slots=True)
class Chunk:
    """One upload: rows `first` to before `last` of the file (counted from 0, parts included)."""

    body: bytes
    first: int
    last: int
    records: int
    """Records whose last part is here."""

    def take_body(self) -> bytes:
        """The body, kept here no longer: once compressed nobody needs it, and many chunks wait for answers."""
        body, self.body = self.body, b""
        return body


def file_id(bucket: str, key: str, version: str) -> str:
    """24 hex digits for one content: `version` is the object's version, or its ETag in a bucket without versions."""
    return hashlib.sha256(f"{bucket}\0{key}\0{version}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where rows come from: the columns that are equal in all of a file's rows."""

    bucket: str
    key: str
    actual_time: str
    file_id: str
    read_at: str
    """RFC 3339, UTC."""


class RowWriter:
    """Turns one file's records into chunks, in order."""

    def __init__(
        self,
        place: Place,
        *,
        max_bytes: int,
        max_rows: int,
        max_field_bytes: int,
        with_time: bool,
        accepted: Callable[[int], bool] | None = None,
    ) -> None:
        """`accepted`: rows that were accepted in an earlier run; they are counted, not written."""
        time = b'"TimeGenerated":%b,' % _encode(place.read_at) if with_time else b""
        self._front = b'{%b"Bucket_Name":%b,"Key":%b,"Actual_Time":%b,"Raw_Data":"' % (
            time, _encode(place.bucket), _encode(place.key), _encode(place.actual_time),
        )  # fmt: skip
        self._middle = b'","Record_Id":"%b-' % place.file_id.encode()
        self._max_bytes = max_bytes - 2
        self._max_rows = max_rows or max_bytes
        self._max_field = max_field_bytes
        self._accepted = accepted
        self._rows: list[bytes] = []
        self._size = 0
        self._records = 0
        self.next_row = 0
        self.extra_parts = 0

    def add(self, texts: Sequence[bytes], positions: Sequence[int]) -> Iterator[Chunk]:
        """Writes valid records; `positions` (from 1) number them in the file. Yields each chunk that became full."""
        joined = _SEPARATOR.join(texts)
        if self._accepted is None and max(map(len, texts)) <= self._max_field:
            escaped = _encode(joined.decode("utf-8"))[1:-1].split(_SEPARATOR)
            if len(escaped) == len(texts):
                yield from self._add_plain(escaped, positions)
                return
        for text, position in zip(texts, positions, strict=True):
            pieces = parts(text, self._max_field)
            self.extra_parts += len(pieces) - 1
            for number, piece in enumerate(pieces, 1):
                row = b'%b%b%b%d","Part":%d,"Parts":%d}' % (
                    self._front, _encode(piece.decode("utf-8"))[1:-1], self._middle, position, number, len(pieces),
                )  # fmt: skip
                yield from self._add_row(row, ends_record=number == len(pieces))

    def add_lines(self, block: bytes, positions: Sequence[int]) -> Iterator[Chunk]:
        """The same for valid records of at most CLEAN_BYTES, one a line, parted by LF: taken apart only as rows."""
        if self._accepted is not None or self._max_field < CLEAN_BYTES or _SEPARATOR in block:
            yield from self.add(block.split(b"\n"), positions)
            return
        escaped = _encode(block.replace(b"\n", _SEPARATOR).decode("utf-8"))[1:-1]
        yield from self._add_plain(escaped.split(_SEPARATOR), positions)

    def rest(self) -> Chunk | None:
        """The rows not yet in a chunk."""
        if not self._rows:
            return None
        self._rows[0] = b"[" + self._rows[0]
        self._rows[-1] += b"]"
        chunk = Chunk(b",".join(self._rows), self.next_row - len(self._rows), self.next_row, self._records)
        self._rows, self._size, self._records = [], 0, 0
        return chunk

    def _add_plain(self, escaped: Sequence[bytes], positions: Sequence[int]) -> Iterator[Chunk]:
        """The common case: one part each, all escaped in one call, and as many at once as the chunk takes."""
        front, middle = self._front, self._middle
        rows = [
            b'%b%b%b%d","Part":1,"Parts":1}' % (front, text, middle, position)
            for text, position in zip(escaped, positions, strict=True)
        ]
        ends = list(accumulate(map(len, rows), initial=0))

        def end(at: int) -> int:
            return ends[at] + at  # a comma behind each row

        start = 0
        while start < len(rows):
            room = self._max_bytes - self._size + end(start)
            fits = bisect_right(range(len(ends)), room, start, key=end) - 1
            fits = min(fits, start + self._max_rows - len(self._rows))
            if fits == start and (chunk := self.rest()) is not None:
                yield chunk
                continue
            fits = max(fits, start + 1)
            self._rows += rows[start:fits]
            self._size += end(fits) - end(start)
            self._records += fits - start
            self.next_row += fits - start
            start = fits

    def _add_row(self, row: bytes, *, ends_record: bool) -> Iterator[Chunk]:
        known = self._accepted is not None and self._accepted(self.next_row)
        full = self._size + len(row) + 1 > self._max_bytes or len(self._rows) >= self._max_rows
        if (known or full) and (chunk := self.rest()) is not None:
            yield chunk  # rows of one chunk follow each other without a gap
        self.next_row += 1
        if not known:
            self._rows.append(row)
            self._size += len(row) + 1
            self._records += ends_record


def parts(text: bytes, limit: int) -> list[bytes]:
    """The text in pieces of at most `limit` bytes, none of which cuts a character in two."""
    if len(text) <= limit:
        return [text]
    pieces = []
    start = 0
    while start < len(text):
        end = min(start + limit, len(text))
        while end < len(text) and text[end] & 0b1100_0000 == _CONTINUES:
            end -= 1
        pieces.append(text[start:end])
        start = end
    return pieces
