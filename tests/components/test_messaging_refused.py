"""What Service Bus would refuse, or lose messages by, is refused where it is declared."""

from collections.abc import Callable
from typing import Any

import pytest

from components.errors import DeclarationError
from components.messaging.namespace import Namespace, NamespaceArgs
from components.messaging.queue import Queue, QueueArgs
from components.messaging.rule import Correlation, Rule
from components.messaging.subscription import Subscription, SubscriptionArgs
from components.messaging.topic import Topic, TopicArgs
from localcloud.engine.embedded import ProgramError
from tests.components.program import Base, declare
from tests.components.test_messaging import bus, on_bus

FORGOTTEN: dict[str, Callable[[Namespace], object]] = {
    'Queue "jobs" in system demo: every queue must have a consumer, got none; add a step with On(queue, …), or declare '
    'it with consumer="operator" or "external"': lambda bus: Queue("jobs", QueueArgs(namespace=bus)),
    'Topic "events" in system demo: every topic must have a subscription, as it keeps nothing itself, got none; '
    'declare a Subscription of it, or declare it with consumer="external"': lambda bus: Topic(
        "events", TopicArgs(namespace=bus)
    ),
    'Subscription "billing" in system demo: every subscription must have a consumer, got none; use its receive() or '
    'trigger(…) in a worker, or declare it with consumer="operator" or "external"': lambda bus: Subscription(
        "billing", SubscriptionArgs(topic=Topic("events", TopicArgs(namespace=bus)))
    ),
}


@pytest.mark.parametrize("says", FORGOTTEN)
def test_what_nobody_empties_is_refused(says: str) -> None:
    def main() -> None:
        base = Base()
        FORGOTTEN[says](bus(base))
        base.system.finish({})

    with pytest.raises(ProgramError) as error:
        declare(main)
    assert str(error.value) == says


def test_being_forwarded_is_being_emptied() -> None:
    def main() -> None:
        base = Base()
        namespace = bus(base)
        jobs = Queue("jobs", QueueArgs(namespace=namespace, consumer="external"))
        Subscription("all", SubscriptionArgs(topic=Topic("events", TopicArgs(namespace=namespace)), forward_to=jobs))
        base.system.finish({})

    assert declare(main).one("servicebus:Subscription").inputs["forwardTo"] == "jobs"


def circle(namespace: Namespace) -> None:
    events = Topic("events", TopicArgs(namespace=namespace))
    jobs = Queue("jobs", QueueArgs(namespace=namespace, forward_to=events))
    Subscription("back", SubscriptionArgs(topic=events, forward_to=jobs))


def long_chain(namespace: Namespace) -> None:
    last = Queue("q0", QueueArgs(namespace=namespace, consumer="external"))
    for number in range(1, 6):
        last = Queue(f"q{number}", QueueArgs(namespace=namespace, forward_to=last))


def long_chain_by_a_topic(namespace: Namespace) -> None:
    end = Queue("end", QueueArgs(namespace=namespace, consumer="external"))
    near = Queue("near", QueueArgs(namespace=namespace, forward_to=end))
    events = Topic("events", TopicArgs(namespace=namespace))
    first = Queue("first", QueueArgs(namespace=namespace, forward_to=events))
    Queue("zero", QueueArgs(namespace=namespace, forward_to=first))
    Subscription("fits", SubscriptionArgs(topic=events, forward_to=end))
    before = Queue("before", QueueArgs(namespace=namespace, forward_to=near))
    Subscription("too-far", SubscriptionArgs(topic=events, forward_to=before))


def elsewhere(namespace: Namespace) -> None:
    other = Namespace("other", NamespaceArgs(group=namespace.group, foundation=Elsewhere.foundation))
    far = Queue("far", QueueArgs(namespace=other, consumer="external"))
    Queue("jobs", QueueArgs(namespace=namespace, forward_to=far))


class Elsewhere:
    """The foundation of the running program."""

    foundation: Any = None


def queue(**more: Any) -> Callable[[Namespace], object]:
    return lambda namespace: Queue("jobs", QueueArgs(namespace=namespace, **more))


def subscription(**more: Any) -> Callable[[Namespace], object]:
    return lambda bus: Subscription("s", SubscriptionArgs(topic=Topic("t", TopicArgs(namespace=bus)), **more))


