"""An HTTP/1.1 answer, read from a connection's buffer: its head, and its body by length, by chunks or to the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from urllib3.exceptions import IncompleteRead, ProtocolError

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?\r?\n")
_LONGEST_LINE = 65_536
_MOST_LINES = 200
_NO_BODY = frozenset({204, 304})


class Headers(Mapping[str, str]):
    """By name in any case; one that occurs twice counts as both, joined by a comma."""

    def __init__(self, lines: list[bytes]) -> None:
        self._values: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise ProtocolError(f"an answer's header must be name: value, got {line[:100]!r}")
            name, value = name.lower(), value.strip()
            self._values[name] = f"{self._values[name]}, {value}" if name in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Reply:
    """An answer whose body is still to be read. `done` is told once whether the connection may be used again."""

    def __init__(self, file: BinaryIO, done: Callable[[bool], None]) -> None:
        """Reads the head. Raises ProtocolError, or what the connection raises."""
        self._file = file
        self._done: Callable[[bool], None] | None = done
        self.status, self._keeps = 100, False
        while self.status < 200:  # interim answers
            self.status, self.headers, self._keeps = _head(file)
        self._chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        self._left = self._length()
        """Bytes of the body, or of the chunk, not read yet; None: as many as come."""
        self._ended = self._left == 0 and not self._chunked
        if self._ended:
            self._end()

    def _length(self) -> int | None:
        if self.status in _NO_BODY:
            self._chunked = False
            return 0
        if self._chunked:
            return 0
        length = self.headers.get("Content-Length")
        if length is None:
            self._keeps = False
            return None
        if not (length.isascii() and length.isdigit()):
            raise ProtocolError(f"an answer's Content-Length must be a number, got {length[:100]!r}")
        return int(length)

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for (-1: all), fewer only at the end. Raises IncompleteRead when the answer breaks
        off, or what the connection raises.
        """
        parts: list[bytes] = []
        try:
            while size and not self._ended:
                part = self._some(size)
                parts.append(part)
                size -= len(part) if size > 0 else 0
        except BaseException:
            self.close()
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, size: int) -> bytes:
        if self._chunked and not self._left and not self._next_chunk():
            return b""
        wanted = size if self._left is None else self._left if size < 0 else min(size, self._left)
        part = self._file.read(wanted)
        if self._left is None:
            if size < 0 or len(part) < size:
                self._end()
            return part
        if len(part) < wanted:
            raise IncompleteRead(len(part), self._left - len(part))
        self._left -= len(part)
        if self._left == 0 and self._chunked:
            _line(self._file)  # the chunk's end
        elif self._left == 0:
            self._end()
        return part

    def _next_chunk(self) -> bool:
        text = _line(self._file).partition(b";")[0].strip()
        try:
            self._left = int(text, 16)
        except ValueError as error:
            raise ProtocolError(f"a chunk must begin with its size, got {text[:100]!r}") from error
        if self._left < 0:
            raise ProtocolError(f"a chunk's size must not be negative, got {text[:100]!r}")
        if self._left:
            return True
        _lines(self._file)  # trailers
        self._end()
        return False

    def _end(self) -> None:
        self._ended = True
        if self._done is not None:
            done, self._done = self._done, None
            done(self._keeps)

    def close(self) -> None:
        """Ends reading; a connection with unread content is dropped."""
        if not self._ended:
            self._keeps = False
            self._end()


def _head(file: BinaryIO) -> tuple[int, Headers, bool]:
    first = _line(file)
    match = _STATUS.fullmatch(first)
    if match is None:
        raise ProtocolError(f"an answer must begin with HTTP/1.1 and a status, got {first[:100]!r}")
    headers = Headers(_lines(file))
    keeps = match[1] == b"1" and "close" not in headers.get("Connection", "").lower()
    return int(match[2]), headers, keeps


def _lines(file: BinaryIO) -> list[bytes]:
    """Up to the empty line."""
    lines: list[bytes] = []
    while (line := _line(file)) not in {b"\r\n", b"\n"}:
        lines.append(line)
        if len(lines) > _MOST_LINES:
            raise ProtocolError(f"an answer must have at most {_MOST_LINES} headers")
    return lines


def _line(file: BinaryIO) -> bytes:
    line = file.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise ProtocolError(f"an answer's line is cut off or too long ({len(line)} bytes)")
    return line
