"""What the ledger of the Service Bus campaign calls wrong: each kind, and what only looks like it."""

from localcloud.session.chaos_bus.truth import PLACES, Place, Truth
from localcloud.session.chaos_bus.wire import Delivery

PLAIN, SESSIONS, TOPIC_PLAIN, TOPIC_SESSIONS = PLACES


def ledger(entity: str = "sessions", count: int = 4, *, acknowledged: bool = True) -> Truth:
    """Messages `0` to `count - 1` of one producer in one session."""
    truth = Truth()
    for number in range(count):
        truth.send(str(number), entity, "s", 0, number)
        if acknowledged:
            truth.acknowledged.add(str(number))
    return truth


def one(number: int, *, sequence: int | None = None, session: str = "s") -> Delivery:
    return Delivery(number, str(number), session, number if sequence is None else sequence)


def complete(truth: Truth, place: Place, *numbers: int) -> None:
    taken: dict[int, str] = {}
    for number in numbers:
        truth.delivered(place, one(number), taken)
        truth.settling(place, one(number))
        truth.settled(place, one(number))


def kinds(truth: Truth) -> list[str]:
    return [text.split(":")[0] for text in truth.judge().wrong]


def test_everything_completed_is_right() -> None:
    truth = ledger()
    complete(truth, SESSIONS, 0, 1, 2, 3)
    judged = truth.judge()
    assert judged.wrong == []
    assert (judged.counts["acknowledged"], judged.counts["completed"], judged.counts["lost"]) == (4, 4, 0)


def test_an_acknowledged_message_that_is_nowhere_is_lost() -> None:
    truth = ledger("plain")
    complete(truth, PLAIN, 0)
    truth.left[PLAIN.path].add("1")
    truth.settling(PLAIN, one(2))  # perhaps completed
    judged = truth.judge()
    assert judged.wrong == ["lost: plain has not 3, which was acknowledged and never completed"]
    assert (judged.counts["lost"], judged.counts["in_doubt"]) == (1, 1)


def test_a_topic_owes_each_subscription_its_own() -> None:
    truth = ledger("topic", 1)
    complete(truth, TOPIC_PLAIN, 0)
    assert truth.judge().wrong == [
        "lost: topic/Subscriptions/sessions has not 0, which was acknowledged and never completed"
    ]


def test_what_was_never_acknowledged_is_owed_to_nobody() -> None:
    assert ledger("plain", acknowledged=False).judge().wrong == []


def test_a_completed_message_that_comes_again_is_wrong_and_one_in_doubt_is_not() -> None:
    truth = ledger("plain", 2)
    complete(truth, PLAIN, 0)
    truth.delivered(PLAIN, one(0), {})
    assert kinds(truth) == ["came_back", "lost"]
    truth = ledger("plain", 1)
    truth.settling(PLAIN, one(0))
    truth.delivered(PLAIN, one(0), {})
    assert kinds(truth) == []


def test_one_holder_gets_a_session_in_order() -> None:
    truth, taken = ledger(), dict[int, str]()
    truth.delivered(SESSIONS, one(0, sequence=5), taken)
    truth.delivered(SESSIONS, one(1, sequence=4), taken)
    assert kinds(truth)[0] == "order"


def test_the_next_holder_begins_with_what_was_not_completed() -> None:
    truth = ledger()
    truth.delivered(SESSIONS, one(0), {})
    truth.delivered(SESSIONS, one(1), {})  # another holder, and 0 is still to be had
    assert "1 came while 0 was to be had" in truth.judge().wrong[0]
    truth, taken = ledger(), dict[int, str]()
    truth.delivered(SESSIONS, one(0), {})
    truth.delivered(SESSIONS, one(0), taken)
    truth.delivered(SESSIONS, one(1), taken)
    assert kinds(truth) == ["lost"] * 4


def test_what_was_not_acknowledged_may_have_gone_with_the_broker() -> None:
    truth = ledger(acknowledged=False)
    truth.delivered(SESSIONS, one(0), {})
    truth.delivered(SESSIONS, one(1), {})
    assert kinds(truth) == []


def test_one_producers_messages_come_as_it_sent_them() -> None:
    truth, taken = ledger(), dict[int, str]()
    truth.delivered(SESSIONS, one(2, sequence=1), taken)
    truth.delivered(SESSIONS, one(1, sequence=2), taken)
    assert "1 came after number 2" in truth.judge().wrong[0]


def test_messages_nobody_sent_there_or_of_another_session_are_wrong() -> None:
    truth = ledger()
    truth.delivered(PLAIN, one(0), {})
    truth.delivered(SESSIONS, one(9), {})
    truth.delivered(SESSIONS, one(0, session="other"), {})
    assert kinds(truth)[:3] == ["strange", "strange", "order"]
