"""Dead letters of Service Bus: both places alike, sent back whole, and neither lost nor doubled when interrupted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage, ServiceBusReceiver, ServiceBusSender

from localcloud.deadletters.acting import namespace_letters
from localcloud.deadletters.bus_journal import BusJournal
from localcloud.deadletters.bus_place import BusPlace, places_of
from localcloud.deadletters.entry import Entry, Filter
from localcloud.deadletters.place import DeadLetterError, Pace
from localcloud.session.bus_access import BusAccess
from localcloud.session.bus_queues import azure_queues
from tests.integration.emulators.bus_clients import RECEIVER, SENDER, Buses
from tests.integration.emulators.local import Local, TokenOf

OPERATOR = ((SENDER, ""), (RECEIVER, ""))
"""Less than Manage is enough: both roles may read what there is."""


class Killed(BaseException):
    """The command ends here, whatever it was about to do."""


@pytest.fixture(scope="module")
def buses(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buses]:
    made = Buses(local, tmp_path_factory.mktemp("record"))
    yield made
    made.close()


class Command:
    """One run of the command after the other: each opens the namespace anew and puts it in order first."""

    def __init__(self, buses: Buses, folder: Path) -> None:
        self._buses, self._file = buses, folder / "journal.sqlite"
        self._principal = buses.worker(*OPERATOR)

    def __call__(self, origin: str, *, spread: bool = False) -> "Opened":
        return Opened(self._buses, self._principal, self._file, origin, spread=spread)


class Opened:
    """The places of one entity, while a command has them."""

    def __init__(self, buses: Buses, principal: str, file: Path, origin: str, *, spread: bool) -> None:
        self.journal = BusJournal(file)
        self._access = BusAccess(buses.host, TokenOf(buses.local, principal), buses.local.ca)
        found = places_of(self._access, self.journal, name=buses.name, spread=spread)
        self.places = [place for place in found if place._entity.name == origin]

    def __enter__(self) -> Self:
        for place in self.places:
            place.recover()
        return self

    def __exit__(self, *_: object) -> None:
        self._access.close()
        self.journal.close()

    @property
    def only(self) -> BusPlace:
        (found,) = self.places
        return found

    def entries(self) -> list[Entry]:
        return [entry for place in self.places for entry in place.entries()]

    def redrive(self, *excerpts: str) -> int:
        """Those that are said, or all; how many were done."""
        done: list[int] = []
        for place in self.places:
            chosen = [one for one in place.entries() if not excerpts or one.excerpt in excerpts]
            place.redrive(chosen, Pace(), done.append)
        return sum(done)


@pytest.fixture
def command(buses: Buses, tmp_path: Path) -> Command:
    return Command(buses, tmp_path)


def bury(buses: Buses, queue: str, *messages: ServiceBusMessage, subscription: str | None = None, **said: Any) -> None:
    """Sends them, and gives them up as a container does."""
    with buses.client(buses.worker((SENDER, ""))) as client:
        make = client.get_topic_sender if subscription else client.get_queue_sender
        with make(queue) as sender:
            sender.send_messages(list(messages))
    sessions = {"session_id": NEXT_AVAILABLE_SESSION} if messages[0].session_id else {}
    with buses.receiver(queue, subscription, **sessions) as receiver:
        left = len(messages)
        while left:
            for one in receiver.receive_messages(left, max_wait_time=10):
                receiver.dead_letter_message(one, **{"reason": "Broken", "error_description": "no total", **said})
                left -= 1


def text(body: str, **more: Any) -> ServiceBusMessage:
    return ServiceBusMessage(body, **more)


def test_both_places_look_alike(buses: Buses, command: Command) -> None:
    buses.put("Queue", queueName="orders", maxDeliveryCount=1)
    buses.put("Queue", queueName="orders-dead")
    bury(buses, "orders", text('{"n": 1}', subject="order", application_properties={"attempt": 2, "version": 1}))
    buses.send("orders", "tried")
    with buses.receiver("orders") as receiver:
        receiver.abandon_message(receiver.receive_messages(1, max_wait_time=10)[0])
    said = {"DeadLetterReason": "Hopeless", "DeadLetterErrorDescription": "why", "function": "check", "attempt": 3}
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    buses.send("orders-dead", "aside", application_properties={**said, **trace})
    buses.send("orders-dead", "somebody else's", application_properties={"DeadLetterReason": "not understood"})
    with command("orders") as opened:
        native, aside = opened.places
        assert (native.name, aside.name) == (f"{buses.name}/orders/$DeadLetterQueue", f"{buses.name}/orders-dead")
        broken, tried = native.entries()
        hopeless, foreign = aside.entries()
        assert native.entries()[0] == broken  # a look changes nothing
    assert {(one.kind, one.origin) for one in (broken, tried, hopeless)} == {("bus", "orders")}
    assert (broken.reason, broken.attempts, broken.size, broken.excerpt) == ("Broken: no total", 2, 8, '{"n": 1}')
    assert tried.reason.startswith("MaxDeliveryCountExceeded: ")
    assert tried.attempts == 1
    assert (hopeless.reason, hopeless.attempts, hopeless.details["function"]) == ("Hopeless: why", 3, "check")
    assert (foreign.reason, foreign.attempts) == ("not understood", 1)
    assert hopeless.details["trace"] == "0af7651916cd43dd8448eb211c80319c"
    assert hopeless.details["properties"].keys() == {"attempt", "traceparent"}
    assert datetime.now(UTC) - datetime.fromisoformat(broken.time) < timedelta(minutes=1)
    with command("orders") as opened:
        assert opened.redrive() == 4
    assert sorted(buses.bodies("orders")) == ["aside", "somebody else's", "tried", '{"n": 1}']
    assert buses.depth("orders").dead == 0


def test_a_letter_goes_back_whole(buses: Buses, command: Command) -> None:
    buses.put("Queue", queueName="whole", requiresSession=True)
    sent = ServiceBusMessage(
        b"\x00\xfftail", message_id="m-1", session_id="s", correlation_id="c", subject="kind", to="there",
        reply_to="here", reply_to_session_id="rs", content_type="application/json",
        time_to_live=timedelta(hours=5), application_properties={"a": 1, "b": True, "c": "text", "d": 2.5},
    )  # fmt: skip
    bury(buses, "whole", sent)
    with command("whole") as opened:
        assert opened.redrive() == 1
    with buses.receiver("whole", session_id="s") as receiver:
        (got,) = receiver.receive_messages(1, max_wait_time=10)
        receiver.complete_message(got)
    assert b"".join(got.body) == b"\x00\xfftail"
    for name in ("message_id", "session_id", "correlation_id", "subject", "to", "reply_to", "reply_to_session_id",
                 "content_type", "time_to_live"):  # fmt: skip
        assert getattr(got, name) == getattr(sent, name), name
    properties = dict(got.application_properties)
    assert properties.pop(b"millrace-redrive")
    assert properties == {b"a": 1, b"b": True, b"c": b"text", b"d": 2.5}
    assert got.delivery_count == 0


def test_what_is_not_chosen_stays(buses: Buses, command: Command) -> None:
    buses.put("Queue", queueName="chosen", lockDuration="PT5M")
    bury(buses, "chosen", *(text(str(number)) for number in range(120)))
    with command("chosen") as opened:
        assert opened.redrive("7", "119") == 2
        assert len(opened.entries()) == 118
        opened.only.drop([one for one in opened.entries() if one.excerpt != "3"], Pace(), lambda _: None)
        assert [one.excerpt for one in opened.entries()] == ["3"]
    assert sorted(buses.bodies("chosen")) == ["119", "7"]


def test_a_subscription_s_letter_reaches_the_others_only_when_that_is_said(buses: Buses, command: Command) -> None:
    buses.put("Topic", topicName="events")
    buses.put("Subscription", topicName="events", subscriptionName="billing")
    bury(buses, "events", text("alone"), subscription="billing")
    with command("events/billing") as opened:
        assert opened.redrive() == 1  # nobody else would get it
    assert buses.bodies("events", "billing") == ["alone"]
    buses.put("Subscription", topicName="events", subscriptionName="audit")
    bury(buses, "events", text("shared"), subscription="billing")
    assert buses.bodies("events", "audit") == ["shared"]
    with command("events/billing") as opened, pytest.raises(DeadLetterError, match=r"audit\. If they may get it twice"):
        opened.redrive()
    with command("events/billing", spread=True) as opened:
        assert opened.redrive() == 1
    assert buses.bodies("events", "billing") == ["shared"]
    assert buses.bodies("events", "audit") == ["shared"]


POINTS = {
    "noted": (BusJournal, "begin", False),
    "sent": (ServiceBusSender, "send_messages", True),
    "noted that it was sent": (BusJournal, "sent", True),
    "completed": (ServiceBusReceiver, "complete_message", True),
}
"""The command is killed after this was done, the second also before it is noted."""


def killed_after(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    owner, name, _ = POINTS[point]
    real = getattr(owner, name)

    def then(self: Any, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        raise Killed

    monkeypatch.setattr(owner, name, then)


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_is_neither_lost_nor_doubled(
    buses: Buses, command: Command, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    queue = f"killed-{point.replace(' ', '-')}"
    buses.put("Queue", queueName=queue)
    bury(buses, queue, *(text(str(number), message_id=f"{queue}-{number}") for number in range(5)))
    with monkeypatch.context() as patched, command(queue) as opened:
        killed_after(patched, point)
        with pytest.raises(Killed):
            opened.redrive()
        assert opened.journal.left(opened.only.name)
    buses.local.do(buses.local.cloud.buses.release)  # the dead command's locks, which would run out
    with command(queue) as opened:
        left = opened.redrive()
        assert (left > 0) is not POINTS[point][2]
    with command(queue) as opened:
        assert opened.places == []
    assert sorted(buses.bodies(queue)) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("duplicates", [False, True])
def test_a_copy_that_was_worked_on_meanwhile_comes_again_unless_duplicates_are_detected(
    buses: Buses, command: Command, monkeypatch: pytest.MonkeyPatch, duplicates: bool
) -> None:
    """What remains, and is said: killed between the service's answer and our note, and the copy is gone by then."""
    queue = f"gone-{duplicates}".lower()
    buses.put("Queue", queueName=queue, requiresDuplicateDetection=duplicates)
    bury(buses, queue, text("x"))
    with monkeypatch.context() as patched, command(queue) as opened:
        killed_after(patched, "sent")
        with pytest.raises(Killed):
            opened.redrive()
    buses.local.do(buses.local.cloud.buses.release)
    assert buses.bodies(queue) == ["x"]
    with command(queue) as opened:
        assert opened.redrive() == 1
    assert buses.bodies(queue) == ([] if duplicates else ["x"])


