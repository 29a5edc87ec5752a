"""A message with a lasting fault: put aside first, then gone; and whatever lies in a poison queue is understood."""

from __future__ import annotations

import asyncio
import json
import sys
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clients.faults import Denied
from core.messages.envelope import pack
from core.messages.poison import Poison, find, wrap
from core.runtime import log
from core.runtime.context import Context
from core.runtime.manifest import Queue
from core.runtime.outcome import Dead, Done, Outcome, Retry
from core.runtime.poison import PoisonQueue
from core.runtime.settings import SettingsError
from core.runtime.step import Delivery, NotDone, Step

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Order(msgspec.Struct):
    number: int


def handle(order: Order, context: Context[None]) -> Outcome:
    if order.number > 1:
        return Dead("never")
    return Retry("later") if order.number else Done()


class Shelf(PoisonQueue):
    """A poison queue that may refuse."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__(Queue(queue="q", connection="Q"))
        self.kept: list[str] = []
        self.fault = fault

    def _send(self, message: bytes) -> None:
        if self.fault:
            raise self.fault
        self.kept.append(message.decode())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []
    monkeypatch.setattr(log._logger, "log", lambda _level, _form, line: got.append(json.loads(line)))
    return got


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    module = ModuleType("handler_that_buries")
    module.handle = handle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Step("fetch", module.__name__, time_limit_s=10)


def serve(step: Step, body: bytes, shelf: Shelf | None) -> None:
    asyncio.run(step.serve(body, Delivery(invocation_id="i", attempt=2, aside=shelf)))


def test_a_lasting_fault_is_put_aside_with_its_reason_and_the_invocation_returns(
    step: Step, lines: list[dict[str, Any]]
) -> None:
    shelf, body = Shelf(), pack(Order(9), id="run/7", traceparent=TRACE, attempt=3)
    serve(step, body, shelf)
    (kept,) = map(find, shelf.kept)
    assert kept.poison is not None
    assert (kept.poison.reason, kept.poison.function, kept.body) == ("never", "fetch", body.decode())
    assert (kept.attempt, kept.traceparent[3:35]) == (4, TRACE[3:35])
    assert [(line["event"], line["outcome"], line["level"]) for line in lines] == [("invocation", "dead", "error")]


@pytest.mark.parametrize("fault", [Denied("403"), SettingsError("no address"), OSError("gone"), KeyError("bug")])
def test_what_cannot_be_put_aside_stays_in_its_queue(step: Step, lines: list[dict[str, Any]], fault: Exception) -> None:
    with pytest.raises(NotDone, match="never"):
        serve(step, b'{"number": 9}', Shelf(fault))
    assert [(line["event"], line.get("outcome")) for line in lines] == [("not put aside", None), ("invocation", "dead")]
    assert type(fault).__name__ in lines[0]["reason"]


def test_an_undecodable_message_is_put_aside_too_and_one_that_is_no_text_is_not(step: Step) -> None:
    shelf = Shelf()
    serve(step, b'{"number": "x"} ', shelf)
    assert find(shelf.kept[0]).body == '{"number": "x"} '
    with pytest.raises(NotDone, match="body must be"):
        serve(step, b"\xff", shelf)
    assert len(shelf.kept) == 1


def test_done_and_retry_put_nothing_aside(step: Step) -> None:
    shelf = Shelf()
    serve(step, b'{"number": 0}', shelf)
    with pytest.raises(NotDone, match="later"):
        serve(step, b'{"number": 1}', shelf)
    assert shelf.kept == []


@given(body=st.text(), reason=st.text())
def test_the_message_comes_out_to_the_character(body: str, reason: str) -> None:
    poison = Poison(reason=reason, function="f", time="t", body=body)
    try:
        kept = wrap(poison, id="1", traceparent=TRACE, attempt=1).decode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    found = find(kept)
    assert (found.body, found.poison) == (body, poison)


HALF = '{"id":"1","type":"Poison","version":1,"traceparent":"","attempt":1,"body":{"reason":1}}'
WRONG = '{"id":1,"type":1,"version":1,"traceparent":1,"attempt":1,"body":1}'


@pytest.mark.parametrize("content", ["", "x", "{}", pack(Order(1), id="1", traceparent=TRACE).decode(), HALF, WRONG])
def test_what_the_host_put_there_is_the_message_itself(content: str) -> None:
    found = find(content)
    assert (found.body, found.poison) == (content, None)


def test_a_base64_message_goes_back_as_base64() -> None:
    trigger = Queue(queue="q", connection="Q", encoding="base64")
    assert PoisonQueue(trigger)._text(b"\x00\xff") == "AP8="
    assert PoisonQueue(Queue(queue="q", connection="Q"))._text("ü".encode()) == "ü"


def test_without_its_connection_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("Q__queueServiceUri", raising=False)
    with pytest.raises(SettingsError, match="Q__queueServiceUri and Q__clientId must be set"):
        PoisonQueue(Queue(queue="q", connection="Q"))._send(b"x")
