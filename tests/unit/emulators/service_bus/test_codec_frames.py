"""Frames are cut wherever the stream breaks; messages keep what may not change; damage is a CodecError."""

import contextlib
import uuid
from typing import Any

import pytest
from azure.servicebus._pyamqp._decode import decode_frame, decode_payload
from azure.servicebus._pyamqp._encode import encode_frame, encode_payload
from azure.servicebus._pyamqp.message import BatchMessage, Header, Message, Properties
from azure.servicebus._pyamqp.outcomes import Accepted, Modified, Received, Rejected, Released
from azure.servicebus._pyamqp.performatives import DispositionFrame, TransferFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.emulators.service_bus.codec import deliveries, frames, message
from localcloud.emulators.service_bus.codec.types import CodecError, Described, Int, Timestamp, UInt


def cut(stream: bytes, largest: int = 65536) -> list[tuple[int, int, bytes]]:
    splitter = frames.Splitter(largest)
    return [(kind, channel, splitter.buffer[start:end]) for kind, channel, start, end in splitter.feed(stream)]


def test_frames_are_cut_wherever_the_stream_breaks() -> None:
    stream = frames.write(frames.END, [None], channel=3) + frames.EMPTY_FRAME + frames.write(frames.CLOSE, [None])
    for size in range(1, len(stream)):
        splitter = frames.Splitter(512)
        found: list[Any] = []
        for start in range(0, len(stream), size):
            found += [
                (frame[1], splitter.buffer[frame[2] : frame[3]])
                for frame in splitter.feed(stream[start : start + size])
            ]
        assert [channel for channel, _ in found] == [3, 0, 0]
        assert found[1][1] == b""


@pytest.mark.parametrize(
    "head", ["00000007 02000000", "00000201 02000000", "0000000c 01000000 00000000", "00000008 03000000"]
)
def test_a_frame_that_cannot_be_is_a_framing_error(head: str) -> None:
    with pytest.raises(frames.FramingError):
        frames.Splitter(512).feed(bytes.fromhex(head))


@settings(deadline=None)
@given(
    st.integers(0, 300),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=3000),
    st.booleans(),
    st.sampled_from([512, 70000]),
)
def test_a_delivery_reads_back_in_frames_no_larger_than_agreed(
    handle: int, delivery: int, payload: bytes, settled: bool, largest: int
) -> None:
    out = bytearray()
    count = deliveries.write_transfer(out, 7, handle, delivery, b"t" * 16, payload, settled=settled, largest=largest)
    whole = b""
    found = cut(bytes(out), largest)
    assert len(found) == count
    for number, (_, channel, body) in enumerate(found):
        got = deliveries.read_transfer(body)
        sdk = decode_frame(memoryview(body))[1]
        assert (channel, got[0], got[4], got[5]) == (7, handle, settled, number < count - 1)
        assert (sdk[0], sdk[4], sdk[5]) == (handle, settled, number < count - 1)
        assert (got[1], got[2]) == ((delivery, b"t" * 16) if number == 0 else (None, None))
        whole += body[got[7] :]
    assert whole == payload


FLAGS = st.sampled_from([None, True, False])
U32 = st.integers(0, 2**32 - 1)
FORMS = st.sampled_from([None, 0, message.BATCH_FORMAT])


@settings(deadline=None)
@given(U32, st.none() | U32, st.none() | st.binary(max_size=32), FORMS, FLAGS, FLAGS, FLAGS, st.binary(max_size=50))
def test_the_quick_reading_of_a_transfer_is_the_general_one(
    handle: int,
    delivery: int | None,
    tag: bytes | None,
    form: int | None,
    settled: Any,
    more: Any,
    aborted: Any,
    payload: bytes,
) -> None:
    frame = TransferFrame(handle, delivery, tag, form, settled, more, None, None, None, aborted, None, payload)
    body = bytes(encode_frame(frame)[1] or b"")
    got = deliveries.read_transfer(body)
    assert got[:7] == (handle, delivery, tag, form or 0, bool(settled), bool(more), bool(aborted))
    assert body[got[7] :] == payload
    assert got == deliveries._read_transfer(body)


OUTCOMES = st.sampled_from([None, Accepted(), Released(), Modified(True, None, None), Rejected(None), Received(1, 2)])


@settings(deadline=None)
@given(FLAGS, U32, st.none() | U32, FLAGS, OUTCOMES, FLAGS, st.binary(max_size=2))
def test_the_quick_reading_of_a_disposition_is_the_general_one(
    role: Any, first: int, last: int | None, settled: Any, state: Any, batchable: Any, more: bytes
) -> None:
    frame = DispositionFrame(role, first, last, settled, state, batchable)
    body = bytes(encode_frame(frame)[1] or b"") + more
    got = deliveries.read_disposition(body)
    assert got == deliveries._read_disposition(body)
    assert got[:4] == (bool(role), first, last, bool(settled))
    assert (got[4] is deliveries.ACCEPTED_STATE) == (isinstance(state, Accepted) and not more and batchable is None)


