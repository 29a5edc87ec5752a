"""A queue: order, locks, outcomes, dead letters, doors, and what it refuses."""

import uuid

import pytest

from localcloud.emulators.service_bus.broker.model import (
    TRANSFER_DEAD_LETTER,
    Abandon,
    BrokerError,
    Complete,
    Condition,
    DeadLetter,
    Defer,
    Release,
)
from localcloud.emulators.service_bus.broker.options import QueueOptions, Status
from tests.unit.emulators.service_bus.stage import DEAD, Stage, ids, message, refused, settle


def test_messages_come_in_order_and_are_gone_when_completed(stage: Stage) -> None:
    assert stage.send("q", "a", "b", "c") == [1, 2, 3]
    receiver = stage.receiver("Q")
    deliveries = receiver.take(2)
    assert ids(deliveries) == ["a", "b"]
    assert [found.message.delivery_count for found in deliveries] == [0, 0]
    assert deliveries[0].locked_until == stage.now + 30
    for delivery in deliveries:
        settle(stage, delivery, Complete())
    assert stage.names("q") == ["c"]
    assert stage.broker.counts("q").active == 1


def test_credit_that_is_left_takes_what_comes_later(stage: Stage) -> None:
    receiver = stage.receiver("q")
    receiver.link.credit(2)
    stage.send("q", "a", "b", "c")
    assert ids(receiver.deliveries) == ["a", "b"]
    assert receiver.link.drain() == 0
    receiver.link.credit(5)
    assert receiver.link.drain() == 4
    stage.send("q", "d")
    assert ids(receiver.deliveries) == ["a", "b", "c"]


def test_receivers_are_served_in_turn(stage: Stage) -> None:
    first, second = stage.receiver("q"), stage.receiver("q")
    first.link.credit(10)
    second.link.credit(10)
    stage.send("q", "a", "b", "c", "d")
    assert ids(first.deliveries) == ["a", "c"]
    assert ids(second.deliveries) == ["b", "d"]


def test_receive_and_delete_leaves_nothing(stage: Stage) -> None:
    stage.send("q", "a")
    [delivery] = stage.receiver("q", "receive_and_delete").take()
    assert delivery.lock_token is None
    assert stage.names("q") == []


def test_an_abandoned_message_comes_back_in_its_place_with_its_changed_properties(stage: Stage) -> None:
    stage.send("q", "a", "b", application_properties={"tries": 0, "kept": "yes"})
    receiver = stage.receiver("q")
    settle(stage, receiver.one(), Abandon({"tries": 1}))
    again = receiver.one()
    assert ids([again]) == ["a"]
    assert again.message.delivery_count == 1
    assert again.message.envelope.application_properties == {"tries": 1, "kept": "yes"}
    assert again.message.envelope.rewritten


def test_a_released_message_keeps_its_delivery_count(stage: Stage) -> None:
    stage.send("q", "a")
    receiver = stage.receiver("q")
    settle(stage, receiver.one(), Release())
    assert receiver.one().message.delivery_count == 0


def test_the_end_of_a_lock_counts_as_a_delivery_and_its_token_is_worth_nothing(stage: Stage) -> None:
    stage.send("q", "a")
    receiver = stage.receiver("q")
    old = receiver.one()
    stage.after(29.9)
    assert receiver.take() == []
    stage.after(0.1)
    with refused(Condition.LOCK_LOST):
        settle(stage, old, Complete())
    assert receiver.one().message.delivery_count == 1


def test_a_lock_is_over_on_time_even_before_anybody_looks(stage: Stage) -> None:
    stage.send("q", "a")
    delivery = stage.receiver("q").one()
    stage.now += 30
    with refused(Condition.LOCK_LOST):
        settle(stage, delivery, Complete())


def test_a_renewed_lock_lasts(stage: Stage) -> None:
    stage.send("q", "a", "b")
    kept, lost = stage.receiver("q").take(2)
    assert kept.lock_token is not None
    stage.after(20)
    assert stage.broker.renew([kept.lock_token], path="q") == [stage.now + 30]
    stage.after(20)
    with refused(Condition.LOCK_LOST):
        settle(stage, lost, Complete())
    settle(stage, kept, Complete())


def test_a_token_of_another_entity_or_process_is_refused(stage: Stage) -> None:
    stage.queue("other")
    stage.send("q", "a")
    delivery = stage.receiver("q").one()
    assert delivery.lock_token is not None
    with refused(Condition.LOCK_LOST):
        stage.broker.settle(delivery.lock_token, Complete(), path="other")
    with refused(Condition.LOCK_LOST):
        stage.broker.settle(uuid.uuid4(), Complete())
    settle(stage, delivery, Complete())
    with refused(Condition.LOCK_LOST):
        settle(stage, delivery, Complete())


def test_a_closed_receiver_keeps_its_locks_until_they_end(stage: Stage) -> None:
    stage.send("q", "a", "b")
    receiver = stage.receiver("q")
    first, _ = receiver.take(2)
    receiver.link.close()
    settle(stage, first, Complete())
    assert stage.receiver("q").take() == []
    stage.after(30)
    assert ids(stage.receiver("q").take()) == ["b"]


def test_too_many_deliveries_end_in_the_dead_letter_queue(stage: Stage) -> None:
    stage.send("q", "a")
    receiver = stage.receiver("q")
    for _ in range(3):
        settle(stage, receiver.one(), Abandon())
    assert receiver.take() == []
    letter = stage.receiver(DEAD).one().message
    assert (letter.sequence, letter.delivery_count) == (1, 3)
    assert letter.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert stage.broker.counts("q").dead_letter == 1


