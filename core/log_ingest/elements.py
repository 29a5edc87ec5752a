"""The elements of one big JSON array, found as it streams, each with its exact text.

Fast way: a window that ends behind some element is taken apart by msgspec's scanner. Where that fails (an element
is broken, or longer than the window) elements are found one by one by counting brackets outside strings; whether
each is JSON is the caller's question, so one broken element costs only itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from core.log_ingest.source import EXCERPT_BYTES, MAX_RECORD_BYTES, WHITE, Source
from core.log_ingest.text import Damaged
from core.log_ingest.validate import fault

_scan_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_WINDOW = 256 * 1024
_LOOK_BYTES = 1024 * 1024  # how far the end of the first element is looked for
_TRIES = 16  # nested "}," seen from the window's end before the slow way is taken
# a string never holds a raw line feed: a broken one ends there; a bare quote: its end is not read yet
_MARK = re.compile(rb'"(?:[^"\\\n]++|\\.)*+(?P<end>"|\n|\Z)|"|[\[{\]},]', re.DOTALL)
_BETWEEN = re.compile(rb"\}[ \t\r\n]*,")

Found = tuple[Sequence[bytes], Sequence[int], dict[int, str]]


class Elements:
    """Reads `source` from just behind the opening bracket to just behind the document's end."""

    def __init__(self, source: Source, *, inside_object: bool) -> None:
        """`inside_object`: the array is a member of an object, whose end is read too."""
        self._source = source
        self._inside_object = inside_object
        self._at = 0
        self._depth = 0
        self._count = 0

    @staticmethod
    def plausible(source: Source, start: int) -> bool:
        """Whether an array begins there, not a broken line: its first element is one, or longer than what is read."""
        while (verdict := Elements._first_is_one(source, start)) is None and not source.ended:
            if len(source.data) > _LOOK_BYTES:
                break
            source.fill()
        if verdict is not None:
            return verdict
        # no end in sight: an array whose first element is long, unless the next lines are records by themselves
        following = [line.strip(WHITE) for line in source.data[start:].splitlines()[1:4]]
        following = [line for line in following[: None if source.ended else -1] if line]
        return not following or any(fault(line) for line in following)

    @staticmethod
    def _first_is_one(source: Source, start: int) -> bool | None:
        """Whether what stands before the first comma or the end is an element; None while neither is in sight."""
        depth = 0
        for mark in _MARK.finditer(source.data, start):
            token = mark.group()
            if token in {b"[", b"{"}:
                depth += 1
            elif token in {b"]", b"}", b","} and depth == 0:
                first = source.data[start : mark.start()].strip(WHITE)
                return not first or b"\n" not in first or not fault(first)
            elif token in {b"]", b"}"}:
                depth -= 1
        return None

    def batches(self) -> Iterator[Found]:
        """Texts, line numbers and faults already known. Raises Damaged when the document never ends."""
        open_ = True
        while open_:
            if (window := self._window()) is not None:
                self._count += len(window)
                yield window, [self._source.line] * len(window), {}
                self._source.drop(self._at)
                self._at = 0
                continue
            texts: list[bytes] = []
            lines: list[int] = []
            faults: dict[int, str] = {}
            size = 0
            while size < _WINDOW:
                line, text, reason, open_ = self._next()
                if text or reason:
                    if reason:
                        faults[len(texts)] = reason
                    texts.append(text)
                    lines.append(line)
                    self._count += 1
                size += len(text) + 256  # an empty element costs time too
                if not open_:
                    break
            if texts:
                yield texts, lines, faults
        if self._inside_object:
            self._leave_object()

    def _window(self) -> list[bytes] | None:
        """The elements of a window that ends with a comma; None: not this way."""
        source = self._source
        if len(source.data) < _WINDOW and not source.ended:
            source.fill(_WINDOW - len(source.data))
        for comma in self._candidates():
            part = source.data[:comma]
            try:
                part.decode("utf-8")
                values = _scan_list(b"[" + part + b"]")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if values:
                self._at = comma + 1
                return list(map(bytes, values))
        return None

    def _candidates(self) -> list[int]:
        """Commas near the window's end that may part two elements, the last first: those behind a brace, else any."""
        data = self._source.data
        start = max(0, len(data) - _WINDOW // 4)
        found = [mark.end() - 1 for mark in _BETWEEN.finditer(data, start)]
        if not found:
            found = [mark.start() for mark in re.finditer(b",", data[-256:])]
            found = [at + max(0, len(data) - 256) for at in found]
        return found[: -_TRIES - 1 : -1]

    def _next(self) -> tuple[int, bytes, str, bool]:
        """Line, text and fault of the next element, and whether more may follow. No text, no fault: there was none."""
        source = self._source
        source.fill_past_white()
        source.drop(len(source.data) - len(source.data.lstrip(WHITE)))
        line, self._at, self._depth, excerpt = source.line, 0, 0, b""
        while (closer := self._scan()) == b"":
            if source.ended:
                raise source.damage or Damaged("the array never ends")
            if excerpt or len(source.data) > MAX_RECORD_BYTES:
                excerpt = excerpt or source.data[:EXCERPT_BYTES]
                self._forget_scanned()
            source.fill(max(_WINDOW, 0 if excerpt else len(source.data)))
        text = excerpt or source.data[: self._at - 1].rstrip(WHITE)
        source.drop(self._at)
        more = closer == b","
        if excerpt:
            return line, text, f"record over {MAX_RECORD_BYTES:,} bytes", more
        missing = not text and (more or self._count > 0)
        return line, text, "not JSON: an element is missing" if missing else "", more

    def _scan(self) -> bytes:
        """Moves behind the element's end and returns what ended it ("," or a bracket); empty: more text is needed."""
        data = self._source.data
        for mark in _MARK.finditer(data, self._at):
            token = mark.group()
            if token[:1] == b'"':
                if not mark.group("end"):  # neither a quote nor a line feed: the string goes on
                    self._at = mark.start()
                    return b""
            elif token in {b"[", b"{"}:
                self._depth += 1
            elif token == b",":
                if self._depth == 0:
                    self._at = mark.end()
                    return token
            elif self._depth == 0:
                self._at = mark.end()
                return token
            else:
                self._depth -= 1
        self._at = len(data)
        return b""

    def _forget_scanned(self) -> None:
        """Lets go of an element too long to keep; of a string that goes on only its quote and an open escape stay."""
        source = self._source
        source.drop(self._at)
        if source.data:
            tail = len(source.data) - len(source.data.rstrip(b"\\"))
            source.drop(len(source.data))
            source.data = b'"' + b"\\" * (tail % 2)
        self._at = 0

    def _leave_object(self) -> None:
        """To the brace that ends the object; other members beside the array are passed over."""
        source = self._source
        self._at = self._depth = 0
        while (closer := self._scan()) not in {b"}", b"]"}:
            if closer == b",":
                continue
            if source.ended:
                raise source.damage or Damaged("the object never ends")
            self._forget_scanned()
            source.fill()
        source.drop(self._at)
