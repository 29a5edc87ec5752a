"""Settling: abandoned, dead-lettered, deferred, and locks that run out."""

import asyncio
import datetime as dt
import gc

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageLockLostError,
    MessageNotFoundError,
)

from tests.contract.service_bus.kit import AWAITED, Kit, both, first, text


@both
async def test_an_abandoned_message_comes_again_with_its_count(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue())
    await sender.send_messages(ServiceBusMessage("again"))
    for count in range(3):
        (got,) = await first(receiver)
        assert got.delivery_count == count
        await receiver.abandon_message(got)


@both
async def test_a_message_delivered_too_often_is_dead_lettered_with_its_reason(kit: Kit) -> None:
    queue = kit.bus.queue(max_delivery_count=2)
    sender, receiver, dead = await asyncio.gather(
        kit.sender(queue), kit.receiver(queue), kit.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    )
    await sender.send_messages(ServiceBusMessage("poison", message_id="p"))
    for _ in range(2):
        await receiver.abandon_message((await first(receiver))[0])
    (got,) = await first(dead)
    assert (text(got), got.message_id, got.dead_letter_reason) == ("poison", "p", "MaxDeliveryCountExceeded")
    await dead.complete_message(got)
    assert kit.bus.counts(queue).dead_letter == 0


@both
async def test_a_dead_letter_keeps_its_properties_and_tells_why(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver, dead = await asyncio.gather(
        kit.sender(queue), kit.receiver(queue), kit.receiver(queue, sub_queue="deadletter")
    )
    await sender.send_messages(ServiceBusMessage("bad", subject="s", application_properties={"k": 7}))
    await receiver.dead_letter_message((await first(receiver))[0], reason="Unreadable", error_description="no JSON")
    (got,) = await first(dead)
    assert (got.dead_letter_reason, got.dead_letter_error_description, got.subject) == ("Unreadable", "no JSON", "s")
    assert got.application_properties[b"k"] == 7
    assert text(got) == "bad"


@both
async def test_a_deferred_message_comes_only_by_its_number(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue)
    await sender.send_messages([ServiceBusMessage("later"), ServiceBusMessage("now")])
    later, now = await first(receiver, 2)
    await receiver.defer_message(later)
    await receiver.complete_message(now)
    (peeked,) = await receiver.peek_messages(sequence_number=later.sequence_number)
    assert peeked.state == 1
    (got,) = await receiver.receive_deferred_messages(later.sequence_number)
    assert (text(got), got.sequence_number) == ("later", later.sequence_number)
    await receiver.renew_message_lock(got)
    await receiver.complete_message(got)
    with pytest.raises(MessageNotFoundError):
        await receiver.receive_deferred_messages(later.sequence_number)


@both
async def test_a_deferred_message_can_be_dead_lettered_and_abandoned(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue)
    await sender.send_messages(ServiceBusMessage("d"))
    (got,) = await first(receiver)
    await receiver.defer_message(got)
    number = got.sequence_number
    (again,) = await receiver.receive_deferred_messages([number])
    await receiver.abandon_message(again)  # our reading, as documented for the SDKs: it stays deferred
    (again,) = await receiver.receive_deferred_messages([number])
    await receiver.dead_letter_message(again, reason="r", error_description="d")
    assert kit.bus.counts(queue).dead_letter == 1


@AWAITED
@both
async def test_a_lock_that_ran_out_is_lost_and_the_message_comes_again(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue(lock_s=30))
    await sender.send_messages(ServiceBusMessage("slow"))
    (slow,) = await first(receiver)
    kit.bus.later(31)
    with pytest.raises(MessageLockLostError):
        await receiver.complete_message(slow)
    (again,) = await first(receiver)
    assert (text(again), again.delivery_count) == ("slow", 1)
    await receiver.complete_message(again)


@both
async def test_a_renewed_lock_holds_longer(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue(lock_s=30))
    await sender.send_messages(ServiceBusMessage("long"))
    (got,) = await first(receiver)
    before = got.locked_until_utc
    kit.bus.later(20)
    until = await receiver.renew_message_lock(got)
    assert until >= before + dt.timedelta(seconds=19)
    kit.bus.later(20)
    await receiver.complete_message(got)


@both
async def test_a_message_is_settled_once(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue())
    await sender.send_messages(ServiceBusMessage("once"))
    (got,) = await first(receiver)
    await receiver.complete_message(got)
    with pytest.raises(MessageAlreadySettled):
        await receiver.complete_message(got)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves broken sockets open
@AWAITED
@both
async def test_a_lock_outlives_its_link(kit: Kit) -> None:
    queue = kit.bus.queue()
    client = kit.client(retry_total=3, retry_backoff_factor=0.01)
    sender, receiver = await asyncio.gather(kit.sender(queue), kit.open(client.get_queue_receiver(queue)))
    await sender.send_messages(ServiceBusMessage("kept"))
    (got,) = await first(receiver)
    kit.bus.cut(queue)
    await receiver.complete_message(got)  # over $management of a new connection
    assert (kit.bus.counts(queue).active, kit.bus.counts(queue).dead_letter) == (0, 0)
    gc.collect()
