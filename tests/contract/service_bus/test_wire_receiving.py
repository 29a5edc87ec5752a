"""Links on which a client receives, frame by frame: credit, windows, settlement."""

import socket

import pytest

from localcloud.emulators.service_bus.codec import frames, message
from localcloud.emulators.service_bus.codec.types import Described, Symbol, UInt
from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.raw import Raw, body
from tests.contract.service_bus.wire import ACCEPTED, condition, still_fine


def filled(bus: Bus, raw: Raw, count: int, size: int = 10) -> str:
    """A queue with messages, by a sender on handle 0."""
    queue = bus.queue()
    raw.start().sender(queue)
    for number in range(count):
        raw.transfer(0, number, body(b"%03d" % number + b"z" * size), settled=True)
    raw.transfer(0, count, body(b"last"))
    raw.frame(frames.DISPOSITION)
    return queue


def test_nothing_comes_without_credit_and_no_more_than_it(bus: Bus, raw: Raw) -> None:
    queue = filled(bus, raw, 5)
    attach = raw.receiver(queue)
    assert (attach[2], attach[9]) == (False, 0)
    assert attach[5] is not None
    assert attach[6] is not None
    raw.flow(1, 2)
    got = [raw.frame(frames.TRANSFER).fields for _ in range(2)]
    assert [fields[:2] for fields in got] == [[1, 0], [1, 1]]
    assert all(len(fields[2]) == 16 and fields[4] is False for fields in got)
    raw.flow(1, 0, seen=2, echo=True)
    flow = raw.frame(frames.FLOW, frames.TRANSFER)
    assert (flow.code, flow.fields[5], flow.fields[6]) == (frames.FLOW, 2, 0)


def test_drain_gives_what_there_is_and_voids_the_rest(bus: Bus, raw: Raw) -> None:
    queue = filled(bus, raw, 2)
    raw.receiver(queue)
    raw.flow(1, 10, drain=True)
    for _ in range(3):
        raw.frame(frames.TRANSFER)
    flow = raw.frame(frames.FLOW).fields
    assert (flow[5], flow[6], flow[8]) == (10, 0, True)


def test_a_delivery_is_cut_to_the_peer_s_frames(bus: Bus) -> None:
    with Raw(bus.port) as raw:
        queue = filled(bus, raw, 1, size=5000)
    with Raw(bus.port) as small:
        small.start(largest=512).receiver(queue)
        small.flow(1, 1)
        parts = [small.frame(frames.TRANSFER)]
        while parts[-1].fields[5]:
            parts.append(small.frame(frames.TRANSFER))
        assert len(parts) > 10
        whole = message.read(b"".join(part.payload for part in parts))
        assert whole.bare[whole.tail :] == body(b"000" + b"z" * 5000)


def test_deliveries_stop_at_the_peer_s_window_and_go_on(bus: Bus) -> None:
    with Raw(bus.port) as raw:
        queue = filled(bus, raw, 9)
    with Raw(bus.port) as small:
        small.start(window=3).receiver(queue)
        small.flow(1, 10, window=3)
        assert [small.frame(frames.TRANSFER).fields[1] for _ in range(3)] == [0, 1, 2]
        small.write(frames.FLOW, [UInt(3), UInt(4), UInt(0), UInt(9), None, None, None, None, None, True])
        got = [small.frame(frames.TRANSFER, frames.FLOW) for _ in range(5)]
        assert sum(frame.code == frames.TRANSFER for frame in got) == 4


def test_a_large_delivery_crosses_a_small_window_in_turns(bus: Bus) -> None:
    with Raw(bus.port) as raw:
        queue = filled(bus, raw, 1, size=3000)
    with Raw(bus.port) as small:
        small.start(largest=512, window=2).receiver(queue)
        small.flow(1, 1, window=2)
        seen, more, whole = 0, True, b""
        while more:
            frame = small.frame(frames.TRANSFER)
            seen, more, whole = seen + 1, frame.fields[5], whole + frame.payload
            if seen % 2 == 0:
                small.write(frames.FLOW, [UInt(seen), UInt(2), UInt(0), UInt(9)])
        assert message.read(whole).bare.endswith(b"z" * 3000)


