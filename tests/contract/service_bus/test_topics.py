"""Topics, subscriptions, rules, forwarding."""

import asyncio

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import MessagingEntityDisabledError, MessagingEntityNotFoundError, ServiceBusError

from localcloud.emulators.service_bus.broker.model import CorrelationFilter, Rule, SqlFilter
from localcloud.emulators.service_bus.broker.options import QueueOptions, Status
from tests.contract.service_bus.kit import Kit, both, first, text


@both
async def test_every_subscription_gets_its_copy(kit: Kit) -> None:
    topic = kit.bus.topic()
    paths = [kit.bus.subscription(topic, name) for name in ("one", "two")]
    sender, *receivers = await asyncio.gather(kit.sender(topic), *(kit.receiver(path) for path in paths))
    await sender.send_messages(ServiceBusMessage("all", application_properties={"k": "v"}))
    for receiver in receivers:
        (got,) = await first(receiver)
        assert (text(got), got.application_properties) == ("all", {b"k": b"v"})
        await receiver.complete_message(got)


@both
async def test_rules_choose_and_change(kit: Kit) -> None:
    topic = kit.bus.topic()
    red = kit.bus.subscription(topic, "red", Rule("r", CorrelationFilter(properties={"colour": "red"})))
    large = kit.bus.subscription(
        topic, "large", Rule("r", SqlFilter("size > 10 AND sys.Label LIKE 'a%'"), "SET seen = 1; SET sys.Label = 'l'")
    )
    none = kit.bus.subscription(topic, "none", Rule("r", SqlFilter("1=0")))
    sender, from_red, from_large = await asyncio.gather(kit.sender(topic), kit.receiver(red), kit.receiver(large))
    await sender.send_messages([
        ServiceBusMessage("small red", application_properties={"colour": "red", "size": 1}, subject="a"),
        ServiceBusMessage(
            "large blue", application_properties={"colour": "blue", "size": 11}, subject="ab", message_id="m"
        ),
    ])  # fmt: skip
    assert text((await first(from_red))[0]) == "small red"
    (got,) = await first(from_large)
    assert (text(got), got.subject, got.message_id) == ("large blue", "l", "m")
    assert got.application_properties == {b"colour": b"blue", b"size": 11, b"seen": 1, b"RuleName": b"r"}
    assert [kit.bus.counts(path).active for path in (red, large, none)] == [1, 1, 0]


@both
async def test_a_message_is_forwarded_and_keeps_its_first_number(kit: Kit) -> None:
    target = kit.bus.queue()
    source = kit.bus.queue(forward_to=target)
    sender, receiver = await kit.pair(source, target)
    await sender.send_messages(ServiceBusMessage("on"))
    (got,) = await first(receiver)
    assert text(got) == "on"
    assert got.enqueued_sequence_number == 1
    with pytest.raises(ServiceBusError):
        await kit.receiver(source)


@both
async def test_dead_letters_can_be_forwarded(kit: Kit) -> None:
    dead = kit.bus.queue()
    queue = kit.bus.queue(forward_dead_letters_to=dead)
    sender, receiver, graves = await asyncio.gather(kit.sender(queue), kit.receiver(queue), kit.receiver(dead))
    await sender.send_messages(ServiceBusMessage("x"))
    await receiver.dead_letter_message((await first(receiver))[0], reason="because")
    (got,) = await first(graves)
    assert (got.dead_letter_reason, got.dead_letter_source) == ("because", queue)


@both
async def test_what_cannot_be_forwarded_is_in_the_transfer_dead_letter_queue(kit: Kit) -> None:
    target = kit.bus.queue()
    source = kit.bus.queue(forward_to=target)
    kit.bus.call(kit.bus.service.update, target, QueueOptions(status=Status.SEND_DISABLED))
    sender, dead = await asyncio.gather(
        kit.sender(source), kit.receiver(source, sub_queue=ServiceBusSubQueue.TRANSFER_DEAD_LETTER)
    )
    await sender.send_messages(ServiceBusMessage("stuck"))
    assert text((await first(dead))[0]) == "stuck"


@both
async def test_what_is_not_there_or_shut_says_so(kit: Kit) -> None:
    client = kit.client()
    for error in await kit.refused(client.get_queue_sender("nowhere"), client.get_queue_receiver("nowhere")):
        assert isinstance(error, MessagingEntityNotFoundError)
        assert "'nowhere' could not be found" in str(error)
    queue = kit.bus.queue()
    sender = await kit.sender(queue)
    kit.bus.call(kit.bus.service.update, queue, QueueOptions(status=Status.DISABLED))
    with pytest.raises(MessagingEntityDisabledError):
        await sender.send_messages(ServiceBusMessage("x"))


@both
async def test_a_deleted_queue_ends_its_links(kit: Kit) -> None:
    queue = kit.bus.queue()
    sender, receiver = await kit.pair(queue)
    kit.bus.call(kit.bus.service.delete, queue)
    with pytest.raises(ServiceBusError):
        await sender.send_messages(ServiceBusMessage("x"))
    with pytest.raises(ServiceBusError):
        await receiver.receive_messages(max_wait_time=2)


@both
async def test_a_topic_is_only_sent_to_and_a_subscription_only_received_from(kit: Kit) -> None:
    topic = kit.bus.topic()
    path = kit.bus.subscription(topic, "s")
    client = kit.client()
    errors = await kit.refused(client.get_queue_receiver(topic), client.get_queue_sender(path))
    assert "receive from one of its subscriptions" in str(errors[0])
    assert "send to its queue or topic" in str(errors[1])
