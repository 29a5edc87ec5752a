"""The Service Bus emulator as a process of its own that keeps everything on disk, with messages of 1 KiB.

Beside it, in turn in the same minutes: a peer that does nothing (what is left is Microsoft's SDK, which nothing can
outrun), a bare echo (loopback and an event loop), and RabbitMQ with AMQP 1.0 when there is one on the PATH.
"""

import logging
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.bus import brokers, latency, sdk, size
from benchmarks.bus.client import Client, Peer, body
from benchmarks.measure import Bench, Figure, figure, laps, machine, processor_s, ratio

SDK, ALONE, RAW = "SDK", "the SDK alone", "raw client"
OURS, RABBIT, ECHO = "emulator", "RabbitMQ", "bare echo"
SENDS, RECEIVES = "acknowledged sends", "receive and complete"
SENT = 20_000
NO_PEER = (
    "No RabbitMQ here, so no row of it: with rabbitmq-server on the PATH (Debian: apt-get install rabbitmq-server) "
    "this takes it by itself."
)
_log = logging.getLogger("benchmarks")


class _Raw(NamedTuple):
    """Of one lap: messages a second, and microseconds of the broker's processor for each."""

    sends: float
    receives: float
    send_us: float
    receive_us: float


def run(_root: Path, rounds: int) -> Bench:
    """Everything in turn."""
    rows: list[Figure] = []
    ratios: dict[str, float] = {}
    with ExitStack() as stack:
        ours = stack.enter_context(brokers.emulator(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        _sdk(rows, ratios, ours, stack.enter_context(brokers.null()), rounds)
        peers = {OURS: ours}
        if brokers.has_rabbitmq():
            _log.info("RabbitMQ starts")
            peers[RABBIT] = stack.enter_context(
                brokers.rabbitmq(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            )
        _raw(rows, ratios, peers, rounds)
        _latency(rows, ratios, peers, stack.enter_context(brokers.echo()), rounds)
    _size(rows, ratios, rounds)
    notes = [] if RABBIT in peers else [NO_PEER]
    return Bench(name="servicebus", machine=machine(), rounds=rounds, rows=rows, ratios=ratios, notes=notes)


def _sdk(rows: list[Figure], ratios: dict[str, float], ours: Peer, null: Peer, rounds: int) -> None:
    kinds = {
        f"{who}, {name}": partial(way, peer, peer is ours)
        for name, way in sdk.ways().items()
        for who, peer in ((SDK, ours), (ALONE, null))
    }
    found = laps(kinds, rounds)
    for name, taken in found.items():
        rows.append(figure(name, [lap.rate for lap in taken], "messages/s"))
        if not name.startswith(ALONE):
            rows.append(figure(f"{name}: broker's processor", [lap.share for lap in taken], "% of all"))
    for name in sdk.ways():
        rates = [[lap.rate for lap in found[f"{who}, {name}"]] for who in (SDK, ALONE)]
        ratios[f"{name}: SDK with the emulator / the SDK alone"] = ratio(*rates)


def _raw(rows: list[Figure], ratios: dict[str, float], peers: dict[str, Peer], rounds: int) -> None:
    found = laps({name: partial(_through, peer) for name, peer in peers.items()}, rounds)
    for what, rate, cost in ((SENDS, "sends", "send_us"), (RECEIVES, "receives", "receive_us")):
        for name, taken in found.items():
            row = f"{RAW}, {what}, {name}"
            rows.append(figure(row, [getattr(lap, rate) for lap in taken], "messages/s"))
            rows.append(figure(f"{row}: broker's processor", [getattr(lap, cost) for lap in taken], "µs/message"))
        if RABBIT in found:
            rates = [[getattr(lap, rate) for lap in found[name]] for name in (OURS, RABBIT)]
            ratios[f"{what}: emulator / RabbitMQ"] = ratio(*rates)


def _through(peer: Peer) -> _Raw:
    payload = body()
    with Client(peer.port, peer.login) as client:
        client.sender(peer.queue)
        start, used = time.perf_counter(), processor_s(peer.pid)
        client.send(SENT, payload)
        middle, used_by_sends = time.perf_counter(), processor_s(peer.pid)
        client.receiver(peer.queue)
        client.receive(SENT)
        client.finish()
        end, used_by_all = time.perf_counter(), processor_s(peer.pid)
    return _Raw(
        SENT / (middle - start), SENT / (end - middle),
        (used_by_sends - used) / SENT * 1e6, (used_by_all - used_by_sends) / SENT * 1e6,
    )  # fmt: skip


def _latency(rows: list[Figure], ratios: dict[str, float], peers: dict[str, Peer], echo: Peer, rounds: int) -> None:
    kinds = {name: partial(latency.of_broker, peer) for name, peer in peers.items()}
    found = laps({**kinds, ECHO: partial(latency.of_echo, echo)}, rounds)
    for name, taken in found.items():
        row = f"send to receive at {latency.RATE:,}/s, {name}"
        rows.append(figure(f"{row}: p50", [lap.p50 for lap in taken], "ms"))
        rows.append(figure(f"{row}: p99", [lap.p99 for lap in taken], "ms"))
    for name in peers:
        ratios[f"p99: {name} / {ECHO}"] = ratio([lap.p99 for lap in found[name]], [lap.p99 for lap in found[ECHO]])


def _size(rows: list[Figure], ratios: dict[str, float], rounds: int) -> None:
    """Start and idle every round; the large ones once, as they take long and hardly vary."""
    found = laps({"start": size.started}, rounds, warm=False)["start"]
    rows.append(figure("start to the first connection", [lap.seconds for lap in found]))
    rows.append(figure("start to the first connection: resident", [lap.mib for lap in found], "MiB"))
    with tempfile.TemporaryDirectory() as folder, brokers.emulator(Path(folder)) as peer:
        early, late = size.million(peer)
    _log.info("entities and connections")
    once = {
        f"{size.MESSAGES // 10:,} messages through it": early,
        f"{size.MESSAGES:,} messages through it": late,
        f"start with {size.ENTITIES:,} queues": size.started(size.ENTITIES),
        f"{size.CONNECTIONS:,} connections": size.connections(),
    }
    for name, weighed in once.items():
        rows += [figure(name, [weighed.seconds]), figure(f"{name}: resident", [weighed.mib], "MiB")]
    ratios["resident: after a million messages / after a tenth of that"] = ratio([late.mib], [early.mib])