def test_settled_by_ranges_from_both_sides(bus: Bus, raw: Raw) -> None:
    queue = filled(bus, raw, 9)
    raw.receiver(queue)
    raw.flow(1, 10)
    for _ in range(10):
        raw.frame(frames.TRANSFER)
    raw.write(frames.DISPOSITION, [True, UInt(0), UInt(4), False, ACCEPTED, None])
    assert raw.frame(frames.DISPOSITION).fields[:5] == [False, 0, 4, True, ACCEPTED]
    raw.write(frames.DISPOSITION, [True, UInt(5), UInt(0xFFFFFFF0), True, ACCEPTED, None])  # settled: no answer
    raw.flow(1, 0, seen=10, echo=True)
    assert raw.frame(frames.DISPOSITION, frames.FLOW).code == frames.FLOW
    assert bus.counts(queue).active == 0


@pytest.mark.parametrize(
    ("state", "active", "dead", "count"),
    [
        (Described(frames.ACCEPTED, []), 0, 0, None),
        (Described(frames.RELEASED, []), 1, 0, 0),
        (Described(frames.MODIFIED, [True, False, None]), 1, 0, 1),
        (Described(frames.MODIFIED, [True, True, None]), 1, 0, None),
        (Described(frames.REJECTED, [frames.error("com.microsoft:dead-letter", "d", {Symbol("x"): "r"})]), 0, 1, None),
        (Described(frames.REJECTED, []), 0, 1, None),
    ],
)  # fmt: skip
def test_every_outcome_is_applied_and_echoed(
    bus: Bus, raw: Raw, state: Described, active: int, dead: int, count: int | None
) -> None:
    queue = bus.queue()
    raw.start().sender(queue)
    raw.transfer(0, 0, body())
    raw.frame(frames.DISPOSITION)
    raw.receiver(queue)
    raw.flow(1, 1)
    raw.frame(frames.TRANSFER)
    raw.write(frames.DISPOSITION, [True, UInt(0), None, False, state, None])
    code, fields = frames.described(raw.frame(frames.DISPOSITION).fields[4])
    assert (code, fields) == (state.descriptor, [])
    found = bus.counts(queue)
    assert (found.active, found.dead_letter) == (active, dead)
    if count is not None:
        raw.flow(1, 1, seen=1)
        header = message.read(raw.frame(frames.TRANSFER).payload).header
        assert header[4] == count


def test_properties_changed_on_abandon_are_delivered_then(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.start().sender(queue)
    raw.transfer(0, 0, body(b"data", kept="k", old=1))
    raw.frame(frames.DISPOSITION)
    raw.receiver(queue)
    raw.flow(1, 1)
    raw.frame(frames.TRANSFER)
    state = Described(frames.MODIFIED, [True, False, {Symbol("old"): 2, Symbol("new"): "n"}])
    raw.write(frames.DISPOSITION, [True, UInt(0), None, False, state, None])
    raw.frame(frames.DISPOSITION)
    raw.flow(1, 1, seen=1)
    got = message.read(raw.frame(frames.TRANSFER).payload)
    assert got.application == {"kept": "k", "old": 2, "new": "n"}
    assert got.bare[got.tail :] == body(b"data")


def test_transactions_are_refused_and_the_message_stays_locked(bus: Bus, raw: Raw) -> None:
    queue = filled(bus, raw, 0)
    raw.receiver(queue)
    raw.flow(1, 1)
    raw.frame(frames.TRANSFER)
    raw.write(frames.DISPOSITION, [True, UInt(0), None, False, Described(0x34, [b"txn", ACCEPTED]), None])
    _, fields = frames.described(raw.frame(frames.DISPOSITION).fields[4])
    assert condition(fields[0]) == "amqp:not-implemented"
    assert bus.counts(queue).active == 1


def test_a_reader_that_does_not_read_stops_nobody(bus: Bus) -> None:
    with Raw(bus.port) as raw:
        queue = filled(bus, raw, 1500, size=20_000)
    slow = Raw.__new__(Raw)
    slow.socket = socket.socket()
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.socket.settimeout(10)
    slow.socket.connect(("127.0.0.1", bus.port))
    slow._splitter, slow._ready, slow.heartbeats = frames.Splitter(1 << 20), [], 0
    with slow:
        slow.start().receiver(queue)
        slow.flow(1, 5000)
        still_fine(bus)
        waiting = bus.call(
            lambda: max(len(c.out) + c.transport.get_write_buffer_size() for c in bus.server._connections)
        )
        assert waiting < 12 << 20  # of 30 MB
        for _ in range(1501):
            slow.frame(frames.TRANSFER)
