import asyncio

import pytest

from localcloud.emulators.service_bus.broker.model import (
    ANY,
    Abandon,
    BrokerError,
    Complete,
    Condition,
    Defer,
    Release,
)
from tests.unit.emulators.service_bus.stage import Stage, ids, message, refused, settle


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.queue(requires_session=True, lock_s=30.0, max_delivery_count=3)
    return made


def test_a_session_belongs_to_one_receiver_and_keeps_its_order(stage: Stage) -> None:
    for name in ("a1", "b1", "a2", "b2"):
        stage.send("q", name, session_id=name[0])
    first = stage.receiver("q", session="a")
    assert first.link.session_id == "a"
    assert first.link.session_locked_until == stage.now + 30
    with refused(Condition.SESSION_LOCKED):
        stage.receiver("q", session="a")
    second = stage.receiver("q", session=ANY)
    assert ids(first.take(9)) == ["a1", "a2"]
    assert ids(second.take(9)) == ["b1", "b2"]


def test_the_next_free_session_is_the_one_that_waited_longest(stage: Stage) -> None:
    for session in ("c", "a", "b", "a"):
        stage.send("q", session, session_id=session)
    receivers = [stage.receiver("q", session=ANY) for _ in range(3)]
    assert [receiver.link.session_id for receiver in receivers] == ["c", "a", "b"]
    with refused(Condition.TIMEOUT):
        stage.receiver("q", session=ANY)


def test_who_waits_for_any_session_gets_the_one_that_a_message_opens(stage: Stage) -> None:
    async def scene() -> tuple[str | None, list[str]]:
        waiting = asyncio.create_task(
            stage.broker.receiver(
                "q", mode="peek_lock", on_delivery=lambda _: None, on_end=lambda _: None, session=ANY, wait_s=30
            )
        )
        await asyncio.sleep(0)
        stage.send("q", "a", session_id="new")
        link = await waiting
        return link.session_id, stage.names("q")

    assert asyncio.run(scene()) == ("new", ["a"])


def test_a_waiter_that_gives_up_takes_no_session_with_it(stage: Stage) -> None:
    async def scene() -> None:
        waiting = asyncio.create_task(
            stage.broker.receiver(
                "q", mode="peek_lock", on_delivery=lambda _: None, on_end=lambda _: None, session=ANY, wait_s=30
            )
        )
        await asyncio.sleep(0)
        stage.send("q", "a", session_id="new")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scene())
    assert stage.receiver("q", session="new").link.session_id == "new"


def test_a_session_needs_its_id_and_a_receiver_its_session(stage: Stage) -> None:
    with refused(Condition.NOT_ALLOWED):
        stage.send("q", "a")
    with refused(Condition.NOT_ALLOWED):
        stage.receiver("q")
    with refused(Condition.NOT_ALLOWED):
        stage.send("q", "a", session_id="a", partition_key="b")


def test_the_end_of_a_sessions_lock_counts_as_a_delivery_and_ends_the_receiver(stage: Stage) -> None:
    stage.send("q", "a", session_id="s")
    receiver = stage.receiver("q", session="s")
    delivery = receiver.one()
    stage.after(30)
    assert [error.condition for error in receiver.ended] == [Condition.SESSION_LOCK_LOST]
    with refused(Condition.SESSION_LOCK_LOST):
        settle(stage, delivery, Complete())
    assert stage.receiver("q", session="s").one().message.delivery_count == 1


def test_leaving_a_session_gives_its_messages_back_as_they_were(stage: Stage) -> None:
    stage.send("q", "a", "b", session_id="s")
    receiver = stage.receiver("q", session="s")
    receiver.take(2)
    receiver.link.close()
    again = stage.receiver("q", session=ANY).take(5)
    assert ids(again) == ["a", "b"]
    assert [found.message.delivery_count for found in again] == [0, 0]


def test_an_abandoned_message_comes_before_the_others_of_its_session(stage: Stage) -> None:
    stage.send("q", "a", "b", "c", session_id="s")
    receiver = stage.receiver("q", session="s")
    first, second = receiver.take(2)
    settle(stage, second, Release())
    settle(stage, first, Abandon())
    assert ids(receiver.take(5)) == ["a", "b", "c"]


def test_renewing_a_session_renews_its_messages(stage: Stage) -> None:
    stage.send("q", "a", session_id="s")
    receiver = stage.receiver("q", session="s")
    delivery = receiver.one()
    stage.after(20)
    assert stage.broker.renew_session("q", "s") == stage.now + 30
    stage.after(20)
    settle(stage, delivery, Complete())
    assert receiver.ended == []
    with refused(Condition.SESSION_LOCK_LOST):
        stage.broker.renew_session("q", "other")


def test_state_stays_when_the_messages_are_gone_and_is_reached_under_the_lock_only(stage: Stage) -> None:
    stage.send("q", "a", session_id="s")
    receiver = stage.receiver("q", session="s")
    assert stage.broker.get_session_state("q", "s") is None
    stage.broker.set_session_state("q", "s", b"half done")
    settle(stage, receiver.one(), Complete())
    receiver.link.close()
    with refused(Condition.SESSION_LOCK_LOST):
        stage.broker.get_session_state("q", "s")
    assert stage.broker.list_sessions("q", None, 0, 10) == ["s"]
    stage.receiver("q", session="s")
    assert stage.broker.get_session_state("q", "s") == b"half done"
    stage.broker.set_session_state("q", "s", None)
    assert stage.broker.list_sessions("q", None, 0, 10) == []


def test_deferred_messages_of_a_session_are_received_under_its_lock(stage: Stage) -> None:
    [number] = stage.send("q", "a", session_id="s")
    receiver = stage.receiver("q", session="s")
    settle(stage, receiver.one(), Defer())
    receiver.link.close()
    with refused(Condition.SESSION_LOCK_LOST):
        stage.broker.receive_deferred("q", [number], "peek_lock", "s")
    stage.receiver("q", session="s")
    [delivery] = stage.broker.receive_deferred("q", [number], "peek_lock", "s")
    settle(stage, delivery, Complete())
    assert stage.names("q") == []


def test_dead_letters_of_sessions_have_no_sessions(stage: Stage) -> None:
    stage.send("q", "a", session_id="s")
    receiver = stage.receiver("q", session="s")
    for _ in range(3):
        settle(stage, receiver.one(), Abandon())
    assert ids(stage.receiver("q/$deadletterqueue").take()) == ["a"]


def test_a_deleted_entity_ends_the_wait_for_a_session(stage: Stage) -> None:
    async def scene() -> None:
        waiting = asyncio.create_task(
            stage.broker.receiver(
                "q", mode="peek_lock", on_delivery=lambda _: None, on_end=lambda _: None, session=ANY, wait_s=30
            )
        )
        await asyncio.sleep(0)
        stage.broker.delete("q")
        with pytest.raises(BrokerError, match="was deleted"):
            await waiting

    asyncio.run(scene())


def test_a_scheduled_message_opens_its_session_when_its_time_has_come(stage: Stage) -> None:
    stage.broker.schedule("q", [message("a", session_id="s")], [stage.now + 5])
    assert stage.broker.list_sessions("q", None, 0, 10) == []
    stage.after(5)
    assert stage.receiver("q", session=ANY).link.session_id == "s"