def test_a_dead_letter_has_its_reason_and_properties_and_cannot_be_dead_lettered_again(stage: Stage) -> None:
    stage.send("q", "a")
    settle(stage, stage.receiver("q").one(), DeadLetter("bad", "no JSON", {"line": 3}))
    delivery = stage.receiver(DEAD).one()
    assert delivery.message.dead_letter_reason == "bad"
    assert delivery.message.dead_letter_description == "no JSON"
    assert delivery.message.envelope.application_properties == {"line": 3}
    with refused(Condition.NOT_ALLOWED):
        settle(stage, delivery, DeadLetter("again"))
    settle(stage, delivery, Complete())
    assert stage.names(DEAD) == []


def test_a_dead_letter_is_redelivered_for_ever_and_never_expires(stage: Stage) -> None:
    stage.send("q", "a", ttl=60.0)
    settle(stage, stage.receiver("q").one(), DeadLetter())
    receiver = stage.receiver(DEAD)
    for _ in range(5):
        settle(stage, receiver.one(), Abandon())
    stage.after(3600)
    assert ids(receiver.take()) == ["a"]


def test_a_batch_is_taken_whole_or_not_at_all(stage: Stage) -> None:
    with refused(Condition.MESSAGE_TOO_LARGE):
        stage.broker.send("q", [message("a"), message("b", size=256 * 1024 + 1)])
    assert stage.names("q") == []


def test_a_full_queue_refuses(stage: Stage) -> None:
    stage.queue("small", max_size_mb=1, max_message_kib=1024)
    stage.send("small", "a", size=1024 * 1024 - 10)
    with refused(Condition.RESOURCE_LIMIT):
        stage.send("small", "b", size=11)
    settle(stage, stage.receiver("small").one(), Complete())
    stage.send("small", "b", size=11)


@pytest.mark.parametrize(
    ("status", "sends", "receives"),
    [
        (Status.ACTIVE, True, True),
        (Status.DISABLED, False, False),
        (Status.SEND_DISABLED, False, True),
        (Status.RECEIVE_DISABLED, True, False),
    ],
)
def test_a_status_closes_doors(stage: Stage, status: Status, sends: bool, receives: bool) -> None:
    stage.send("q", "before")
    open_before = stage.receiver("q")
    stage.broker.update("q", QueueOptions(status=status))
    if sends:
        stage.send("q", "a")
    else:
        with refused(Condition.ENTITY_DISABLED):
            stage.send("q", "a")
    if receives:
        assert ids(stage.receiver("q").take()) == ["before"]
        assert open_before.ended == []
    else:
        with refused(Condition.ENTITY_DISABLED):
            stage.receiver("q")
        assert [error.condition for error in open_before.ended] == [Condition.ENTITY_DISABLED]


def test_a_deleted_queue_ends_its_receivers_and_its_name_is_free(stage: Stage) -> None:
    stage.send("q", "a")
    receiver = stage.receiver("q")
    place = stage.broker.entity("q")
    stage.broker.delete("Q")
    assert [error.condition for error in receiver.ended] == [Condition.NOT_FOUND]
    with refused(Condition.NOT_FOUND):
        stage.send(place, "b")
    with refused(Condition.NOT_FOUND):
        stage.send(DEAD, "b")
    stage.queue()
    assert stage.names("q") == []


def test_peek_shows_every_state_from_a_number_on_and_locks_nothing(stage: Stage) -> None:
    stage.send("q", *"abcdef")
    settle(stage, stage.receiver("q").one(), Defer())
    for delivery in stage.receiver("q").take(3):
        settle(stage, delivery, Complete())
    assert stage.names("q") == ["a", "e", "f"]
    assert [found.sequence for found in stage.broker.peek("q", 2, 1)] == [5]
    assert stage.broker.peek("q", 7, 5) == []


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"lock_s": 301.0}, "LockDuration must be more than 0 and at most 5 minutes, got 301 s"),
        ({"max_delivery_count": 0}, "MaxDeliveryCount must be from 1 to 2000, got 0"),
        ({"auto_delete_s": 60.0}, "AutoDeleteOnIdle must be at least 5 minutes, got 60 s"),
        ({"duplicate_window_s": 1.0}, "must be from 20 seconds to 7 days, got 1 s"),
        ({"forward_to": "nowhere"}, "ForwardTo must name a queue or topic that exists, got 'nowhere'"),
        ({"forward_to": "Fresh"}, "ForwardTo must name another entity"),
    ],
)
def test_a_queue_that_the_service_would_refuse_is_refused(stage: Stage, options: dict[str, object], fault: str) -> None:
    with pytest.raises(BrokerError, match=fault):
        stage.queue("fresh", **options)


def test_places_that_take_or_give_nothing_say_so(stage: Stage) -> None:
    stage.topic()
    stage.subscription()
    for path in (DEAD, f"q/{TRANSFER_DEAD_LETTER}", "t/subscriptions/S"):
        with refused(Condition.NOT_ALLOWED):
            stage.send(path, "a")
    with refused(Condition.NOT_ALLOWED):
        stage.receiver("t")
    with refused(Condition.NOT_FOUND):
        stage.receiver("t/Subscriptions/none")
    with refused(Condition.ENTITY_EXISTS):
        stage.topic("Q")
    with refused(Condition.NOT_ALLOWED):
        stage.receiver("q", session="x")
