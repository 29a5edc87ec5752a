import pytest

from localcloud.emulators.service_bus.broker.model import (
    DEAD_LETTER,
    TRANSFER_DEAD_LETTER,
    BrokerError,
    Condition,
    CorrelationFilter,
    DeadLetter,
    Rule,
    SqlFilter,
)
from localcloud.emulators.service_bus.broker.options import QueueOptions, Status
from tests.unit.emulators.service_bus.stage import Stage, ids, message, refused, settle

S = "t/Subscriptions/s"


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.topic()
    made.subscription()
    return made


def only(stage: Stage, *rules: Rule) -> None:
    """The subscription takes what these rules select."""
    stage.broker.remove_rule(S, "$Default")
    for rule in rules:
        stage.broker.add_rule(S, rule)


def test_every_subscription_gets_its_own_copy(stage: Stage) -> None:
    stage.subscription("other")
    stage.send("T", "a")
    settle(stage, stage.receiver(S).one(), DeadLetter())
    assert stage.names(f"{S}/{DEAD_LETTER}") == ["a"]
    assert stage.names("t/subscriptions/other") == ["a"]
    assert stage.names("t") == []


def test_a_topic_without_subscriptions_forgets() -> None:
    stage = Stage()
    stage.topic()
    stage.send("t", "a")
    stage.subscription()
    assert stage.names(S) == []


def test_an_added_rule_does_not_narrow_the_default_one(stage: Stage) -> None:
    stage.broker.add_rule(S, Rule("red", SqlFilter("color='red'")))
    stage.send("t", "a")
    assert stage.names(S) == ["a"]
    stage.broker.remove_rule(S, "$default")
    stage.send("t", "b")
    stage.send("t", "c", application_properties={"Color": "red"})
    assert stage.names(S) == ["a", "c"]


def test_five_matching_rules_two_of_them_with_actions_make_three_messages(stage: Stage) -> None:
    only(
        stage,
        *(Rule(f"plain{number}", SqlFilter("1=1")) for number in range(3)),
        Rule("first", SqlFilter("1=1"), "SET priority='high'; SET sys.Label = 'x'"),
        Rule("second", SqlFilter("1=1"), "REMOVE size"),
    )
    stage.send("t", "a", application_properties={"size": 3})
    found = [each.envelope for each in stage.broker.peek(S, 0, 10)]
    assert [each.application_properties for each in found] == [
        {"size": 3},
        {"size": 3, "priority": "high", "RuleName": "first"},
        {"RuleName": "second"},
    ]
    assert [each.rewritten for each in found] == [False, True, True]
    assert [each.subject for each in found] == [None, "x", None]


def test_a_filter_that_fails_for_a_message_dead_letters_it_or_drops_it() -> None:
    for kept in (True, False):
        stage = Stage()
        stage.topic()
        stage.subscription(dead_letter_on_filter_errors=kept)
        only(stage, Rule("bad", SqlFilter("10 / zero = 1")))
        stage.send("t", "a", application_properties={"zero": 0})
        assert stage.names(S) == []
        assert stage.names(f"{S}/{DEAD_LETTER}") == (["a"] if kept else [])


def test_correlation_filters_need_every_field(stage: Stage) -> None:
    only(stage, Rule("both", CorrelationFilter(label="Order", properties={"region": "eu", "urgent": True})))
    stage.send("t", "no label", application_properties={"region": "eu", "urgent": True})
    stage.send("t", "other region", subject="Order", application_properties={"region": "us", "urgent": True})
    stage.send("t", "text for truth", subject="Order", application_properties={"region": "eu", "urgent": "True"})
    stage.send("t", "right", subject="Order", application_properties={"region": "eu", "urgent": True, "more": 1})
    assert stage.names(S) == ["right"]


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (Rule("r", SqlFilter("color = ")), "expected a value, a property or [(] at character 8, got 'the end'"),
        (Rule("r", SqlFilter("a = @p")), "parameter @p at character 5 has no value"),
        (Rule("r", SqlFilter("a = 1"), "DROP a"), "expected SET or REMOVE at character 1, got 'DROP'"),
        (Rule("r", CorrelationFilter()), "a correlation filter needs at least one property"),
        (Rule("a b", SqlFilter("1=1")), "a rule is named by 1 to 50"),
        (Rule("$DEFAULT", SqlFilter("1=1")), "rule '[$]DEFAULT' exists already"),
    ],
)
def test_a_faulty_rule_is_refused_when_it_is_made(stage: Stage, rule: Rule, fault: str) -> None:
    with pytest.raises(BrokerError, match=fault):
        stage.broker.add_rule(S, rule)
    assert [each.name for each in stage.broker.rules(S)] == ["$Default"]


