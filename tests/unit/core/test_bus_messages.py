"""Service Bus: headers go out and come in by one mapping, and a step handles one message or a batch of them."""

from __future__ import annotations

import asyncio
import json
import sys
from types import ModuleType
from typing import Any, ClassVar

import msgspec
import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusError,
    ServiceBusServerBusyError,
)
from hypothesis import given
from hypothesis import strategies as st

from core.clients import faults
from core.clients.service_bus import client_options, fault, properties_of, to_sdk
from core.messages.envelope import BusMessage, of_bus, to_bus
from core.runtime import log
from core.runtime.aside import TEXT_MAX, GivenUp, said
from core.runtime.context import Context
from core.runtime.outcome import Dead, Done, Outcome, Retry
from core.runtime.step import Delivery, NotDone, Step

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Order(msgspec.Struct):
    VERSION: ClassVar[int] = 3
    text: str


@given(st.text(), st.text(), st.integers(min_value=1, max_value=2**31))
def test_a_message_comes_out_as_it_went_in(text: str, identity: str, attempt: int) -> None:
    message = to_bus(Order(text), id=identity, traceparent=TRACE, attempt=attempt, properties={"kind": "x"})
    envelope = of_bus(message)
    assert envelope is not None
    assert (envelope.id, envelope.type, envelope.version) == (identity, "Order", 3)
    assert (envelope.traceparent, envelope.attempt) == (TRACE, attempt)
    assert msgspec.json.decode(envelope.body, type=Order) == Order(text)
    assert (message.content_type, message.properties["kind"]) == ("application/json", "x")
    assert message.parent == message.properties["Diagnostic-Id"] == TRACE


def test_no_property_of_the_callers_takes_the_place_of_ours() -> None:
    assert to_bus(Order("x"), id="1", traceparent=TRACE, properties={"version": 9}).properties["version"] == 3


@pytest.mark.parametrize("missing", ["version", "traceparent", "attempt"])
def test_a_message_without_all_of_our_headers_is_all_body(missing: str) -> None:
    ours = to_bus(Order("x"), id="1", traceparent=TRACE)
    properties = {name: value for name, value in ours.properties.items() if name != missing}
    assert of_bus(BusMessage(body=ours.body, id="1", subject="Order", properties=properties)) is None


@pytest.mark.parametrize(("name", "value"), [("version", "x"), ("version", 0), ("attempt", 0), ("attempt", True)])
def test_our_headers_with_wrong_values_are_said_to_be_wrong(name: str, value: object) -> None:
    ours = to_bus(Order("x"), id="1", traceparent=TRACE)
    with pytest.raises(msgspec.ValidationError, match=name):
        of_bus(BusMessage(body=ours.body, id="1", subject="Order", properties={**ours.properties, name: value}))


def test_headers_have_the_places_that_service_bus_has_for_them() -> None:
    sent: ServiceBusMessage = to_sdk(to_bus(Order("x"), id="1", traceparent=TRACE, session_id="s"))
    assert (sent.message_id, sent.subject, sent.content_type, sent.session_id) == (
        "1",
        "Order",
        "application/json",
        "s",
    )
    assert sent.application_properties == {
        "version": 3, "traceparent": TRACE, "Diagnostic-Id": TRACE, "attempt": 1,
    }  # fmt: skip
    assert properties_of(sent) == sent.application_properties  # type: ignore[arg-type]


def test_a_host_with_a_port_is_reached_there_and_nothing_else_differs() -> None:
    azure, local = client_options("bus.servicebus.windows.net", None), client_options("localhost:5", "/ca.pem")
    assert azure.keys() == {"fully_qualified_namespace", "transport_type"}
    assert local["custom_endpoint_address"] == "sb://localhost:5"
    assert (local["fully_qualified_namespace"], local["connection_verify"]) == ("localhost", "/ca.pem")


def with_cause(cause: BaseException) -> Exception:
    error = ServiceBusError("wrapped")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ServiceBusAuthenticationError(), faults.Denied),
        (MessagingEntityNotFoundError(), faults.Gone),
        (ServiceBusServerBusyError(), faults.Transient),
        (MessagingEntityDisabledError(), faults.Transient),
        (ValueError("not AMQP"), faults.Refused),
        (with_cause(faults.Transient("no token")), faults.Transient),
    ],
)
def test_what_the_sdk_raises_is_told_by_what_to_do_next(error: Exception, kind: type[faults.Fault]) -> None:
    assert type(fault(error, "jobs: send")) is kind


