"""A delivery from trigger to outcome: decoding, clients once per process, the one line at the end."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from core.messages.envelope import pack
from core.messages.ticks import TimerTick
from core.runtime import log
from core.runtime.context import Context, trace_of
from core.runtime.deadline import Deadline
from core.runtime.decode import Undecodable, decode
from core.runtime.functions import build
from core.runtime.outcome import Dead, Done, Outcome, Retry
from core.runtime.settings import SettingsError
from core.runtime.step import Delivery, NotDone, Step


class Order(msgspec.Struct):
    number: int


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []
    monkeypatch.setattr(log._logger, "log", lambda _level, _form, line: got.append(json.loads(line)))
    return got


def _module(monkeypatch: pytest.MonkeyPatch, **members: Any) -> str:
    module = ModuleType("handler_under_test")
    for name, member in members.items():
        setattr(module, name, member)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def _serve(step: Step, message: bytes | msgspec.Struct, *, times: int = 1) -> None:
    async def run() -> None:
        await asyncio.gather(*(step.serve(message, Delivery(invocation_id="i", attempt=2)) for _ in range(times)))

    asyncio.run(run())


def test_a_handler_gets_its_struct_its_clients_and_the_invocation(
    monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]
) -> None:
    made: list[str] = []
    seen: list[tuple[int, str, int]] = []

    def connect() -> str:
        made.append("clients")
        return "clients"

    def handle(order: Order, context: Context[str]) -> Outcome:
        seen.append((order.number, context.clients, context.attempt))
        return Done(counts={"in": 1}, summary={"n": order.number})

    step = Step("fetch", _module(monkeypatch, connect=connect, handle=handle), time_limit_s=10)
    _serve(step, b'{"number": 7}', times=3)
    assert seen == [(7, "clients", 2)] * 3
    assert made == ["clients"]
    assert [line["event"] for line in lines] == ["invocation"] * 3
    line = lines[0]
    assert (line["outcome"], line["counts"], line["summary"]) == ("done", {"in": 1}, {"n": 7})
    assert (line["function"], line["invocation_id"], len(line["trace_id"])) == ("fetch", "i", 32)


@pytest.mark.parametrize(
    ("answer", "outcome"), [(Retry("later"), "retry"), (Dead("never"), "dead"), (KeyError("bug"), "retry")]
)
def test_what_is_not_done_fails_the_invocation(
    monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]], answer: Any, outcome: str
) -> None:
    async def handle(tick: TimerTick, context: Context[None]) -> Outcome:
        if isinstance(answer, Exception):
            raise answer
        result: Outcome = answer
        return result

    step = Step("tick", _module(monkeypatch, handle=handle), time_limit_s=10)
    with pytest.raises(NotDone):
        _serve(step, TimerTick())
    assert [(line["event"], line["outcome"]) for line in lines] == [("invocation", outcome)]
    assert lines[0]["reason"]


def test_an_undecodable_message_is_dead_and_shows_its_beginning(
    monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]
) -> None:
    def handle(order: Order, context: Context[None]) -> Outcome:
        raise AssertionError

    with pytest.raises(NotDone, match="body must be a Order"):
        _serve(Step("fetch", _module(monkeypatch, handle=handle), time_limit_s=10), b'{"number": "x"}')
    assert lines[0]["outcome"] == "dead"


def test_an_envelope_is_taken_off_and_its_trace_goes_on(
    monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]
) -> None:
    seen: list[tuple[Any, ...]] = []

    def handle(order: Order, context: Context[None]) -> Outcome:
        seen.append((order.number, context.message_id, context.attempt, context.traceparent))
        return Done()

    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    step = Step("fetch", _module(monkeypatch, handle=handle), time_limit_s=10)
    _serve(step, pack(Order(7), id="run-1/1", traceparent=traceparent, attempt=3))
    line = lines[0]
    assert (line["trace_id"], line["parent_id"]) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert seen == [(7, "run-1/1", 4, f"00-0af7651916cd43dd8448eb211c80319c-{line['span_id']}-01")]
    assert line["started"] <= line["time"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "Other"}, "must be a Order of version 1, got a Other of version 1"),
        ({"version": 2}, "must be a Order of version 1, got a Order of version 2"),
        ({"body": {"number": "x"}}, "body must be a Order"),
        ({"attempt": "x"}, "body must be an envelope"),
    ],
)
def test_an_envelope_that_does_not_fit_is_dead(
    monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]], change: dict[str, Any], reason: str
) -> None:
    def handle(order: Order, context: Context[None]) -> Outcome:
        raise AssertionError

    fields = json.loads(pack(Order(7), id="1", traceparent="")) | change
    with pytest.raises(NotDone, match=reason):
        _serve(Step("fetch", _module(monkeypatch, handle=handle), time_limit_s=10), json.dumps(fields).encode())
    assert lines[0]["outcome"] == "dead"


def test_a_handler_without_a_typed_message_is_refused_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="annotated with a msgspec Struct"):
        Step("x", _module(monkeypatch, handle=lambda _, __: None), time_limit_s=1)
    with pytest.raises(TypeError, match="must define handle"):
        Step("x", _module(monkeypatch), time_limit_s=1)


def test_missing_settings_do_not_hide_the_function_but_fail_its_call(
    monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]
) -> None:
    monkeypatch.delenv("SOURCE_QUEUE_URL", raising=False)
    step = Step("ingest", "handlers.log_ingest.ingest", time_limit_s=300)
    step.warm()
    assert lines[0]["event"] == "settings"
    with pytest.raises(SettingsError, match="SOURCE_QUEUE_URL must be set"):
        step.clients()


def test_the_app_binds_what_the_manifest_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]
) -> None:
    def handle(order: Order, context: Context[None]) -> Outcome:
        return Done()

    name = _module(monkeypatch, handle=handle)
    timer = {"type": "timer", "schedule": "%INGEST_SCHEDULE%"}
    queue = {"type": "queue", "queue": "api-fetch", "connection": "API", "encoding": "none"}
    functions = [
        {"name": "ingest", "run": "handlers.log_ingest.ingest", "trigger": timer},
        {"name": "fetch", "run": name, "trigger": queue},
    ]
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"app": "a", "system": "s", "time_limit_s": 300, "functions": functions}))
    bound = {one.get_function_name(): one.get_dict_repr()["bindings"][0] for one in build(manifest).get_functions()}
    assert bound["ingest"]["type"] == "timerTrigger"
    assert bound["ingest"]["schedule"] == "%INGEST_SCHEDULE%"
    assert (bound["fetch"]["type"], bound["fetch"]["queueName"], bound["fetch"]["connection"]) == (
        "queueTrigger", "api-fetch", "API",
    )  # fmt: skip


def test_trace_continues_the_callers_or_begins_anew() -> None:
    trace = trace_of("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert (trace.trace_id, trace.parent_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert len(trace.span_id) == 16
    assert trace.span_id != trace.parent_id
    for bad in (
        None,
        "",
        "00-zz-b7-01",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-" + "g" * 32 + "-" + "1" * 16 + "-01",
    ):
        assert len(trace_of(bad)[0]) == 32
        assert trace_of(bad).parent_id == ""
        assert trace_of(bad)[0] != trace_of(bad)[0]


def test_deadline() -> None:
    now = [100.0]
    deadline = Deadline(300, clock=lambda: now[0])
    now[0] += 271
    assert deadline.passed(270)
    assert not deadline.passed()
    assert deadline.left() == 29
    assert deadline.left(10_000) == 29


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000, b'{"number": null}', b"\x00"])
def test_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable) as caught:
        decode(body, Order)
    assert len(str(caught.value)) < 600
    assert decode(b'{"number": 1, "more": 2}', Order).number == 1
