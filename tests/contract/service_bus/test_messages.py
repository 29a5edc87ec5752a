"""Sending and receiving."""

import asyncio
import datetime as dt
import gc
import uuid
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageNotFoundError,
    MessageSizeExceededError,
)

from tests.contract.service_bus.kit import Kit, both, first, since, text


@both
async def test_a_message_arrives_with_everything_that_it_had(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue())
    sent = ServiceBusMessage(
        b"body", message_id="m-1", subject="s", content_type="text/plain", correlation_id="c", to="t", reply_to="r",
        reply_to_session_id="rs", partition_key="p", time_to_live=dt.timedelta(hours=1),
        application_properties={"text": "ä", "int": 1, "float": 1.5, "bool": True, "uuid": uuid.UUID(int=1)},
    )  # fmt: skip
    await sender.send_messages(sent)
    (got,) = await first(receiver)
    assert text(got) == "body"
    for name in (
        "message_id",
        "subject",
        "content_type",
        "correlation_id",
        "to",
        "reply_to",
        "partition_key",
        "time_to_live",
    ):
        assert getattr(got, name) == getattr(sent, name), name
    assert got.reply_to_session_id == "rs"
    assert got.application_properties == {
        b"text": b"\xc3\xa4", b"int": 1, b"float": 1.5, b"bool": True, b"uuid": uuid.UUID(int=1),
    }  # fmt: skip
    assert (got.sequence_number, got.delivery_count, got.state) == (1, 0, 0)
    assert got.enqueued_time_utc < got.locked_until_utc
    assert got.expires_at_utc == got.enqueued_time_utc + dt.timedelta(hours=1)
    await receiver.complete_message(got)
    assert kit.bus.counts(receiver.entity_path).active == 0


@both
async def test_bodies_of_every_kind(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue())
    bodies: list[tuple[str, Any]] = [
        ("data_body", [b"a", b"b"]),
        ("value_body", {"k": [1, "x", None]}),
        ("sequence_body", [[1, 2], ["z"]]),
    ]
    await sender.send_messages([AmqpAnnotatedMessage(**{name: value}) for name, value in bodies])
    kinds = [message.body_type for message in await first(receiver, 3)]
    assert kinds == [AmqpMessageBodyType.DATA, AmqpMessageBodyType.VALUE, AmqpMessageBodyType.SEQUENCE]


