"""The protocol itself, frame by frame: what a client may say, what it may not, and that its faults are its own."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.emulators.service_bus.codec import frames, message
from localcloud.emulators.service_bus.codec.types import Described, Symbol, UByte, UInt
from localcloud.emulators.service_bus.server import Server
from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.raw import Raw, body, signature

ACCEPTED = Described(frames.ACCEPTED, [])


@pytest.fixture
def bus(buses: dict[str, Bus]) -> Bus:
    return buses["sync"]


@pytest.fixture
def raw(bus: Bus) -> Iterator[Raw]:
    with Raw(bus.port) as client:
        yield client


def condition(error: Any) -> str:
    """Of a close, end, detach or rejected."""
    code, fields = frames.described(error)
    assert code == frames.ERROR, error
    return str(fields[0])


def still_fine(bus: Bus) -> None:
    """Somebody else can work."""
    queue = bus.queue()
    with Raw(bus.port) as other:
        other.start().sender(queue)
        other.transfer(0, 0, body())
        assert other.frame(frames.DISPOSITION).fields[4] == ACCEPTED
    assert bus.counts(queue).active == 1


def hung_up(client: Raw) -> bool:
    """Has the server closed the connection?"""
    with contextlib.suppress(ConnectionResetError):
        while True:
            try:
                client.frame()
            except EOFError:
                break
    return True


# --- headers, SASL, open ---


def test_a_wrong_header_is_answered_with_the_right_one(bus: Bus, raw: Raw) -> None:
    raw.say(b"GET / HTTP/1.1\r\n\r\n")
    assert raw.exactly(8) == frames.SASL_HEADER
    assert hung_up(raw)
    still_fine(bus)


def test_a_header_may_come_in_pieces(raw: Raw) -> None:
    for byte in frames.SASL_HEADER:
        raw.say(bytes([byte]))
    assert raw.exactly(8) == frames.SASL_HEADER
    mechanisms = raw.frame(frames.SASL_MECHANISMS).fields[0]
    assert mechanisms == ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"]


@pytest.mark.parametrize("mechanism", ["MSSBCBS", "ANONYMOUS", "EXTERNAL"])
def test_who_comes_without_a_key_may_open_but_attach_nothing(bus: Bus, raw: Raw, mechanism: str) -> None:
    assert raw.secure(mechanism) == 0
    raw.header()
    raw.open()
    raw.begin()
    attach = raw.sender(bus.queue())
    assert attach[5:7] == [None, None]
    assert condition(raw.frame(frames.DETACH).fields[2]) == "amqp:unauthorized-access"


def test_a_wrong_key_by_sasl_is_refused(raw: Raw) -> None:
    assert raw.secure("PLAIN", b"\0RootManageSharedAccessKey\0wrong") == 1
    assert hung_up(raw)


def test_an_unknown_mechanism_is_refused(raw: Raw) -> None:
    assert raw.secure("GSSAPI", b"x") == 1


def test_everything_may_be_said_without_waiting_for_answers(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    plain = frames.write(
        frames.SASL_INIT, [Symbol("PLAIN"), b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE", None], kind=frames.SASL
    )
    target = frames.composite(frames.TARGET, [queue])
    source = frames.composite(frames.SOURCE, ["s"])
    raw.say(
        frames.SASL_HEADER + plain + frames.AMQP_HEADER + frames.write(frames.OPEN, ["pipelined"])
        + frames.write(frames.BEGIN, [None, UInt(0), UInt(10), UInt(10)])
        + frames.write(frames.ATTACH, ["s", UInt(0), False, UByte(2), UByte(0), source, target, None, None, UInt(0)])
    )  # fmt: skip
    raw.transfer(0, 0, body())
    assert raw.exactly(8) == frames.SASL_HEADER
    deadline = time.monotonic() + 10
    while bus.counts(queue).active != 1 and time.monotonic() < deadline:
        pass
    assert bus.counts(queue).active == 1


def test_an_open_tells_the_limits(raw: Raw) -> None:
    raw.secure()
    raw.header()
    opened = raw.open()
    assert (opened[1], opened[2], opened[3], opened[4]) == ("localhost", 65536, 254, 240_000)


def test_too_small_a_frame_size_is_an_invalid_field(raw: Raw) -> None:
    raw.secure()
    raw.header()
    raw.open(largest=100)
    assert condition(raw.frame(frames.CLOSE).fields[0]) == "amqp:invalid-field"
    assert hung_up(raw)


def test_a_connection_starts_with_open(raw: Raw) -> None:
    raw.secure()
    raw.header()
    raw.write(frames.BEGIN, [None, UInt(0), UInt(1), UInt(1)])
    assert condition(raw.frame(frames.CLOSE).fields[0]) == "amqp:not-allowed"


def test_a_close_is_answered(bus: Bus, raw: Raw) -> None:
    raw.start()
    raw.write(frames.CLOSE, [None])
    assert raw.frame(frames.CLOSE).fields == [None]
    assert hung_up(raw)
    still_fine(bus)


# --- faults that end the connection ---

FRAMING = "amqp:connection:framing-error"
FAULTS = {
    "no frame": (b"\xff" * 16, FRAMING),
    "larger than agreed": (b"\x00\x02\x00\x00\x02\x00\x00\x00", FRAMING),
    "an offset beyond the frame": (b"\x00\x00\x00\x0c\x09\x00\x00\x00\x00\x00\x00\x00", FRAMING),
    "an unknown type of frame": (b"\x00\x00\x00\x0c\x02\x07\x00\x00\x00\x00\x00\x00", FRAMING),
    "no performative": (b"\x00\x00\x00\x0c\x02\x00\x00\x00\xa1\x02hi", "amqp:decode-error"),
    "an unknown performative": (b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x99\x45", "amqp:decode-error"),
    "a truncated list": (b"\x00\x00\x00\x0e\x02\x00\x00\x00\x00\x53\x12\xc0\x20\x08", "amqp:decode-error"),
    "a transfer that is none": (b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x14\x45", "amqp:decode-error"),
    "a number that is text": (frames.write(frames.DETACH, ["one", True, None]), "amqp:decode-error"),
    "a second open": (frames.write(frames.OPEN, ["again"]), "amqp:illegal-state"),
    "a second begin": (frames.write(frames.BEGIN, [None, UInt(0), UInt(1), UInt(1)]), "amqp:illegal-state"),
    "a channel beyond the last": (
        frames.write(frames.BEGIN, [None, UInt(0), UInt(1), UInt(1)], channel=255), FRAMING,
    ),
    "SASL too late": (frames.write(frames.SASL_INIT, [Symbol("PLAIN")], kind=frames.SASL), FRAMING),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_frame_closes_its_connection_and_no_other(bus: Bus, raw: Raw, fault: str) -> None:
    bytes_, wanted = FAULTS[fault]
    raw.start()
    raw.say(bytes_)
    assert condition(raw.frame(frames.CLOSE).fields[0]) == wanted
    assert hung_up(raw)
    still_fine(bus)


def test_a_flood_of_rubbish_disturbs_nobody(bus: Bus) -> None:
    for number in range(30):
        with Raw(bus.port) as client, contextlib.suppress(OSError):
            if number % 3:
                client.start()
            client.say(bytes((number * 7 + place) % 251 for place in range(100_000)))
    still_fine(bus)


# --- faults that end a session, or a link ---


def test_an_unattached_handle_ends_the_session_only(bus: Bus, raw: Raw) -> None:
    raw.start().begin(1)
    raw.transfer(9, 0, body())
    end = raw.frame(frames.END)
    assert (end.channel, condition(end.fields[0])) == (0, "amqp:session:unattached-handle")
    raw.sender(bus.queue(), channel=1)


def test_a_handle_is_used_once(bus: Bus, raw: Raw) -> None:
    raw.start().sender(bus.queue())
    raw.write(
        frames.ATTACH, ["other", UInt(0), False, UByte(2), UByte(0), None, frames.composite(frames.TARGET, ["x"])]
    )
    assert condition(raw.frame(frames.END).fields[0]) == "amqp:session:handle-in-use"


def test_frames_on_a_channel_that_has_ended_are_ignored(bus: Bus, raw: Raw) -> None:
    raw.start().sender(bus.queue())
    raw.write(frames.END, [None])
    raw.write(frames.DETACH, [UInt(0), True, None])
    assert raw.frame(frames.END).fields == [None]
    raw.begin()


@pytest.mark.parametrize(
    ("terminus", "wanted"),
    [(None, "amqp:not-implemented"), (Described(0x30, [[]]), "amqp:not-implemented"), ("nowhere", "amqp:not-found")],
)
def test_an_attach_that_leads_nowhere_is_refused(raw: Raw, terminus: Any, wanted: str) -> None:
    raw.start()
    target = frames.composite(frames.TARGET, [terminus]) if isinstance(terminus, str) else terminus
    raw.write(frames.ATTACH, ["x", UInt(0), False, UByte(2), UByte(0), None, target, None, None, UInt(0)])
    attach = raw.frame(frames.ATTACH).fields
    assert attach[5:7] == [None, None]
    detach = raw.frame(frames.DETACH).fields
    assert (detach[1], condition(detach[2])) == (True, wanted)


def test_a_link_is_detached_and_attached_again(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.start()
    for number in range(3):
        raw.sender(queue)
        raw.transfer(0, number, body())
        assert raw.frame(frames.DISPOSITION).fields[4] == ACCEPTED
        raw.write(frames.DETACH, [UInt(0), True, None])
        assert raw.frame(frames.DETACH).fields == [0, True, None]
    assert bus.counts(queue).active == 3


# --- sending ---


def test_a_delivery_of_many_frames_and_an_aborted_one(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.start().sender(queue)
    whole = body(b"y" * 1000)
    raw.transfer(0, 0, whole[:300], more=True)
    raw.transfer(0, 0, whole[300:600], more=True)
    raw.transfer(0, 0, whole[600:])
    assert raw.frame(frames.DISPOSITION).fields[1:5] == [0, 0, True, ACCEPTED]
    raw.transfer(0, 1, whole[:300], more=True)
    raw.write(frames.TRANSFER, [UInt(0), None, None, None, None, False, None, None, None, True, None])
    raw.transfer(0, 2, whole)
    assert raw.frame(frames.DISPOSITION).fields[1:5] == [2, 2, True, ACCEPTED]
    assert bus.counts(queue).active == 2


def test_settled_transfers_are_taken_and_not_answered(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.start().sender(queue)
    for number in range(5):
        raw.transfer(0, number, body(), settled=True)
    raw.transfer(0, 5, body())
    assert raw.frame(frames.DISPOSITION).fields[1:3] == [5, 5]
    assert bus.counts(queue).active == 6


def test_deliveries_of_one_read_are_answered_together(bus: Bus, raw: Raw) -> None:
    raw.start().sender(bus.queue())
    out = bytearray()
    for number in range(100):
        frames.write_transfer(out, 0, 0, number, b"t", body(), settled=False, largest=65536)
    raw.say(bytes(out))
    answered: list[int] = []
    count = 0
    while len(answered) < 100:
        _, first, last, settled, state, _ = raw.frame(frames.DISPOSITION).fields
        assert (settled, state) == (True, ACCEPTED)
        answered += range(first, last + 1)
        count += 1
    assert answered == list(range(100))
    assert count < 50


def test_a_message_that_cannot_be_read_is_rejected_and_the_link_goes_on(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.start().sender(queue)
    for number, payload in enumerate((b"\x00\x53\x75\xa1\x01x", b"rubbish", b"\x00\x53\x74\xc1\x03\x02\xa1\x09")):
        raw.transfer(0, number, payload)
        code, fields = frames.described(raw.frame(frames.DISPOSITION).fields[4])
        assert (code, condition(fields[0])) == (frames.REJECTED, "amqp:decode-error")
    raw.transfer(0, 3, body())
    assert raw.frame(frames.DISPOSITION).fields[4] == ACCEPTED
    assert bus.counts(queue).active == 1


def test_a_batch_is_taken_whole_or_not_at_all(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.start().sender(queue)
    good, bad = bytearray(), bytearray()
    for number in range(3):
        message.write_section(good, message.DATA, body(bytes([number])))
        message.write_section(bad, message.DATA, body() if number else b"rubbish")
    raw.transfer(0, 0, bytes(bad), form=message.BATCH_FORMAT)
    assert frames.described(raw.frame(frames.DISPOSITION).fields[4])[0] == frames.REJECTED
    assert bus.counts(queue).active == 0
    raw.transfer(0, 1, bytes(good), form=message.BATCH_FORMAT)
    assert raw.frame(frames.DISPOSITION).fields[4] == ACCEPTED
    assert bus.counts(queue).active == 3


def test_an_endless_message_is_rejected_at_its_end_and_not_kept(bus: Bus, raw: Raw) -> None:
    raw.start().sender(bus.queue())
    for _ in range(100):
        raw.transfer(0, 0, b"x" * 30_000, more=True)
    raw.transfer(0, 0, b"x")
    _, fields = frames.described(raw.frame(frames.DISPOSITION).fields[4])
    assert condition(fields[0]) == "amqp:link:message-size-exceeded"


def test_credit_and_window_are_granted_again(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.start().sender(queue)
    out = bytearray()
    for number in range(6000):
        frames.write_transfer(out, 0, 0, number, b"t", body(), settled=True, largest=65536)
    raw.say(bytes(out))
    flows = [raw.frame(frames.FLOW).fields for _ in range(12)]
    assert any(flow[4] is None and flow[1] == 5000 for flow in flows)
    assert any(flow[4] == 0 and flow[6] == 1000 and flow[5] > 0 for flow in flows)
    deadline = time.monotonic() + 10
    while bus.counts(queue).active < 6000 and time.monotonic() < deadline:
        pass
    assert bus.counts(queue).active == 6000


# --- receiving ---


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


# --- time ---


@pytest.fixture
def hasty(bus: Bus) -> Iterator[int]:
    """A server of the same namespace that closes whoever is silent for a second."""
    server: Server = bus.call(lambda: Server(bus.service, idle_s=1.0))
    yield bus.run(server.listen(("127.0.0.1", 0)))
    bus.run(server.close())


def test_a_silent_peer_is_closed(hasty: int) -> None:
    with Raw(hasty) as raw:
        raw.secure()
        raw.header()
        assert raw.open()[4] == 1000
        assert condition(raw.frame(frames.CLOSE).fields[0]) == "amqp:connection:forced"
        assert hung_up(raw)


def test_a_peer_that_sends_heartbeats_stays(hasty: int) -> None:
    with Raw(hasty) as raw:
        raw.secure()
        raw.header()
        raw.open(idle_ms=200)
        began = time.monotonic()
        raw.socket.settimeout(0.05)
        while time.monotonic() < began + 1.5:
            raw.say(frames.EMPTY_FRAME)
            with contextlib.suppress(TimeoutError):
                raw.frame()
        raw.socket.settimeout(10)
        raw.begin()
        assert 5 <= raw.heartbeats <= 30  # one each 100 ms


def test_a_server_that_stops_says_so(bus: Bus) -> None:
    server: Server = bus.call(lambda: Server(bus.service))
    with Raw(bus.run(server.listen(("127.0.0.1", 0)))) as raw:
        raw.start()
        bus.run(server.close())
        assert condition(raw.frame(frames.CLOSE).fields[0]) == "amqp:connection:forced"


# --- $cbs ---


def test_a_token_opens_what_it_is_for(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.secure()
    raw.header()
    raw.open()
    raw.begin()
    audience = f"amqp://localhost/{queue}"
    kind = "servicebus.windows.net:sastoken"
    assert raw.put_token(signature(audience), audience, kind) == {"status-code": 202, "status-description": "Accepted"}
    raw.sender(queue, 5)
    raw.transfer(5, 1, body())
    assert raw.frame(frames.DISPOSITION).fields[4] == ACCEPTED


@pytest.mark.parametrize(
    ("token", "audience", "kind", "code", "says"),
    [
        ("SharedAccessSignature sr=x", "sb://h/q", "servicebus.windows.net:sastoken", 401, "MalformedToken"),
        (signature("sb://h/q", key="other"), "sb://h/q", "servicebus.windows.net:sastoken", 401, "InvalidSignature"),
        (signature("sb://h/q", ends=1), "sb://h/q", "servicebus.windows.net:sastoken", 401, "ExpiredToken"),
        (signature("sb://h/q"), "sb://h/qq", "servicebus.windows.net:sastoken", 401, "InvalidAudience"),
        ("ey.x.y", "sb://h/q", "jwt", 401, "not known"),
        ("x", "sb://h/q", "amqp:other", 401, "UnsupportedToken"),
        ("", "", "", 401, "UnsupportedToken"),
    ],
)
def test_a_token_that_is_none_is_refused_with_its_reason(
    raw: Raw, token: str, audience: str, kind: str, code: int, says: str
) -> None:
    raw.secure()
    raw.header()
    raw.open()
    raw.begin()
    answer = raw.put_token(token, audience, kind)
    assert answer["status-code"] == code
    assert says in answer["status-description"]


def test_a_token_that_ends_takes_its_links_along(bus: Bus) -> None:
    queue, ahead = bus.queue(), [0.0]
    server: Server = bus.call(lambda: Server(bus.service, clock=lambda: time.time() + ahead[0]))
    audience, kind = f"sb://h/{queue}", "servicebus.windows.net:sastoken"
    with Raw(bus.run(server.listen(("127.0.0.1", 0)))) as raw:
        raw.secure()
        raw.header()
        raw.open()
        raw.begin()
        raw.put_token(signature(audience, ends=time.time() + 100), audience, kind)
        raw.receiver(queue, 6)
        raw.flow(6, 10)
        raw.sender(queue, 5)
        raw.transfer(5, 1, body())
        assert raw.frame(frames.TRANSFER, frames.DISPOSITION)
        ahead[0] = 101.0
        raw.transfer(5, 2, body())
        detach = raw.frame(frames.DETACH).fields
        assert (detach[0], condition(detach[2])) == (5, "amqp:unauthorized-access")
        with Raw(bus.port) as other:
            other.start().sender(queue)
            other.transfer(0, 0, body(b"for the next receiver"))
            other.frame(frames.DISPOSITION)
        detach = raw.frame(frames.DETACH).fields
        assert (detach[0], condition(detach[2])) == (6, "amqp:unauthorized-access")
    bus.run(server.close())
    with Raw(bus.port) as raw:
        raw.start().receiver(queue)
        raw.flow(1, 1)
        assert message.read(raw.frame(frames.TRANSFER).payload).header[4] == 0  # given back uncounted


def test_a_token_is_put_anew_before_it_ends(bus: Bus) -> None:
    queue, ahead = bus.queue(), [0.0]
    server: Server = bus.call(lambda: Server(bus.service, clock=lambda: time.time() + ahead[0]))
    audience, kind = f"sb://h/{queue}", "servicebus.windows.net:sastoken"
    with Raw(bus.run(server.listen(("127.0.0.1", 0)))) as raw:
        raw.secure()
        raw.header()
        raw.open()
        raw.begin()
        raw.put_token(signature(audience, ends=time.time() + 100), audience, kind)
        raw.sender(queue, 5)
        raw.put_token(signature(audience, ends=time.time() + 200), audience, kind)
        ahead[0] = 101.0
        raw.transfer(5, 1, body())
        assert raw.frame(frames.DISPOSITION).fields[4] == ACCEPTED
    bus.run(server.close())


def test_a_token_beyond_all_measure_is_rejected(raw: Raw) -> None:
    raw.secure()
    raw.header()
    raw.open()
    raw.begin()
    raw.sender("$cbs", 100)
    for _ in range(10):
        raw.transfer(100, 0, b"x" * 30_000, more=True)
    raw.transfer(100, 0, b"x")
    _, fields = frames.described(raw.frame(frames.DISPOSITION).fields[4])
    assert condition(fields[0]) == "amqp:link:message-size-exceeded"


def test_an_unknown_management_operation_is_not_implemented(bus: Bus, raw: Raw) -> None:
    node = f"{bus.queue()}/$management"
    raw.start().sender(node, 2)
    raw.receiver(node, 3)
    raw.flow(3, 10)
    cases: list[tuple[dict[str, Any], Any, int, str]] = [
        ({"operation": "com.microsoft:dance"}, {}, 501, "amqp:not-implemented"),
        ({"operation": "com.microsoft:peek-message"}, {}, 400, "com.microsoft:argument-error"),
        ({"operation": "com.microsoft:renew-lock"}, {"lock-tokens": ["x"]}, 400, "com.microsoft:argument-error"),
        (
            {"operation": "com.microsoft:schedule-message"},
            {"messages": [{"message": b"rubbish"}]},
            400,
            "amqp:decode-error",
        ),
        ({"operation": "com.microsoft:peek-message"}, {"from-sequence-number": 1, "message-count": 1}, 204, ""),
        ({}, None, 501, "amqp:not-implemented"),
    ]
    for number, (asked, given, status, wanted) in enumerate(cases):
        out = bytearray()
        message.write_section(out, message.PROPERTIES, [UInt(number)])
        message.write_section(out, message.APPLICATION, asked)
        message.write_section(out, message.VALUE, given)
        raw.transfer(2, number, bytes(out))
        answer = message.read(raw.frame(frames.TRANSFER).payload)
        assert answer.properties[message.CORRELATION_ID] == number
        assert (answer.application["statusCode"], answer.application.get("errorCondition", "")) == (status, wanted)
