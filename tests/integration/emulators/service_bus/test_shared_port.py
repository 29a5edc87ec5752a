"""AMQP and the administration on one port, told apart by the first bytes, over TLS and without."""

import asyncio
import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcloud.emulators.ca import CertificateAuthority
from localcloud.emulators.service_bus.broker.options import QueueOptions
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.management.admin import Administration
from localcloud.emulators.service_bus.server import Server
from tests.integration.host.waiting import until
from tests.loop_thread import LoopThread

PATIENCE_S = 10
HTTP = b"GET /orders?api-version=2021-05 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


class Port:
    """A namespace whose port is both, in a thread with an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.loop = LoopThread("namespace")
        authority = CertificateAuthority(folder)
        self.trusted = ssl.create_default_context(cafile=str(authority.ca_file))
        self.secure, self.plain = self.loop.run(self._start(authority.server_context()))

    async def _start(self, tls: ssl.SSLContext) -> tuple[int, int]:
        service = Service()
        service.create_queue("orders", QueueOptions())
        self.administration = Administration(service)
        self.server = Server(service)
        speaks_http = await self.administration.start()
        where = ("127.0.0.1", 0)
        return await self.server.listen(where, tls, speaks_http), await self.server.listen(where, None, speaks_http)

    def connect(self, *, tls: bool) -> socket.socket:
        if not tls:
            return socket.create_connection(("127.0.0.1", self.plain), PATIENCE_S)
        bare = socket.create_connection(("127.0.0.1", self.secure), PATIENCE_S)
        return self.trusted.wrap_socket(bare, server_hostname="localhost")

    async def end(self) -> None:
        await self.server.close()
        await self.administration.close()

    def close(self) -> None:
        self.loop.run(self.end())
        self.loop.close()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    made = Port(tmp_path)
    yield made
    made.close()


def rest(peer: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    parts = list(iter(lambda: peer.recv(65536), b""))
    return b"".join(parts)


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 7, 8])
def test_the_first_bytes_decide_however_they_come(port: Port, tls: bool, cut: int) -> None:
    with port.connect(tls=tls) as peer:
        peer.sendall(frames.SASL_HEADER[:cut])
        peer.sendall(frames.SASL_HEADER[cut:])
        assert peer.recv(8) == frames.SASL_HEADER
    with port.connect(tls=tls) as peer:
        peer.sendall(HTTP[:cut])
        peer.sendall(HTTP[cut:])
        assert b"<QueueDescription" in rest(peer)


def test_a_connection_of_http_is_kept_for_more_requests(port: Port) -> None:
    client = http.client.HTTPSConnection("localhost", port.secure, timeout=PATIENCE_S, context=port.trusted)
    for path, status in (("/orders", 200), ("/none", 404), ("/orders", 200)):
        client.request("GET", f"{path}?api-version=2021-05")
        answer = client.getresponse()
        assert (answer.status, bool(answer.read())) == (status, True)
    client.close()


@pytest.mark.parametrize("said", [b"AMQX/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"amqp\r\n\r\n"])
def test_what_is_neither_is_answered_as_http_does(port: Port, said: bytes) -> None:
    with port.connect(tls=False) as peer:
        peer.sendall(said)
        assert rest(peer).startswith(b"HTTP/1.0 400 ")


def test_who_says_nothing_is_sent_away_when_the_service_stops(port: Port) -> None:
    undecided: Callable[[], int] = lambda: len(port.server._undecided)  # noqa: E731
    with port.connect(tls=True) as silent, port.connect(tls=False) as hesitant:
        hesitant.sendall(b"AM")
        asyncio.run(until(lambda: undecided() == 2, limit_s=PATIENCE_S))
        port.loop.run(port.server.close())
        for peer in (silent, hesitant):
            try:
                assert peer.recv(1) == b""
            except (ConnectionResetError, ssl.SSLError):
                continue
        asyncio.run(until(lambda: undecided() == 0, limit_s=PATIENCE_S))


def test_who_goes_before_it_spoke_is_forgotten(port: Port) -> None:
    with port.connect(tls=False) as peer:
        peer.sendall(b"A")
        asyncio.run(until(lambda: len(port.server._undecided) == 1, limit_s=PATIENCE_S))
    asyncio.run(until(lambda: not port.server._undecided, limit_s=PATIENCE_S))