@settings(deadline=None)
@given(st.integers(3, 21), st.integers(0, 255))  # the first three led here
def test_a_damaged_disposition_is_read_quickly_as_it_is_generally(place: int, value: int) -> None:
    body = bytearray(encode_frame(DispositionFrame(True, 5, 5, False, Accepted(), None))[1] or b"")
    body[min(place, len(body) - 1)] = value
    general: Any = CodecError
    with contextlib.suppress(CodecError):
        general = deliveries._read_disposition(bytes(body))
    try:
        assert deliveries.read_disposition(bytes(body)) == general
    except CodecError:
        assert general is CodecError


def test_a_disposition_of_every_size_reads_back() -> None:
    for text in ("", "x" * 180, "x" * 400):
        out = bytearray()
        state = frames.encoded_error("com.microsoft:message-lock-lost", text)
        deliveries.write_disposition(out, 1, 5, 9, by_receiver=False, state=state)
        ((_, _, body),) = cut(bytes(out))
        code, fields, _ = frames.read_performative(body)
        assert (code, fields[:4]) == (frames.DISPOSITION, [False, 5, 9, True])
        assert frames.described(fields[4]) == (
            frames.REJECTED,
            [Described(0x1D, ["com.microsoft:message-lock-lost", text, None])],
        )
        assert decode_frame(memoryview(body))[1][4] == {
            "rejected": [[b"com.microsoft:message-lock-lost", text.encode(), None]]
        }


def test_a_message_of_the_sdk_keeps_its_bare_bytes() -> None:
    sent = Message(
        header=Header(ttl=5000, durable=True), message_annotations={b"x-opt-partition-key": "p"},
        properties=Properties(message_id=uuid.UUID(int=7), group_id="s"), application_properties={"a": 1, "b": "ü"},
        data=[b"body"], delivery_annotations={b"x": 1},
    )  # fmt: skip
    raw = bytes(encode_payload(bytearray(), sent))
    read = message.read(raw)
    assert (read.header[2], read.annotations, read.application) == (
        5000,
        {"x-opt-partition-key": "p"},
        {"a": Int(1), "b": "ü"},
    )
    assert (read.properties[message.MESSAGE_ID], read.properties[message.GROUP_ID]) == (uuid.UUID(int=7), "s")
    assert (read.size, read.bare[read.tail :]) == (len(raw), b"\x00\x53\x75\xa0\x04body")
    out = bytearray()
    message.write_header(out, durable=True, priority=4, ttl_ms=5000, delivery_count=3)
    message.write_annotations(
        out, sequence=2**40, enqueued_ms=1, locked_until_ms=2, others={"x-opt-partition-key": "p"}
    )
    back = decode_payload(memoryview(bytes(out) + read.bare))
    assert back.header is not None
    assert (back.header.delivery_count, back.header.ttl, back.data) == (3, 5000, [b"body"])
    assert back.message_annotations == {
        b"x-opt-enqueued-time": 1, b"x-opt-sequence-number": 2**40, b"x-opt-locked-until": 2,
        b"x-opt-partition-key": b"p",
    }  # fmt: skip
    assert back.properties == decode_payload(memoryview(raw)).properties


def test_a_batch_gives_its_messages() -> None:
    parts = [bytes(encode_payload(bytearray(), Message(data=[b"n" * n]))) for n in (1, 300)]
    assert message.batch(bytes(encode_payload(bytearray(), BatchMessage(data=parts)))) == parts


@settings(deadline=None)
@given(st.binary(max_size=200), st.data())
def test_a_damaged_message_is_a_message_or_a_codec_error(body: bytes, data: st.DataObject) -> None:
    sent = Message(
        header=Header(ttl=1), properties=Properties(message_id="m"), application_properties={"k": [1, "x"]}, data=[body]
    )
    raw = bytearray(encode_payload(bytearray(), sent))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CodecError):
        message.read(bytes(raw))
    with contextlib.suppress(CodecError):
        message.batch(bytes(raw))
    with contextlib.suppress(CodecError):
        frames.read_performative(bytes(raw))
    with contextlib.suppress(CodecError):
        deliveries.read_transfer(bytes(raw))


def test_milliseconds_are_a_timestamp() -> None:
    assert message.milliseconds(1.5) == Timestamp(1500)
    assert isinstance(message.milliseconds(0), Timestamp)
    assert UInt(1) == 1
