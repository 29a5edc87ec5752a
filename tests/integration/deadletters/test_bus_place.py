"""Dead letters of Service Bus: both places alike, sent back whole."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from azure.servicebus import ServiceBusMessage

from localcloud.deadletters.acting import namespace_letters
from localcloud.deadletters.entry import Filter
from localcloud.deadletters.place import DeadLetterError, Pace
from localcloud.session.bus_queues import azure_queues
from tests.integration.deadletters.bus_letters import OPERATOR, Command, bury, text
from tests.integration.emulators.bus_clients import Buses
from tests.integration.emulators.local import TokenOf


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
