"""From send to receive at a steady rate: each message is due at its time, whether the broker keeps up or not."""

import select
import socket
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.bus.client import PATIENCE_S, Client, Peer, body, transfer
from localcloud.emulators.service_bus.codec import frames

RATE = 1_000
MESSAGES = 2_000


class Latency(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float


def of_broker(peer: Peer) -> Latency:
    """Through a queue: acknowledged sends, deliveries with locks, each completed."""
    payload = body()
    with Client(peer.port, peer.login) as client:
        client.sender(peer.queue)
        client.receiver(peer.queue)
        client.grant(MESSAGES)
        found = _measure(client.socket, lambda _: client.one(payload), lambda: len(client.poll(client.bodies())))
        client.finish()
        return found


def of_echo(peer: Peer) -> Latency:
    """The same frames to a peer that sends them back."""
    payload = body()
    with socket.create_connection(("127.0.0.1", peer.port), timeout=PATIENCE_S) as bare:
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        splitter = frames.Splitter(1 << 20)
        return _measure(
            bare, lambda number: bare.sendall(transfer(number, payload)), lambda: len(splitter.feed(bare.recv(1 << 18)))
        )


def _measure(wire: socket.socket, send: Callable[[int], None], came: Callable[[], int]) -> Latency:
    began = time.perf_counter()
    sent, took = 0, list[float]()
    while len(took) < MESSAGES:
        now = time.perf_counter()
        while sent < MESSAGES and began + sent / RATE <= now:
            send(sent)
            sent += 1
        left = PATIENCE_S if sent == MESSAGES else max(0.0, began + sent / RATE - time.perf_counter())
        if not select.select([wire], [], [], left)[0]:
            if sent == MESSAGES:
                raise TimeoutError(f"{MESSAGES} messages must come back within {PATIENCE_S:g} s, got {len(took)}")
            continue
        count = came()
        now = time.perf_counter()
        took += [(now - began - number / RATE) * 1000 for number in range(len(took), len(took) + count)]
    cuts = statistics.quantiles(took, n=100)
    return Latency(cuts[49], cuts[98])
