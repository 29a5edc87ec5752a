"""How soon the emulator is there, and what it weighs: idle, after a million messages, with many entities and peers."""

import logging
import re
import resource
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.bus.brokers import emulator
from benchmarks.bus.client import Client, Peer, body

MESSAGES, TURN = 1_000_000, 5_000
ENTITIES, CONNECTIONS = 10_000, 1_000
_log = logging.getLogger("benchmarks")


class Weighed(NamedTuple):
    """What it took, and what the process holds then."""

    seconds: float
    mib: float


def resident_mib(pid: int) -> float:
    """Resident memory (Linux)."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def started(queues: int = 1) -> Weighed:
    """A new process, until it has taken a connection with a session."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with emulator(Path(folder), queues) as peer, Client(peer.port, peer.login):
            return Weighed(time.perf_counter() - began, resident_mib(peer.pid))


def million(peer: Peer) -> tuple[Weighed, Weighed]:
    """A tenth of a million messages sent and completed, and all of them: memory should have stopped to grow."""
    payload, began, early = body(), time.perf_counter(), Weighed(0, 0)
    with Client(peer.port, peer.login) as client:
        client.sender(peer.queue)
        client.receiver(peer.queue)
        for done in range(TURN, MESSAGES + 1, TURN):
            client.send(TURN, payload)
            client.receive(TURN)
            if done == MESSAGES // 10:
                early = Weighed(time.perf_counter() - began, resident_mib(peer.pid))
            if done % (MESSAGES // 10) == 0:
                _log.info("%s messages through it, %.0f MiB", f"{done:,}", resident_mib(peer.pid))
        client.finish()
    return early, Weighed(time.perf_counter() - began, resident_mib(peer.pid))


def connections() -> Weighed:
    """A new process and so many connections, each with a session."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * CONNECTIONS)), hard))
    with tempfile.TemporaryDirectory() as folder, emulator(Path(folder)) as peer, ExitStack() as stack:
        began = time.perf_counter()
        for _ in range(CONNECTIONS):
            stack.enter_context(Client(peer.port, peer.login))
        return Weighed(time.perf_counter() - began, resident_mib(peer.pid))