REFUSED: dict[str, tuple[Callable[[Namespace], object], str]] = {
    "a lock that is too long": (queue(lock_s=301), r"Queue: lock_s must be 5 to 300 seconds, got 301; set lock_s=300"),
    "a lock that is too short": (subscription(lock_s=4), r"Subscription: lock_s must be 5 to 300 seconds, got 4"),
    "no try at all": (queue(max_delivery_count=0), r"max_delivery_count must be 1 or more, got 0; set"),
    "no time to live": (queue(time_to_live_s=0), r"time_to_live_s must be 1 second or more, got 0; leave it out"),
    "a window that is too short": (
        queue(duplicates_s=19),
        r"duplicates_s must be 20 to 604800 seconds \(7 days\), got 19",
    ),
    "a window that is too long": (queue(duplicates_s=604801), r"duplicates_s must be 20 to 604800 .* got 604801"),
    "a size that is not sold": (
        queue(size_mb=6000),
        r"size_mb must be one of 1024, .* 5120 on tier Standard, got 6000",
    ),
    "a size of Premium": (queue(size_mb=81920), r"size_mb must be one of .* on tier Standard, got 81920"),
    "nobody's queue": (queue(consumer="nobody"), r"consumer must be step, operator or external, got 'nobody'; say who"),
    "sessions that forward": (
        lambda bus: Queue(
            "j", QueueArgs(namespace=bus, sessions=True, forward_to=Topic("t", TopicArgs(namespace=bus)))
        ),
        r"Queue: sessions and forward_to must not be used together, got both; take one away",
    ),
    "receiving what is forwarded": (
        lambda bus: Queue("j", QueueArgs(namespace=bus, forward_to=Topic("t", TopicArgs(namespace=bus)))).receive(),
        r"""Queue "j": receive\(\) must be of something that keeps its messages, got forward_to='t'; receive where""",
    ),
    "a circle": (
        circle,
        r'Subscription "back": messages must not be forwarded in a circle, got events/back → jobs → … →',
    ),
    "a long chain": (
        long_chain,
        r'Queue "q5": a message must be forwarded 4 times at most, got a chain of 5 through q5',
    ),
    "a long chain by a topic": (
        long_chain_by_a_topic,
        r'Subscription "too-far": a message must be .* got a chain of 5',
    ),
    "a target elsewhere": (
        elsewhere,
        r'forward_to must be a queue or topic of its own namespace .*, got "far" of other-',
    ),
    "a name with a space": (
        lambda bus: Queue("a b", QueueArgs(namespace=bus)),
        r'bus_entity "a b": the physical name must match',
    ),
    "a name with a slash": (lambda bus: Topic("a/b", TopicArgs(namespace=bus)), r"the physical name must match"),
    "a name that ends in a dot": (lambda bus: Topic("a.", TopicArgs(namespace=bus)), r"the physical name must match"),
    "a long subscription": (
        lambda bus: Subscription("s" * 51, SubscriptionArgs(topic=Topic("t", TopicArgs(namespace=bus)))),
        r"its name must be at most 50 characters, got 51; choose a shorter name",
    ),
    "a queue and a topic of one name": (
        lambda bus: (Topic("jobs", TopicArgs(namespace=bus)), Queue("Jobs", QueueArgs(namespace=bus))),
        r'bus_entity "Jobs": must have a physical name of its own, got jobs, which bus_entity "jobs" has already',
    ),
    "a rule beside everything": (
        subscription(more_rules={"large": Rule(sql="a = 1")}),
        r"more_rules must come with a rule that does not take everything, got large beside .*; say the first of them",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_service_bus_refuses_is_refused_where_it_is_declared(what: str) -> None:
    make, says = REFUSED[what]

    def main() -> None:
        base = Base()
        Elsewhere.foundation = base.foundation
        make(bus(base))

    with pytest.raises(ProgramError, match=says):
        declare(main)


@pytest.mark.parametrize(
    ("make", "features"),
    [
        (queue(sessions=True), "sessions"),
        (queue(duplicates_s=60), "duplicates_s"),
        (lambda bus: Topic("t", TopicArgs(namespace=bus)), "a topic"),
        (
            lambda bus: Queue(
                "j", QueueArgs(namespace=bus, forward_dead_letters_to=Queue("late", QueueArgs(namespace=bus)))
            ),
            "forward_dead_letters_to",
        ),
    ],
)
def test_what_needs_standard_is_refused_on_basic(make: Callable[[Namespace], object], features: str) -> None:
    with pytest.raises(
        ProgramError, match=f"must be of tier Standard or Premium, got Basic, with {features}; set tier"
    ):
        on_bus(make, tier="Basic")


def test_basic_keeps_messages_for_two_weeks() -> None:
    with pytest.raises(ProgramError, match=r"at most 1209600 seconds \(14 days\) on tier Basic, got 1209601"):
        on_bus(queue(time_to_live_s=1_209_601), tier="Basic")
    fits = on_bus(queue(time_to_live_s=1_209_600), tier="Basic").one("servicebus:Queue", "jobs")
    assert fits.inputs["defaultMessageTimeToLive"] == "P14D"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Rule(sql="x" * 1025), "sql must have 1 to 1,024 characters, got 1,025; shorten it"),
        (lambda: Rule(sql=" "), "sql must have 1 to 1,024 characters"),
        (lambda: Rule(action="y" * 1025), "action must have 1 to 1,024 characters"),
        (lambda: Rule(sql="a = 1", correlation=Correlation(label="x")), "it must have one filter, got sql and corr"),
        (Correlation, "it must name at least one value, got none"),
    ],
)
def test_a_rule_that_service_bus_refuses_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        make()


def test_tiers_and_units_are_checked() -> None:
    with pytest.raises(ProgramError, match=r"tier must be Basic, Standard or Premium, got 'Gold'; set tier"):
        on_bus(lambda _: None, tier="Gold")
    with pytest.raises(ProgramError, match=r"messaging_units must be .*, got 2 on Standard; set messaging_units=1"):
        declare(lambda: bus(Base(), messaging_units=2))
