"""Connections frame by frame: what a client may say, what it may not, and that its faults are its own."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.codec.types import Symbol, UByte, UInt
from localcloud.emulators.service_bus.server import Server
from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.raw import Raw, body
from tests.contract.service_bus.wire import condition, hung_up, still_fine


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
