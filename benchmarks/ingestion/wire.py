"""HTTP/1.1 with as little work as possible: a server beside what it measures must cost next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

_TEXTS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 400: "Bad Request",
          404: "Not Found", 412: "Precondition Failed", 429: "Too Many Requests"}  # fmt: skip


@dataclass(slots=True)
class Request:
    """One request, whole."""

    method: str
    path: str
    """With its query."""
    headers: dict[bytes, bytes]
    """Names in lower case."""
    body: bytes


@dataclass(slots=True)
class Reply:
    """What to answer, and when: `after_s` seconds from the request's last byte."""

    status: int
    body: bytes = b""
    headers: bytes = b""
    """Whole lines, each ended by CRLF."""
    after_s: float = 0.0


Answer = Callable[[Request, Callable[[Reply], None]], None]
"""Calls back with the reply, at once or later."""


class Connection(asyncio.Protocol):
    """One client's connection; requests follow each other."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._wanted = 0
        """Bytes until the request in hand is whole; 0: its head is not read yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102 - asyncio's
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server's
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102 - asyncio's
        self._transport = None

    def data_received(self, data: bytes) -> None:  # noqa: D102 - asyncio's
        self._parts.append(data)
        self._size += len(data)
        while self._size and self._size >= self._wanted:
            whole = b"".join(self._parts) if len(self._parts) > 1 else self._parts[0]
            end = whole.find(b"\r\n\r\n") + 4
            if end < 4:
                self._parts = [whole]
                return
            method, path, headers = _head(whole[: end - 4])
            self._wanted = end + int(headers.get(b"content-length", b"0"))
            if self._size < self._wanted:
                if headers.get(b"expect") and self._size == end and self._transport:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._parts = [whole]
                return
            request = Request(method, path, headers, whole[end : self._wanted])
            rest = whole[self._wanted :]
            self._parts, self._size, self._wanted = [rest] if rest else [], len(rest), 0
            self._answer(request, self._reply)

    def _reply(self, reply: Reply) -> None:
        if reply.after_s:
            self._loop.call_later(reply.after_s, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: Reply) -> None:
        if self._transport is None:
            return
        length = b"" if reply.status == 204 else b"Content-Length: %d\r\n" % len(reply.body)
        head = b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (reply.status, _TEXTS[reply.status].encode(), length, reply.headers)
        self._transport.writelines([head, reply.body] if reply.body else [head])


def _head(text: bytes) -> tuple[str, str, dict[bytes, bytes]]:
    first, *lines = text.split(b"\r\n")
    method, path, _ = first.decode("latin-1").split(" ")
    pairs = (line.partition(b":") for line in lines)
    return method, path, {name.lower(): value.strip() for name, _, value in pairs}
