"""Answers as servers write them, whole, broken and odd."""

from __future__ import annotations

from io import BytesIO

import pytest
from urllib3.exceptions import HTTPError, IncompleteRead, ProtocolError

from core.clients.reply import Reply

OK = b"HTTP/1.1 200 OK\r\n"


def _read(text: bytes, size: int = -1) -> tuple[int, bytes, list[bool], bytes]:
    """Status, body (read in pieces of `size`), what was told of the connection, and what follows the answer."""
    told: list[bool] = []
    file = BytesIO(text)
    reply = Reply(file, told.append)
    pieces = [reply.read(size)]
    while size > 0 and pieces[-1]:
        pieces.append(reply.read(size))
    assert reply.read() == b""
    reply.close()
    return reply.status, b"".join(pieces), told, file.read()


@pytest.mark.parametrize("size", [-1, 1, 3, 100])
@pytest.mark.parametrize(
    ("text", "status", "body", "keeps"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello", True),
        (OK + b"content-length:5\r\n\r\nhello", 200, b"hello", True),
        (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
        (OK + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello", 200, b"hello", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
        (b"HTTP/1.1 204\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\nContent-Length: 1\n\nx", 201, b"x", True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n", 200, b"hello", True),
        (OK + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200, b"", True),
    ],
)
def test_an_answer(text: bytes, status: int, body: bytes, keeps: bool, size: int) -> None:
    assert _read(text + b"next", size) == (status, body, [keeps], b"next")


@pytest.mark.parametrize("size", [-1, 2, 100])
def test_without_a_length_the_body_ends_with_the_connection(size: int) -> None:
    assert _read(OK + b"\r\nhello", size) == (200, b"hello", [False], b"")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"", ProtocolError),
        (b"HTTP/1.1 200", ProtocolError),
        (b"SSH-2.0\r\n\r\n", ProtocolError),
        (b"HTTP/2 200 OK\r\n\r\n", ProtocolError),
        (OK, ProtocolError),
        (OK + b"Content-Length: 5", ProtocolError),
        (OK + b"no colon\r\n\r\n", ProtocolError),
        (OK + b"Content-Length: five\r\n\r\n", ProtocolError),
        (OK + b"Content-Length: -5\r\n\r\n", ProtocolError),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", ProtocolError),
        (OK + b"X: y\r\n" * 300 + b"\r\n", ProtocolError),
        (OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n", ProtocolError),
        (OK + b"Content-Length: 5\r\n\r\nhell", IncompleteRead),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhell", IncompleteRead),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ProtocolError),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nfive\r\n", ProtocolError),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n", ProtocolError),
    ],
)
def test_a_broken_answer_has_no_end(text: bytes, kind: type[HTTPError]) -> None:
    told: list[bool] = []
    with pytest.raises(kind):
        Reply(BytesIO(text), told.append).read()
    assert True not in told


def test_a_connection_with_unread_content_is_not_used_again() -> None:
    told: list[bool] = []
    reply = Reply(BytesIO(OK + b"Content-Length: 5\r\n\r\nhello"), told.append)
    assert reply.read(4) == b"hell"
    reply.close()
    assert (reply.read(), told) == (b"", [False])


def test_headers_have_no_case_and_add_up() -> None:
    reply = Reply(BytesIO(OK + b'ETag: "a"\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n'), lambda _: None)
    assert (reply.headers["etag"], reply.headers.get("X-a"), reply.headers.get("none")) == ('"a"', "1, 2", None)
