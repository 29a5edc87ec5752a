"""Microsoft's SDK, its sync face, as people use it: four ways to move 1 KiB messages."""

import time
from collections.abc import Callable
from typing import NamedTuple

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver

from benchmarks.bus.client import Client, Peer, body
from benchmarks.measure import processor_s

BATCH = 100
_BODY = b"m" * 1024
_WAIT_S = 20


class Lap(NamedTuple):
    """One way, once."""

    rate: float
    """Messages a second."""
    share: float
    """Of the processor time of both processes, that of the broker; per cent."""


def ways() -> dict[str, Callable[[Peer, bool], Lap]]:
    """By name. The second argument: does the peer keep what it gets, so that it must be filled and emptied?"""
    return {
        "send one by one": lambda peer, keeps: _send(peer, 1_500, 1, keeps=keeps),
        f"send batches of {BATCH}": lambda peer, keeps: _send(peer, 7_000, BATCH, keeps=keeps),
        f"receive({BATCH}), complete each": lambda peer, keeps: _receive(peer, 2_500, 0, keeps=keeps),
        "receive with prefetch, complete each": lambda peer, keeps: _receive(peer, 2_500, 500, keeps=keeps),
    }


def _client(peer: Peer) -> ServiceBusClient:
    key = f"SharedAccessKeyName={peer.login.user};SharedAccessKey={peer.login.password}"
    return ServiceBusClient.from_connection_string(
        f"Endpoint=sb://localhost:{peer.port};{key};UseDevelopmentEmulator=true;"
    )


def _timed(peer: Peer, count: int, work: Callable[[], None]) -> Lap:
    began, ours, theirs = time.perf_counter(), time.process_time(), processor_s(peer.pid)
    work()
    took, ours, theirs = time.perf_counter() - began, time.process_time() - ours, processor_s(peer.pid) - theirs
    return Lap(count / took, 100 * theirs / (ours + theirs))


def _send(peer: Peer, count: int, together: int, *, keeps: bool) -> Lap:
    with _client(peer) as client, client.get_queue_sender(peer.queue) as sender:

        def work() -> None:
            for _ in range(count // together):
                if together == 1:
                    sender.send_messages(ServiceBusMessage(_BODY))
                else:
                    sender.send_messages([ServiceBusMessage(_BODY) for _ in range(together)])

        found = _timed(peer, count, work)
    if keeps:
        with Client(peer.port, peer.login) as raw:
            raw.receiver(peer.queue)
            raw.receive(count)
            raw.finish()
    return found


def _receive(peer: Peer, count: int, prefetch: int, *, keeps: bool) -> Lap:
    if keeps:
        with Client(peer.port, peer.login) as raw:
            raw.sender(peer.queue)
            raw.send(count, body())
    with _client(peer) as client, client.get_queue_receiver(peer.queue, prefetch_count=prefetch) as receiver:
        return _timed(peer, count, lambda: _take(receiver, count))


def _take(receiver: ServiceBusReceiver, count: int) -> None:
    while count:
        found = receiver.receive_messages(min(BATCH, count), max_wait_time=_WAIT_S)
        if not found:
            raise TimeoutError(f"{count} more messages must come within {_WAIT_S} s")
        for message in found:
            receiver.complete_message(message)
        count -= len(found)