def test_a_copy_within_the_window_of_its_own_letter_is_not_taken_for_it(buses: Buses, command: Command) -> None:
    """The service still remembers the id: with it, the copy would be dropped and the letter lost."""
    buses.put("Queue", queueName="remembers", requiresDuplicateDetection=True)
    bury(buses, "remembers", text("x", message_id="m"))
    with command("remembers") as opened:
        opened.redrive()
    with buses.receiver("remembers") as receiver:
        (got,) = receiver.receive_messages(1, max_wait_time=10)
        receiver.complete_message(got)
    assert str(got.message_id).startswith("m/redrive-")


def test_a_letter_with_the_number_of_another_that_is_gone_is_not_taken_for_it(
    buses: Buses, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = buses.put("Queue", queueName="anew").id
    bury(buses, "anew", text("first"))
    with monkeypatch.context() as patched, command("anew") as opened:
        killed_after(patched, "noted that it was sent")
        with pytest.raises(Killed):
            opened.redrive()
    buses.remove("Queue", id_)
    buses.put("Queue", queueName="anew")
    bury(buses, "anew", text("second"))
    with command("anew") as opened:
        assert [one.excerpt for one in opened.entries()] == ["second"]
        assert opened.redrive() == 1
    assert buses.bodies("anew") == ["second"]


def test_a_namespace_elsewhere_is_reached_with_the_person_s_own_identity(
    buses: Buses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with --namespace: azure-identity says who it is, REQUESTS_CA_BUNDLE whom to trust."""

    class SignedIn(TokenOf):
        def __init__(self) -> None:
            super().__init__(buses.local, principal)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

    principal = buses.worker(*OPERATOR)
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", SignedIn)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", buses.local.ca)
    buses.put("Queue", queueName="elsewhere")
    bury(buses, "elsewhere", text("x"))
    with namespace_letters(tmp_path / "azure", buses.host) as dead:
        ((_, entries),) = [one for one in dead.choose(Filter(origin="elsewhere")) if one[1]]
        assert dead.listing(Filter(origin="elsewhere")).entries == entries
        chosen = dead.choose(Filter(ids=[entries[0].id]))
        assert dead.act("redrive", chosen, rate=0, tell=lambda _: None).done == 1
    assert buses.bodies("elsewhere") == ["x"]
    with azure_queues(buses.host) as queues:
        assert queues.peek(queues.find("elsewhere"), dead=False, start=1, limit=1, session="").messages == []