class Shelf:
    """Where messages go that are given up; may refuse."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.kept: list[GivenUp] = []
        self._refuses = refuses

    async def keep(self, gone: GivenUp) -> None:
        if self._refuses:
            raise faults.Denied("403")
        self.kept.append(gone)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []
    monkeypatch.setattr(log._logger, "log", lambda _level, _form, line: got.append(json.loads(line)))
    return got


SEEN: list[tuple[list[str], Context[None]]] = []


def handle(messages: list[Order], context: Context[None]) -> Outcome:
    SEEN.append(([one.text for one in messages], context))
    found: dict[str, Outcome] = {"dead": Dead("never"), "later": Retry("later")}
    return found.get(messages[0].text, Done(counts={"in": len(messages)}))


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    SEEN.clear()
    module = ModuleType("handler_of_batches")
    module.handle = handle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Step("many", module.__name__, time_limit_s=10)


def order(text: str, trace: str = TRACE, **more: Any) -> BusMessage:
    made = to_bus(Order(text), id=text, traceparent=trace)
    return BusMessage(body=made.body, id=text, subject="Order", properties=made.properties, **more)


def serve(step: Step, *messages: BusMessage, shelf: Shelf | None = None) -> None:
    delivery = Delivery(invocation_id="i", aside=shelf)
    asyncio.run(step.serve_batch(messages, delivery))


BAD = BusMessage(body=b"?", id="bad")


def test_a_batch_is_one_call_with_one_line(step: Step, lines: list[dict[str, Any]]) -> None:
    serve(step, order("a", session_id="s", deliveries=2), order("b", session_id="s"))
    ((texts, context),) = SEEN
    assert (step.takes_batches, texts) == (True, ["a", "b"])
    assert (context.attempt, context.session_id, context.message_id) == (2, "s", "")
    assert context.trace_id == TRACE[3:35]
    assert [(line["event"], line["outcome"]) for line in lines] == [("invocation", "done")]


def test_a_batch_of_several_traces_has_one_of_its_own(step: Step) -> None:
    serve(step, order("a"), order("b", OTHER))
    assert SEEN[0][1].trace_id not in {TRACE[3:35], OTHER[3:35]}


def test_what_cannot_be_read_is_put_aside_alone(step: Step, lines: list[dict[str, Any]]) -> None:
    shelf = Shelf()
    serve(step, order("a"), BAD, order("b"), shelf=shelf)
    assert [gone.message for gone in shelf.kept] == [BAD]
    assert shelf.kept[0].reason.startswith("body must be a Order")
    assert SEEN[0][0] == ["a", "b"]
    assert [line["event"] for line in lines] == ["undecodable", "invocation"]


def test_nothing_is_handled_when_it_cannot_be_put_aside(step: Step) -> None:
    with pytest.raises(NotDone, match="body must be"):
        serve(step, order("a"), BAD, shelf=Shelf(refuses=True))
    assert SEEN == []


def test_a_batch_with_nothing_to_read_calls_nobody(step: Step) -> None:
    shelf = Shelf()
    serve(step, BAD, BAD, shelf=shelf)
    assert (len(shelf.kept), SEEN) == (2, [])


def test_the_outcome_is_that_of_each(step: Step) -> None:
    shelf = Shelf()
    serve(step, order("dead"), order("b", deliveries=4), shelf=shelf)
    assert [(gone.id, gone.reason, gone.attempt) for gone in shelf.kept] == [("dead", "never", 1), ("b", "never", 4)]
    with pytest.raises(NotDone, match="later"):
        serve(step, order("later"), shelf=shelf)
    assert len(shelf.kept) == 2


def test_a_reason_is_as_long_as_service_bus_takes_it() -> None:
    gone = GivenUp(message=BAD, reason="x" * 9999, function="f", id="1", traceparent=TRACE, attempt=2)
    assert tuple(map(len, said(gone))) == (TEXT_MAX, len("given up by f at attempt 2"))