@both
async def test_receive_and_delete_leaves_nothing(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    await sender.send_messages([ServiceBusMessage("1"), ServiceBusMessage("2")])
    got = await first(receiver, 2)
    assert [text(message) for message in got] == ["1", "2"]
    assert kit.bus.counts(queue).active == 0
    with pytest.raises(ValueError, match="RECEIVE_AND_DELETE"):
        await receiver.complete_message(got[0])


@both
async def test_an_expired_message_is_gone_or_dead_lettered(kit: Kit) -> None:
    gone, kept = kit.bus.queue(), kit.bus.queue(dead_letter_on_expiration=True)
    senders = await asyncio.gather(kit.sender(gone), kit.sender(kept))
    for sender in senders:
        await sender.send_messages(ServiceBusMessage("old", time_to_live=dt.timedelta(seconds=5)))
    kit.bus.later(6)
    assert (kit.bus.counts(gone).active, kit.bus.counts(gone).dead_letter) == (0, 0)
    assert (kit.bus.counts(kept).active, kit.bus.counts(kept).dead_letter) == (0, 1)
    dead = await kit.receiver(kept, sub_queue="deadletter")
    assert (await first(dead))[0].dead_letter_reason == "TTLExpiredException"


@both
async def test_the_queue_s_time_to_live_bounds_the_message_s(kit: Kit) -> None:
    queue = kit.bus.queue(default_ttl_s=10.0)
    sender = await kit.sender(queue)
    await sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b", time_to_live=dt.timedelta(hours=9))])
    kit.bus.later(11)
    assert kit.bus.counts(queue).active == 0


@both
async def test_a_batch_arrives_whole_and_in_order(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue())
    batch = await sender.create_message_batch() if kit.flavour == "aio" else sender.real.create_message_batch()
    for number in range(100):
        batch.add_message(ServiceBusMessage(str(number), application_properties={"n": number}))
    await sender.send_messages(batch)
    got = await first(receiver, 100)
    assert [text(message) for message in got] == [str(number) for number in range(100)]
    assert [message.sequence_number for message in got] == list(range(1, 101))


@both
async def test_a_batch_takes_no_more_than_the_queue_does(kit: Kit) -> None:
    sender = await kit.sender(kit.bus.queue())
    batch = await sender.create_message_batch() if kit.flavour == "aio" else sender.real.create_message_batch()
    assert batch.max_size_in_bytes == 256 * 1024
    with pytest.raises(MessageSizeExceededError):
        batch.add_message(ServiceBusMessage(b"x" * 256 * 1024))


@both
async def test_a_message_of_many_frames_arrives_whole(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue())
    body = bytes(range(256)) * 1000
    await sender.send_messages(ServiceBusMessage(body))
    (got,) = await first(receiver)
    assert b"".join(got.body) == body


@both
async def test_a_message_over_the_limit_is_refused_and_the_sender_goes_on(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue)
    with pytest.raises(MessageSizeExceededError, match="exceeds the limit"):
        await sender.send_messages(ServiceBusMessage(b"x" * 300_000))
    await sender.send_messages(ServiceBusMessage("small"))
    assert text((await first(receiver))[0]) == "small"


@both
async def test_peek_shows_without_taking_and_goes_on(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue)
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
    assert [text(message) for message in await receiver.peek_messages(3)] == ["0", "1", "2"]
    assert [text(message) for message in await receiver.peek_messages(3)] == ["3", "4"]
    assert await receiver.peek_messages(3) == []
    assert [message.sequence_number for message in await receiver.peek_messages(9, sequence_number=4)] == [4, 5]
    assert kit.bus.counts(queue).active == 5


@both
async def test_a_scheduled_message_waits_for_its_time(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue)
    when = kit.bus.now() + dt.timedelta(hours=20)
    numbers = await sender.schedule_messages([ServiceBusMessage("one"), ServiceBusMessage("two")], when)
    assert len(numbers) == 2
    (peeked, _) = await receiver.peek_messages(2)
    assert peeked.state == 2
    assert abs((peeked.scheduled_enqueue_time_utc - when).total_seconds()) < 0.01
    await sender.cancel_scheduled_messages(numbers[0])
    assert kit.bus.counts(queue).active == 0
    kit.bus.later(20 * 3600 + 1)
    (got,) = await first(receiver)
    assert text(got) == "two"
    with pytest.raises(MessageNotFoundError):
        await sender.cancel_scheduled_messages(numbers)


@both
async def test_a_message_sent_with_a_time_is_scheduled_too(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender = await kit.sender(queue)
    when = kit.bus.now() + dt.timedelta(hours=1)
    await sender.send_messages(ServiceBusMessage("later", scheduled_enqueue_time_utc=when))
    assert (kit.bus.counts(queue).active, kit.bus.counts(queue).scheduled) == (0, 1)


@both
async def test_duplicates_are_dropped_within_the_window(kit: Kit) -> None:
    queue = kit.bus.queue(requires_duplicate_detection=True, duplicate_window_s=60.0)
    sender = await kit.sender(queue)
    for _ in range(3):
        await sender.send_messages(ServiceBusMessage("same", message_id="same"))
    assert kit.bus.counts(queue).active == 1
    kit.bus.later(61)
    await sender.send_messages(ServiceBusMessage("same", message_id="same"))
    assert kit.bus.counts(queue).active == 2


@both
async def test_prefetched_messages_are_handed_out_by_the_iterator(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue, prefetch_count=50, max_wait_time=1)
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(20)])
    got = []
    async for message in receiver:
        got.append(text(message))
        await receiver.complete_message(message)
        if len(got) == 20:
            break
    assert got == [str(number) for number in range(20)]
    assert kit.bus.counts(queue).active == 0


@since("7.15", "a receiver that closes gives back what it fetched ahead")
@both
async def test_what_was_prefetched_and_not_used_is_given_back_uncounted(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue, prefetch_count=10)
    await sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
    await receiver.complete_message((await first(receiver))[0])
    await receiver.close()
    other = await kit.receiver(queue)
    got = await first(other, 4)
    assert sorted(text(message) for message in got) == ["1", "2", "3", "4"]
    assert [message.delivery_count for message in got] == [0, 0, 0, 0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves broken sockets open
@both
async def test_sender_and_receiver_come_back_after_their_connections_were_cut(kit: Kit) -> None:
    queue = kit.bus.queue()
    client = kit.client(retry_total=3, retry_backoff_factor=0.01)
    sender, receiver = await asyncio.gather(
        kit.open(client.get_queue_sender(queue)), kit.open(client.get_queue_receiver(queue))
    )
    for number in range(2):
        await sender.send_messages(ServiceBusMessage(str(number)))
        (got,) = await first(receiver)
        assert text(got) == str(number)
        await receiver.complete_message(got)
        kit.bus.cut(queue)
    gc.collect()
