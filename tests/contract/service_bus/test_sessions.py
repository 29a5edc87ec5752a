"""Message sessions: locks, order, state."""

import asyncio
import datetime as dt

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from tests.contract.service_bus.kit import AWAITED, Kit, both, first, since, text


def of(session: str, *bodies: str) -> list[ServiceBusMessage]:
    return [ServiceBusMessage(body, session_id=session) for body in bodies]


@both
async def test_a_receiver_gets_its_session_only_and_in_order(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True)
    sender, receiver = await kit.pair(queue, session_id="a")
    await sender.send_messages([*of("b", "x"), *of("a", "1", "2"), *of("b", "y"), *of("a", "3")])
    got = await first(receiver, 3)
    assert [text(message) for message in got] == ["1", "2", "3"]
    assert {message.session_id for message in got} == {"a"}
    assert receiver.session.session_id == "a"
    assert kit.bus.counts(queue).active == 5
    for message in got:
        await receiver.complete_message(message)
    assert kit.bus.counts(queue).active == 2


@both
async def test_next_available_takes_a_session_that_nobody_holds(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True)
    sender = await kit.sender(queue)
    await sender.send_messages([*of("one", "1"), *of("two", "2")])
    receivers = await asyncio.gather(*(kit.receiver(queue, session_id=NEXT_AVAILABLE_SESSION) for _ in range(2)))
    assert {receiver.session.session_id for receiver in receivers} == {"one", "two"}
    bodies = {text((await first(receiver))[0]) for receiver in receivers}
    assert bodies == {"1", "2"}


@both
async def test_next_available_waits_for_a_session_and_gives_up(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True)
    sender = await kit.sender(queue)
    with pytest.raises(OperationTimeoutError):
        await kit.receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1)
    waiting = asyncio.ensure_future(kit.receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=20))
    await sender.send_messages(of("late", "x"))
    receiver = await waiting
    assert receiver.session.session_id == "late"


@both
async def test_a_session_that_somebody_holds_cannot_be_locked(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True)
    await kit.receiver(queue, session_id="mine")
    with pytest.raises(SessionCannotBeLockedError):
        await kit.receiver(queue, session_id="mine")


@both
async def test_a_session_is_free_again_when_its_receiver_closes(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True)
    sender, receiver = await kit.pair(queue, session_id="s")
    await sender.send_messages(of("s", "1"))
    (got,) = await first(receiver)
    assert got.delivery_count == 0
    await receiver.close()
    again = await kit.receiver(queue, session_id="s")
    (got,) = await first(again)
    assert text(got) == "1"
    await again.complete_message(got)


@both
async def test_state_is_kept_with_the_session(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True)
    receiver = await kit.receiver(queue, session_id="s")
    assert await receiver.session.get_state() is None
    await receiver.session.set_state(b"step 2")
    assert bytes(await receiver.session.get_state()) == b"step 2"
    await receiver.session.set_state("text")
    assert bytes(await receiver.session.get_state()) == b"text"
    await receiver.session.set_state(None)
    assert await receiver.session.get_state() is None


@AWAITED
@both
async def test_a_session_lock_is_renewed_and_else_lost(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True, lock_s=30)
    sender, receiver = await kit.pair(queue, session_id="s")
    await sender.send_messages(of("s", "1", "2"))
    one, two = await first(receiver, 2)
    before = receiver.session.locked_until_utc
    kit.bus.later(20)
    assert await receiver.session.renew_lock() >= before + dt.timedelta(seconds=19)
    kit.bus.later(20)
    await receiver.complete_message(one)
    kit.bus.later(31)
    with pytest.raises(SessionLockLostError):
        await receiver.complete_message(two)
    other = await kit.receiver(queue, session_id="s")
    assert text((await first(other))[0]) == "2"


@both
async def test_deferred_messages_of_a_session(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True)
    sender, receiver = await kit.pair(queue, session_id="s")
    await sender.send_messages(of("s", "1"))
    (got,) = await first(receiver)
    await receiver.defer_message(got)
    (got,) = await receiver.receive_deferred_messages(got.sequence_number)
    await receiver.complete_message(got)
    assert kit.bus.counts(queue).active == 0


@both
async def test_a_queue_with_sessions_wants_them_on_both_sides(kit: Kit) -> None:
    queue, plain = kit.bus.queue(requires_session=True), kit.bus.queue()
    sender = await kit.sender(queue)
    with pytest.raises(ServiceBusError, match="session"):
        await sender.send_messages(ServiceBusMessage("no session"))
    client = kit.client()
    for error in await kit.refused(client.get_queue_receiver(queue), client.get_queue_receiver(plain, session_id="s")):
        assert "session" in str(error)


@since("7.15", "sessions can be listed")
@both
async def test_sessions_are_listed(kit: Kit) -> None:
    queue = kit.bus.queue(requires_session=True)
    sender = await kit.sender(queue)
    await sender.send_messages([*of("b", "1"), *of("a", "1", "2")])
    client = kit.client()
    if kit.flavour == "aio":
        found = [name async for name in client.list_queue_sessions(queue)]
        await client.close()
    else:
        found = await asyncio.to_thread(lambda: list(client.list_queue_sessions(queue)))
        client.close()
    assert found == ["a", "b"]
