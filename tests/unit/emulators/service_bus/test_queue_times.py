"""What happens to a queue by the clock: expiry, deferral, schedules, windows, deletion when idle."""

import asyncio
import gc

import pytest

from localcloud.emulators.service_bus.broker.model import (
    Abandon,
    Complete,
    Condition,
    Defer,
    Delivery,
    Envelope,
    Message,
    State,
)
from localcloud.emulators.service_bus.broker.options import QueueOptions
from localcloud.emulators.service_bus.broker.service import Service
from tests.unit.emulators.service_bus.stage import DEAD, Stage, ids, message, refused, settle


@pytest.mark.parametrize(("kept", "reason"), [(False, None), (True, "TTLExpiredException")])
def test_a_message_that_expires_is_dropped_or_dead_lettered(kept: bool, reason: str | None) -> None:
    stage = Stage()
    stage.queue(dead_letter_on_expiration=kept, default_ttl_s=100.0)
    stage.send("q", "short", ttl=10.0)
    stage.send("q", "long", ttl=1e9)
    stage.after(10)
    assert stage.names("q") == ["long"]
    stage.after(90)
    assert stage.names("q") == []
    assert stage.names(DEAD) == (["short", "long"] if kept else [])
    assert all(found.dead_letter_reason == reason for found in stage.broker.peek(DEAD, 0, 10))


def test_a_locked_message_expires_when_its_lock_is_over(stage: Stage) -> None:
    stage.send("q", "a", "b", ttl=10.0)
    first, second = stage.receiver("q").take(2)
    stage.after(15)
    settle(stage, first, Complete())
    settle(stage, second, Abandon())
    assert stage.names("q") == []


def test_a_deferred_message_is_received_by_its_number_only(stage: Stage) -> None:
    stage.send("q", "a", "b")
    receiver = stage.receiver("q")
    settle(stage, receiver.one(), Defer({"later": True}))
    assert ids(receiver.take(5)) == ["b"]
    with refused(Condition.MESSAGE_NOT_FOUND):
        stage.broker.receive_deferred("q", [1, 2], "peek_lock")
    [delivery] = stage.broker.receive_deferred("q", [1], "peek_lock")
    assert delivery.message.state == State.DEFERRED
    assert delivery.message.envelope.application_properties == {"later": True}
    with refused(Condition.MESSAGE_NOT_FOUND):
        stage.broker.receive_deferred("q", [1], "peek_lock")
    settle(stage, delivery, Abandon())
    assert receiver.take() == []
    [delivery] = stage.broker.receive_deferred("q", [1], "peek_lock")
    assert delivery.message.delivery_count == 1
    settle(stage, delivery, Complete())
    assert stage.names("q") == ["b"]


def test_an_expired_deferred_message_goes_when_it_is_asked_for() -> None:
    stage = Stage()
    stage.queue(dead_letter_on_expiration=True)
    stage.send("q", "a", ttl=10.0)
    settle(stage, stage.receiver("q").one(), Defer())
    stage.after(60)
    assert stage.broker.counts("q").active == 1
    with refused(Condition.MESSAGE_NOT_FOUND):
        stage.broker.receive_deferred("q", [1], "peek_lock")
    assert stage.names(DEAD) == ["a"]


def test_a_scheduled_message_arrives_on_time_with_a_new_number(stage: Stage) -> None:
    assert stage.broker.schedule("q", [message("later")], [stage.now + 20]) == [1]
    stage.send("q", "now")
    assert [found.state for found in stage.broker.peek("q", 0, 10)] == [State.SCHEDULED, State.ACTIVE]
    receiver = stage.receiver("q")
    assert ids(receiver.take(5)) == ["now"]
    stage.after(20)
    delivery = receiver.one()
    assert ids([delivery]) == ["later"]
    assert (delivery.message.sequence, delivery.message.enqueued) == (3, stage.now)


def test_a_cancelled_message_never_arrives(stage: Stage) -> None:
    numbers = stage.broker.schedule("q", [message("a"), message("b")], [stage.now + 60] * 2)
    stage.broker.cancel("q", numbers[:1])
    with refused(Condition.MESSAGE_NOT_FOUND):
        stage.broker.cancel("q", numbers)
    stage.after(60)
    assert stage.names("q") == ["b"]
    with refused(Condition.MESSAGE_NOT_FOUND):
        stage.broker.cancel("q", numbers[1:])


def test_duplicates_are_dropped_within_the_window() -> None:
    stage = Stage()
    stage.queue(requires_duplicate_detection=True, duplicate_window_s=60.0)
    assert stage.send("q", "a", "a", "b") == [1, 0, 2]
    stage.after(59)
    assert stage.send("q", "a") == [0]
    stage.after(1)
    assert stage.send("q", "a") == [3]


def test_an_idle_queue_is_deleted_and_one_in_use_is_not() -> None:
    stage = Stage()
    stage.queue("idle", auto_delete_s=300.0)
    stage.queue("waiting", auto_delete_s=300.0)
    stage.queue("scheduled", auto_delete_s=300.0)
    waiting = stage.receiver("waiting")
    waiting.link.credit(1)
    stage.broker.schedule("scheduled", [message("a")], [stage.now + 1000])
    stage.after(299)
    assert len(stage.broker.nodes()) == 3
    stage.after(1)
    assert [node.path for node in stage.broker.nodes()] == ["scheduled", "waiting"]
    waiting.link.credit(0)
    stage.after(300)
    stage.after(300)
    assert [node.path for node in stage.broker.nodes()] == ["scheduled"]


def test_purge_takes_the_oldest_that_nobody_holds(stage: Stage) -> None:
    stage.send("q", "a", "b", "c")
    stage.after(10)
    stage.send("q", "d")
    held = stage.receiver("q").one()
    assert stage.broker.delete_batch("q", 1, stage.now - 5) == 1
    assert stage.broker.delete_batch("q", 10, stage.now - 5) == 1
    assert stage.names("q") == ["a", "d"]
    settle(stage, held, Complete())
    assert ids(stage.receiver("q").take(5)) == ["d"]


@pytest.mark.parametrize("sessions", [False, True])
def test_what_expires_unseen_leaves_nothing_in_memory(sessions: bool) -> None:
    stage = Stage()
    stage.queue(requires_session=sessions)
    before = messages_in_memory()
    for number in range(50):
        stage.send("q", *(f"{number}-{each}" for each in range(20)), ttl=1.0, session_id="s" if sessions else None)
        stage.after(1)
    assert stage.broker.counts("q").active == 0
    assert messages_in_memory() < before + 200


def messages_in_memory() -> int:
    gc.collect()
    return sum(type(each) is Message for each in gc.get_objects())


def test_the_event_loops_timer_looks_after_what_falls_due() -> None:
    async def scene() -> int:
        service = Service()
        service.start()
        service.create_queue("q", QueueOptions(lock_s=0.05))
        twice = asyncio.Event()
        counts: list[int] = []

        def got(delivery: Delivery) -> None:
            counts.append(delivery.message.delivery_count)
            if len(counts) == 2:
                twice.set()

        link = await service.receiver("q", mode="peek_lock", on_delivery=got, on_end=lambda _: None)
        link.credit(2)
        service.send("q", [Envelope(b"a")])
        await asyncio.wait_for(twice.wait(), 20)
        service.close()
        return counts[1]

    assert asyncio.run(scene()) == 1
