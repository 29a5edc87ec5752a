"""Sessions and links on which a client sends, frame by frame."""

import time
from typing import Any

import pytest

from localcloud.emulators.service_bus.codec import deliveries, frames, message
from localcloud.emulators.service_bus.codec.types import Described, UByte, UInt
from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.raw import Raw, body
from tests.contract.service_bus.wire import ACCEPTED, condition


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
        deliveries.write_transfer(out, 0, 0, number, b"t", body(), settled=False, largest=65536)
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
        deliveries.write_transfer(out, 0, 0, number, b"t", body(), settled=True, largest=65536)
    raw.say(bytes(out))
    flows = [raw.frame(frames.FLOW).fields for _ in range(12)]
    assert any(flow[4] is None and flow[1] == 5000 for flow in flows)
    assert any(flow[4] == 0 and flow[6] == 1000 and flow[5] > 0 for flow in flows)
    deadline = time.monotonic() + 10
    while bus.counts(queue).active < 6000 and time.monotonic() < deadline:
        pass
    assert bus.counts(queue).active == 6000