def test_a_subscription_with_sessions_dead_letters_what_has_none(stage: Stage) -> None:
    stage.subscription("sessions", requires_session=True)
    stage.send("t", "a")
    [letter] = stage.broker.peek(f"t/subscriptions/sessions/{DEAD_LETTER}", 0, 10)
    assert letter.dead_letter_reason == "Session ID is null"


def test_a_scheduled_message_reaches_the_subscriptions_of_its_time(stage: Stage) -> None:
    stage.broker.schedule("t", [message("a")], [stage.now + 10])
    assert stage.broker.counts("t").scheduled == 1
    stage.subscription("late")
    stage.after(10)
    assert stage.names(S) == stage.names("t/subscriptions/late") == ["a"]


def test_the_shortest_time_to_live_counts() -> None:
    stage = Stage()
    stage.topic(default_ttl_s=20.0)
    stage.subscription("short", default_ttl_s=10.0)
    stage.subscription("long", default_ttl_s=100.0)
    stage.send("t", "a", ttl=50.0)
    stage.after(10)
    assert stage.names("t/subscriptions/short") == []
    assert stage.names("t/subscriptions/long") == ["a"]
    stage.after(10)
    assert stage.names("t/subscriptions/long") == []


def test_a_topic_is_full_when_its_subscriptions_are() -> None:
    stage = Stage()
    stage.topic(max_size_mb=1, max_message_kib=1024)
    for name in "ab":
        stage.subscription(name)
    stage.send("t", "x", size=600 * 1024)
    assert stage.broker.counts("t").size == 1200 * 1024
    with refused(Condition.RESOURCE_LIMIT):
        stage.send("t", "y")
    stage.broker.delete("t/subscriptions/a")
    stage.send("t", "y")


# -- forwarding


def test_messages_are_forwarded_along_a_chain(stage: Stage) -> None:
    stage.queue("end")
    stage.queue("middle", forward_to="end")
    stage.subscription("on", forward_to="Middle")
    stage.send("t", "a")
    [found] = stage.broker.peek("end", 0, 10)
    assert (found.enqueued_sequence, found.hops) == (1, 2)
    with refused(Condition.NOT_ALLOWED):
        stage.receiver("middle")


def test_a_loop_is_refused_however_long(stage: Stage) -> None:
    stage.queue("a")
    stage.queue("b", forward_to="a")
    stage.subscription("on", forward_to="b")
    with pytest.raises(BrokerError, match="ForwardTo must not lead back to the entity itself, but 'T' does"):
        stage.broker.update("a", QueueOptions(forward_to="T"))


def test_the_fifth_hop_goes_to_the_transfer_dead_letter_queue() -> None:
    stage = Stage()
    stage.queue("q5")
    for number in (4, 3, 2, 1, 0):
        stage.queue(f"q{number}", forward_to=f"q{number + 1}")
    stage.send("q1", "four hops")
    stage.send("q0", "five hops")
    assert stage.names("q5") == ["four hops"]
    [letter] = stage.broker.peek(f"q4/{TRANSFER_DEAD_LETTER}", 0, 10)
    assert letter.dead_letter_reason == "MaxTransferHopCountExceeded"
    assert stage.broker.counts("q4").transfer_dead_letter == 1
    assert ids(stage.receiver(f"q4/{TRANSFER_DEAD_LETTER}").take()) == ["five hops"]


@pytest.mark.parametrize("trouble", ["deleted", "disabled", "full"])
def test_what_cannot_be_forwarded_is_kept_for_the_operator(trouble: str) -> None:
    stage = Stage()
    stage.queue("end", max_size_mb=1, max_message_kib=1024)
    stage.queue("start", forward_to="end")
    if trouble == "deleted":
        stage.broker.delete("end")
    elif trouble == "disabled":
        stage.broker.update("end", QueueOptions(status=Status.SEND_DISABLED))
    else:
        stage.send("end", "big", size=1024 * 1024)
    stage.send("start", "a")
    assert stage.names(f"start/{TRANSFER_DEAD_LETTER}") == ["a"]


def test_dead_letters_are_forwarded_with_their_reason_and_source(stage: Stage) -> None:
    stage.queue("morgue")
    stage.queue("q", forward_dead_letters_to="morgue")
    stage.send("q", "a")
    settle(stage, stage.receiver("q").one(), DeadLetter("bad", "really"))
    [found] = stage.broker.peek("morgue", 0, 10)
    assert (found.dead_letter_reason, found.dead_letter_description, found.dead_letter_source) == ("bad", "really", "q")
    assert stage.names("q") == stage.names(f"q/{DEAD_LETTER}") == []


def test_forwarding_that_is_switched_on_takes_what_is_there(stage: Stage) -> None:
    stage.queue("end")
    stage.queue("q")
    stage.send("q", "a", "b")
    stage.broker.update("q", QueueOptions(forward_to="end"))
    assert stage.names("end") == ["a", "b"]
    assert stage.names("q") == []
