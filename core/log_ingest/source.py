"""A growing window on a stream of text, with the line number it begins at."""

from __future__ import annotations

from collections.abc import Iterator

from core.log_ingest.text import Damaged

WHITE = b" \t\r\n"
EXCERPT_BYTES = 200
MAX_RECORD_BYTES = 16 * 1024 * 1024
"""A longer record is dead: what must be held in memory at once has to end somewhere."""


class Source:
    """`data` is what was read and not yet dropped; `ended` when no more will come, by `damage` or in good order."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.data = b""
        self.ended = False
        self.damage: Damaged | None = None
        self.line = 1
        """The line at which `data` begins."""
        self.opening = b""
        """What was dropped last (nothing, when its lines were counted already)."""
        self._after_cr = False

    def fill(self, least: int = 1) -> None:
        """Appends at least `least` bytes, fewer only at the end."""
        new: list[bytes] = []
        size = 0
        try:
            while size < least:
                piece = next(self._pieces)
                new.append(piece)
                size += len(piece)
        except StopIteration:
            self.ended = True
        except Damaged as damage:
            self.ended, self.damage = True, damage
        self.data = b"".join((self.data, *new))

    def drop(self, count: int, *, lines: int = 0) -> None:
        """Forgets the first `count` bytes, counting their lines (LF, CRLF or CR); `lines`: counted already, all LF."""
        if lines:
            self.opening, self.data, self._after_cr = b"", self.data[count:], False
            self.line += lines
            return
        self.opening, self.data = self.data[:count], self.data[count:]
        if not self.opening:
            return
        ends = self.opening.count(b"\n")
        if b"\r" in self.opening or self._after_cr:
            ends += self.opening.count(b"\r") - self.opening.count(b"\r\n")
            ends -= self._after_cr and self.opening.startswith(b"\n")
        self._after_cr = self.opening.endswith(b"\r")
        self.line += ends

    def fill_past_white(self) -> None:
        """Reads until something other than white space is there; drops white space that fills whole pieces."""
        while not self.data.lstrip(WHITE) and not self.ended:
            self.drop(len(self.data))
            self.fill()

    def has_more(self, start: int) -> bool:
        """Whether anything but white space follows `start`."""
        while not self.data[start:].lstrip(WHITE):
            if self.ended or len(self.data) > MAX_RECORD_BYTES:
                return False
            start = len(self.data)
            self.fill()
        return True
