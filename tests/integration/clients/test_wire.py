"""Connections: kept, found closed, refused, broken, encrypted. Against a server that answers what it is told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3.exceptions import HTTPError, LocationParseError, ProtocolError, ReadTimeoutError

from core.clients import wire
from core.clients.faults import InDoubt, Refused, Transient
from core.clients.http import Http
from core.clients.wire import NotSentError, Wire
from localcloud.emulators.ca import CertificateAuthority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANG = b""


class Server:
    """One answer a request, in order; after one that says so, the connection is closed."""

    def __init__(self, answers: list[bytes], context: ssl.SSLContext | None = None) -> None:
        self._answers = answers
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heads: list[bytes] = []
        self.connections = 0
        self.closed = threading.Event()
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
                self._held.append(line)
                if self._context:
                    line = self._context.wrap_socket(line, server_side=True)
                    self._held.append(line)
            except (OSError, ssl.SSLError):
                if self._listener.fileno() < 0:
                    return
                continue
            self.connections += 1
            self._talk(line)

    def _talk(self, line: socket.socket) -> None:
        file, answer = line.makefile("rb"), OK
        while head := b"".join(iter(file.readline, b"\r\n")) if file.peek(1) else b"":
            self.heads.append(head)
            length = [int(text.split(b":")[1]) for text in head.split(b"\r\n") if text.startswith(b"Content-Length")]
            file.read(length[0] if length else 0)
            answer = self._answers.pop(0)
            line.sendall(answer)
            if answer in {HANG, b"cut"} or b"close" in answer:
                break
        file.close()
        if answer != HANG:
            line.close()
        self.closed.set()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._held:
            line.close()
        self._thread.join()


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for one in started:
        one.stop()


def _ask(where: Wire, server: Server, *, scheme: str = "http", body: bytes | None = None) -> bytes:
    url = f"{scheme}://127.0.0.1:{server.port}/a?b=c"
    return where.request("POST" if body else "GET", url, headers={"X-A": "1"}, body=body).read()


def test_a_connection_is_kept(servers: list[Server]) -> None:
    servers.append(server := Server([OK] * 3))
    one = Wire(connections=1)
    assert [_ask(one, server), _ask(one, server, body=b"small"), _ask(one, server, body=b"x" * 100_000)] == [b"ok"] * 3
    assert server.connections == 1
    assert server.heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port)
    assert b"X-A: 1\r\n" in server.heads[0]
    one.close()


def test_one_that_the_server_closed_is_not_used_again(servers: list[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_FRESH_S", 0)  # as if some time had passed
    closing = OK.replace(b"OK", b"close")  # says nothing of it in a header
    servers.append(server := Server([closing, OK]))
    one = Wire(connections=1)
    assert _ask(one, server) == b"ok"
    assert server.closed.wait(30)
    assert _ask(one, server) == b"ok"
    assert server.connections == 2
    one.close()


def test_ready_is_asked_once_the_connection_is_there(servers: list[Server]) -> None:
    """And when the server did not wait for it, another connection is made; its own trouble comes through."""
    servers.append(server := Server([OK.replace(b"OK", b"close"), OK]))
    one = Wire(connections=1)
    url, seen = f"http://127.0.0.1:{server.port}/", list[int]()

    def ready() -> None:
        seen.append(len(server.heads))

    assert one.request("GET", url, headers={}, ready=ready).read() == b"ok"
    assert seen == [0]
    held = wire._Connection(wire.parts(url)[0], None, 5)

    def slow() -> None:
        held.line.sock.shutdown(socket.SHUT_RDWR)

    one._idle[wire.parts(url)[0]].append(held)
    assert one.request("GET", url, headers={}, ready=slow).read() == b"ok"

    def broken() -> None:
        raise Transient("no slot")

    with pytest.raises(Transient, match="no slot"):
        one.request("GET", url, headers={}, ready=broken)
    assert len(server.heads) == 2
    one.close()


def test_one_try_and_a_bounded_answer(servers: list[Server]) -> None:
    throttled = b"HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    servers.append(server := Server([throttled, OK, OK, b"cut"]))
    http, url = Http(), f"http://127.0.0.1:{server.port}/x?key=hush"
    assert http.once("GET", url, headers={}, most=2).status == 429
    assert http.once("GET", url, headers={}, most=2).body == b"ok"
    with pytest.raises(Refused, match="at most 1 bytes, got more"):
        http.once("GET", url, headers={}, most=1)
    with pytest.raises(InDoubt, match="/x: no whole answer") as caught:
        http.once("GET", url, headers={}, most=1)
    assert "hush" not in str(caught.value)
    assert len(server.heads) == 4


@pytest.mark.parametrize(("answer", "kind"), [(b"cut", ProtocolError), (HANG, ReadTimeoutError)])
def test_no_answer(servers: list[Server], answer: bytes, kind: type[HTTPError]) -> None:
    servers.append(server := Server([answer]))
    with pytest.raises(kind) as caught:
        _ask(Wire(connections=1, read_s=0.2), server, body=b"x")
    assert not isinstance(caught.value, NotSentError)


def test_nobody_there_means_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NotSentError):
        Wire(connections=1).request("GET", f"http://127.0.0.1:{port}/", headers={})


def test_tls_trusts_the_given_roots_alone(servers: list[Server], tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    servers.append(server := Server([OK, OK], context))
    one = Wire(connections=1, ca_file=str(authority.ca_file))
    assert [_ask(one, server, scheme="https"), _ask(one, server, scheme="https")] == [b"ok"] * 2
    assert server.connections == 1
    one.close()
    with pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED"):
        _ask(Wire(connections=1), server, scheme="https")


@pytest.mark.parametrize("url", ["ftp://h/", "http:///x", "http://h/a b", "http://h/\r\nX: y", "http://h/ü", "//h/x"])
def test_an_address_that_cannot_be_written_as_it_stands(url: str) -> None:
    with pytest.raises(LocationParseError):
        Wire(connections=1).request("GET", url, headers={})


def test_a_header_is_one_line() -> None:
    with pytest.raises(ProtocolError, match="X-A"):
        Wire(connections=1).request("GET", "http://127.0.0.1:1/", headers={"X-A": "1\r\nX-B: 2"})


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://h", "h", 443, "/"),
        ("https://h?a=b", "h", 443, "/?a=b"),
        ("http://h:80/x?a=/b", "h", 80, "/x?a=/b"),
        ("http://h:8080/x", "h:8080", 8080, "/x"),
        ("https://[::1]:443/", "[::1]", 443, "/"),
    ],
)
def test_where_an_address_leads(url: str, host: str, port: int, target: str) -> None:
    origin, found = wire.parts(url)
    assert (origin.name, origin.port, found) == (host, port, target)
