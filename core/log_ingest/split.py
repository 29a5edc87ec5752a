"""UTF-8 text of a log file → its records, as a stream of batches.

A file is one JSON value a line, or one top-level array, or CloudTrail's `{"Records": […]}`; which one is decided on
its first line. Each record keeps its own text, outer white space removed. Memory: one batch, or one record
(`MAX_RECORD_BYTES`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.log_ingest.elements import Elements
from core.log_ingest.source import EXCERPT_BYTES, MAX_RECORD_BYTES, WHITE, Source
from core.log_ingest.validate import clean_lines, fault

_BOM = b"\xef\xbb\xbf"
_RECORDS = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"Records"[ \t\r\n]*:[ \t\r\n]*\[')
_LINE_END = re.compile(rb"[\r\n]")
_LF = ord("\n")
_LOOK_BYTES = 1024 * 1024  # how far the first line is looked at before its form is taken for granted


@dataclass(slots=True)
class Batch:
    """Some records in file order."""

    texts: Sequence[bytes]
    lines: Sequence[int]
    """Line number (from 1) at which each begins."""
    faults: dict[int, str] = field(default_factory=dict)
    """Index → reason, for records that are dead already; their text is an excerpt."""


@dataclass(slots=True)
class Clean:
    """Records that are known to be JSON, in the most common form: not taken apart."""

    block: bytes
    """One record a line, parted by LF; none is longer than validate.CLEAN_BYTES."""
    count: int
    first_line: int

    @property
    def batch(self) -> Batch:
        """Taken apart."""
        return Batch(self.block.split(b"\n"), range(self.first_line, self.first_line + self.count))


def split(pieces: Iterator[bytes]) -> Iterator[Batch | Clean]:
    """Batches of records. Raises Damaged at the point from which the file cannot be read."""
    source = Source(pieces)
    opening = _form(source)
    if opening:
        source.drop(opening)
        for texts, lines, faults in Elements(source, inside_object=_is_object(source.opening)).batches():
            yield Batch(texts, lines, faults)
        # whatever follows the document's end is read as lines
    yield from _lines(source)
    if source.damage is not None:
        raise source.damage


def _is_object(opening: bytes) -> bool:
    return opening.lstrip(WHITE).startswith(b"{")


def _form(source: Source) -> int:
    """How many bytes open a stream of elements (`[` or `{"Records": [`); 0: the file is lines."""
    source.fill_past_white()
    start = len(source.data) - len(source.data.lstrip(WHITE))
    if source.data[start : start + 1] not in {b"[", b"{"}:
        return 0
    while (end := _LINE_END.search(source.data, start)) is None and not source.ended and len(source.data) < _LOOK_BYTES:
        source.fill()
    if end is not None or source.ended:
        first = source.data[start : end.start() if end else None]
        if fault(first.rstrip(WHITE)) == "" and source.has_more(end.end() if end else len(source.data)):
            return 0  # a whole value, and more lines after it
    if source.data[start : start + 1] == b"{":
        opening = _RECORDS.match(source.data)
        if opening is None and end is not None:  # the opening itself may span lines
            while not source.ended and len(source.data) < start + 4096:
                source.fill()
            opening = _RECORDS.match(source.data)
        return opening.end() if opening else 0
    return start + 1 if Elements.plausible(source, start + 1) else 0


def _lines(source: Source) -> Iterator[Batch | Clean]:
    """The rest of the source, a record a line; blank lines count as lines only."""
    while True:
        block = source.data
        cut = max(block.rfind(b"\n"), block.rfind(b"\r", 0, None if source.ended else -1)) + 1
        if source.ended and source.damage is None:
            cut = len(block)  # the last line needs no end
        if cut:
            batch = _batch(block[:cut], source.line)
            yield batch
            source.drop(cut, lines=batch.count if isinstance(batch, Clean) and block[cut - 1] == _LF else 0)
        elif len(block) > MAX_RECORD_BYTES:
            yield Batch([block[:EXCERPT_BYTES]], [source.line], {0: f"record over {MAX_RECORD_BYTES:,} bytes"})
            _skip_line(source)
        if source.ended:
            if source.data and source.damage is None:
                continue
            return
        source.fill()


def _skip_line(source: Source) -> None:
    while (end := _LINE_END.search(source.data)) is None and not source.ended:
        source.drop(len(source.data))
        source.fill()
    source.drop(end.start() if end else len(source.data))


def _batch(block: bytes, first_line: int) -> Batch | Clean:
    if b"\r" in block:
        raw = block.splitlines()
    else:
        block = block.removesuffix(b"\n")
        if count := clean_lines(block):
            return Clean(block, count, first_line)
        raw = block.split(b"\n")
    if _BOM in block:  # files glued together keep their marks
        raw = [line.removeprefix(_BOM) for line in raw]
    texts = [text for line in raw if (text := line.strip(WHITE))]
    if len(texts) == len(raw):
        return Batch(texts, range(first_line, first_line + len(raw)))
    return Batch(texts, [number for number, line in enumerate(raw, first_line) if line.strip(WHITE)])
