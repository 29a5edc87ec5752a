"""One handler module at work: settings and clients once per process, then decode, handle, report for each delivery."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from core.messages.envelope import BusMessage
from core.runtime.aside import Aside, GivenUp
from core.runtime.context import Context, Trace, trace_of
from core.runtime.deadline import Deadline
from core.runtime.log import Log, now
from core.runtime.manifest import Function, Manifest
from core.runtime.opened import Message, Opened, open_message
from core.runtime.outcome import Dead, Done, Outcome, Retry
from core.runtime.settings import SettingsError, read


class NotDone(Exception):  # noqa: N818 - the platform only sees that the invocation failed
    """Raised to the platform so that it delivers the message again (and in the end moves it to the poison queue)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What the trigger knows about this delivery."""

    invocation_id: str
    traceparent: str | None = None
    attempt: int = 1
    """Of a storage queue's message; one of Service Bus knows its own."""
    aside: Aside | None = None
    """None: a lasting fault fails the invocation, and the platform puts the message aside after its last try."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Invocation:
    """One call of the handler."""

    delivery: Delivery
    trace: Trace
    deadline: Deadline
    log: Log


class Step:
    """A handler module: `Settings`, `connect(settings)` and `handle(message, context)`; the first two are optional."""

    def __init__(self, name: str, module: str, *, time_limit_s: float) -> None:
        """Imports the module. Raises ImportError, or TypeError when `handle` is missing or its message has no type."""
        self.name = name
        self._module = importlib.import_module(module)
        self._time_limit_s = time_limit_s
        self._handle = getattr(self._module, "handle", None)
        if not callable(self._handle):
            raise TypeError(f"{module}: must define handle(message, context)")
        first = next(iter(inspect.signature(self._handle).parameters), "")
        kind = get_type_hints(self._handle).get(first)
        self.takes_batches = get_origin(kind) is list
        """Whether `handle` is given a list of messages."""
        of = get_args(kind)[0] if self.takes_batches else kind
        if not (isinstance(of, type) and issubclass(of, msgspec.Struct)):
            raise TypeError(
                f"{module}: handle's first parameter must be annotated with a msgspec Struct, or a list of one for a "
                f"batch, got {kind!r}"
            )
        self._kind: type[msgspec.Struct] = of
        self._lock = threading.Lock()
        self._clients: Any = None
        self._connected = False

    def warm(self) -> None:
        """Connects at start-up, so that the first message need not wait. Without its settings (when a package is only
        being indexed) it is left to the first delivery, which then says what is missing.
        """
        try:
            self.clients()
        except SettingsError as error:
            Log(function=self.name).warning("settings", reason=str(error))

    def clients(self) -> Any:
        """What `connect` made, once per process. Raises SettingsError and what `connect` raises."""
        with self._lock:
            if not self._connected:
                connect = getattr(self._module, "connect", None)
                settings = getattr(self._module, "Settings", None)
                if connect is not None:
                    self._clients = connect(read(settings)) if settings is not None else connect()
                self._connected = True
            return self._clients

    async def serve(self, message: Message, delivery: Delivery) -> None:
        """Runs the handler on one message and writes the invocation's line.

        Returns when the platform may forget the message: it is done, or dead and put aside. Raises NotDone otherwise.
        """
        opened = open_message(message, self._kind, self.name)
        call = self._call(opened.parent or delivery.traceparent, delivery)
        await self._run([opened], opened.value, call)

    async def serve_batch(self, messages: Sequence[BusMessage], delivery: Delivery) -> None:
        """Runs the handler once on all of them; its outcome is that of each. What cannot be decoded is put aside alone,
        before the handler sees the others: were it not safe, all would come again.

        Returns when the platform may forget them all. Raises NotDone otherwise.
        """
        opened = [open_message(message, self._kind, self.name) for message in messages]
        parents = {(one.parent or "")[:35] for one in opened}  # of one trace each
        call = self._call(opened[0].parent if len(parents) == 1 else delivery.traceparent, delivery)
        good, values = [], []
        for one in opened:
            if isinstance(one.value, Dead):
                call.log.error("undecodable", message_id=one.id, reason=one.value.reason)
                if not await self._put_aside(one, one.value.reason, call):
                    raise NotDone(one.value.reason)
            else:
                good.append(one)
                values.append(one.value)
        if good:
            await self._run(good, values, call)

    def _call(self, parent: str | None, delivery: Delivery) -> _Invocation:
        trace = trace_of(parent)
        log = Log(function=self.name, invocation_id=delivery.invocation_id, trace_id=trace.trace_id)
        return _Invocation(delivery=delivery, trace=trace, deadline=Deadline(self._time_limit_s), log=log)

    async def _run(
        self, opened: Sequence[Opened], value: msgspec.Struct | Dead | list[msgspec.Struct], call: _Invocation
    ) -> None:
        """`value`: what the handler is given, made of `opened`."""
        started, began = now(), time.monotonic()
        fault: BaseException | None = None
        try:
            outcome = value if isinstance(value, Dead) else await self._outcome(opened, value, call)
        except Exception as error:  # noqa: BLE001 - whatever it was, the line is written and the platform delivers again
            fault = error
            outcome = Retry(f"{type(error).__name__}: {error}")
        kept = isinstance(outcome, Dead) and all([await self._put_aside(one, outcome.reason, call) for one in opened])
        _report(call, outcome, started, time.monotonic() - began)
        if not kept and not isinstance(outcome, Done):
            raise NotDone(outcome.reason) from fault

    async def _put_aside(self, opened: Opened, reason: str, call: _Invocation) -> bool:
        """Whether the message is safe elsewhere. When not, it stays where it is, and the platform tries again."""
        message, delivery = opened.message, call.delivery
        if delivery.aside is None or not isinstance(message, bytes | BusMessage):
            return False
        gone = GivenUp(
            message=message, reason=reason, function=self.name, id=opened.id or delivery.invocation_id,
            traceparent=call.trace.traceparent, attempt=opened.attempt(delivery.attempt),
        )  # fmt: skip
        try:
            await delivery.aside.keep(gone)
        except Exception as error:  # noqa: BLE001 - whatever it was, the message is still in its queue
            call.log.warning("not put aside", reason=f"{type(error).__name__}: {error}")
            return False
        return True

    async def _outcome(
        self, opened: Sequence[Opened], value: msgspec.Struct | list[msgspec.Struct], call: _Invocation
    ) -> Outcome:
        clients = self._clients if self._connected else await asyncio.to_thread(self.clients)
        sessions = {one.message.session_id for one in opened if isinstance(one.message, BusMessage)}
        context = Context(
            function=self.name, invocation_id=call.delivery.invocation_id,
            trace_id=call.trace.trace_id, span_id=call.trace.span_id,
            attempt=max(one.attempt(call.delivery.attempt) for one in opened), deadline=call.deadline, clients=clients,
            log=call.log, message_id=opened[0].id if len(opened) == 1 else "",
            session_id=sessions.pop() if len(sessions) == 1 else "",
        )  # fmt: skip
        assert self._handle is not None  # noqa: S101 - checked when it was imported
        if inspect.iscoroutinefunction(self._handle):
            outcome: Outcome = await self._handle(value, context)
        else:
            outcome = await asyncio.to_thread(self._handle, value, context)
        return outcome


def load(manifest: Path) -> list[tuple[Function, Step]]:
    """The steps that a package's manifest lists, warm: all that handlers have a say in before the first message, which
    is why a package's check runs it too. Raises what a handler module's import raises, TypeError, or msgspec's error.
    """
    listed = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    found = []
    for function in listed.functions:
        step = Step(function.name, function.run, time_limit_s=listed.time_limit_s)
        batch = getattr(function.trigger, "batch", False)
        if batch != step.takes_batches:
            wanted = "a list of messages (list[Job])" if batch else "one message"
            raise TypeError(
                f"{function.run}: handle must take {wanted}, got the other; change its first parameter's annotation, "
                f"or declare On(…, batch={step.takes_batches})"
            )
        step.warm()
        found.append((function, step))
    return found


def _report(call: _Invocation, outcome: Outcome, started: str, seconds: float) -> None:
    """The one line that ends an invocation."""
    fields: dict[str, Any] = {"outcome": type(outcome).__name__.lower(), "seconds": round(seconds, 3)}
    fields |= {"started": started, "span_id": call.trace.span_id, "parent_id": call.trace.parent_id}
    if isinstance(outcome, Done):
        if outcome.counts is not None:
            fields["counts"] = dict(outcome.counts)
        if outcome.summary is not None:
            fields["summary"] = outcome.summary
        call.log.info("invocation", **fields)
    else:
        call.log.error("invocation", **fields, reason=outcome.reason)
