"""One handler module at work: settings and clients once per process, then decode, handle, report for each delivery."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_type_hints

import msgspec

from core.messages.envelope import Envelope, unpack, version_of
from core.messages.poison import Poison, wrap
from core.runtime.context import Context, Trace, trace_of
from core.runtime.deadline import Deadline
from core.runtime.decode import Undecodable, decode, excerpt
from core.runtime.log import Log, now
from core.runtime.manifest import Function, Manifest
from core.runtime.outcome import Dead, Done, Outcome, Retry
from core.runtime.settings import SettingsError, read


class NotDone(Exception):  # noqa: N818 - the platform only sees that the invocation failed
    """Raised to the platform so that it delivers the message again (and in the end moves it to the poison queue)."""


class Aside(Protocol):
    """The place for messages that will never be handled."""

    def text(self, body: bytes) -> str:
        """The message as it stands in its queue."""

    def send(self, message: bytes) -> None:
        """Keeps it; returns when it is safe."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What the trigger knows about this delivery."""

    invocation_id: str
    traceparent: str | None = None
    attempt: int = 1
    aside: Aside | None = None
    """None: a lasting fault fails the invocation, and the platform puts the message aside after its last try."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Opened:
    """A message out of its envelope, if it had one; `message` is Dead when it cannot be handled."""

    message: msgspec.Struct | Dead
    envelope: Envelope | None = None


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
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            raise TypeError(f"{module}: handle's first parameter must be annotated with a msgspec Struct, got {kind!r}")
        self._kind: type[msgspec.Struct] = kind
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

    async def serve(self, message: bytes | msgspec.Struct, delivery: Delivery) -> None:
        """Runs the handler on one message and writes the invocation's line.

        Returns when the platform may forget the message: it is done, or dead and put aside. Raises NotDone otherwise.
        """
        opened = self._open(message)
        trace = trace_of(opened.envelope.traceparent if opened.envelope else delivery.traceparent)
        log = Log(function=self.name, invocation_id=delivery.invocation_id, trace_id=trace.trace_id)
        deadline = Deadline(self._time_limit_s)
        started, began = now(), time.monotonic()
        fault: BaseException | None = None
        try:
            outcome = await self._outcome(opened, delivery, trace, deadline, log)
        except Exception as error:  # noqa: BLE001 - whatever it was, the line is written and the platform delivers again
            fault = error
            outcome = Retry(f"{type(error).__name__}: {error}")
        kept = False
        if isinstance(outcome, Dead) and isinstance(message, bytes) and delivery.aside is not None:
            kept = await self._put_aside(message, outcome.reason, opened, delivery, trace, log)
        _report(log, outcome, trace, started, time.monotonic() - began)
        if not kept and not isinstance(outcome, Done):
            raise NotDone(outcome.reason) from fault

    async def _put_aside(
        self, message: bytes, reason: str, opened: _Opened, delivery: Delivery, trace: Trace, log: Log
    ) -> bool:
        """Whether the message is safe elsewhere. When not, it stays where it is, and the platform tries again."""
        aside, envelope = delivery.aside, opened.envelope
        assert aside is not None  # noqa: S101 - the caller looked
        try:
            poison = Poison(reason=reason, function=self.name, time=now(), body=aside.text(message))
            body = wrap(
                poison, id=envelope.id if envelope else delivery.invocation_id, traceparent=trace.traceparent,
                attempt=_attempt(opened, delivery),
            )  # fmt: skip
            await asyncio.to_thread(aside.send, body)
        except Exception as error:  # noqa: BLE001 - whatever it was, the message is still in its queue
            log.warning("not put aside", reason=f"{type(error).__name__}: {error}")
            return False
        return True

    def _open(self, message: bytes | msgspec.Struct) -> _Opened:
        """Takes a message out of its envelope and decodes it."""
        if not isinstance(message, bytes):
            return _Opened(message=message)
        envelope = None
        try:
            envelope = unpack(message)
            if envelope is None:
                return _Opened(message=decode(message, self._kind))
            self._check(envelope)
            return _Opened(message=decode(bytes(envelope.body), self._kind), envelope=envelope)
        except msgspec.ValidationError as error:
            return _Opened(message=Dead(f"body must be an envelope: {error}; got {excerpt(message)}"))
        except Undecodable as error:
            return _Opened(message=Dead(str(error)), envelope=envelope)

    def _check(self, envelope: Envelope) -> None:
        wanted, version = self._kind.__name__, version_of(self._kind)
        if (envelope.type, envelope.version) != (wanted, version):
            raise Undecodable(
                f"message {envelope.id}: must be a {wanted} of version {version}, got a {envelope.type} of version "
                f"{envelope.version}; send {wanted} to the queue of {self.name}, or deploy sender and receiver together"
            )

    async def _outcome(
        self, opened: _Opened, delivery: Delivery, trace: Trace, deadline: Deadline, log: Log
    ) -> Outcome:
        message, envelope = opened.message, opened.envelope
        if isinstance(message, Dead):
            return message
        clients = self._clients if self._connected else await asyncio.to_thread(self.clients)
        context = Context(
            function=self.name, invocation_id=delivery.invocation_id, trace_id=trace.trace_id, span_id=trace.span_id,
            attempt=_attempt(opened, delivery), deadline=deadline, clients=clients,
            log=log, message_id=envelope.id if envelope else "",
        )  # fmt: skip
        assert self._handle is not None  # noqa: S101 - checked when it was imported
        if inspect.iscoroutinefunction(self._handle):
            outcome: Outcome = await self._handle(message, context)
        else:
            outcome = await asyncio.to_thread(self._handle, message, context)
        return outcome


def load(manifest: Path) -> list[tuple[Function, Step]]:
    """The steps that a package's manifest lists, warm: all that handlers have a say in before the first message, which
    is why a package's check runs it too. Raises what a handler module's import raises, TypeError, or msgspec's error.
    """
    listed = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    found = []
    for function in listed.functions:
        step = Step(function.name, function.run, time_limit_s=listed.time_limit_s)
        step.warm()
        found.append((function, step))
    return found


def _attempt(opened: _Opened, delivery: Delivery) -> int:
    """Sends and deliveries together."""
    return delivery.attempt + (opened.envelope.attempt - 1 if opened.envelope else 0)


def _report(log: Log, outcome: Outcome, trace: Trace, started: str, seconds: float) -> None:
    """The one line that ends an invocation."""
    fields: dict[str, Any] = {"outcome": type(outcome).__name__.lower(), "seconds": round(seconds, 3)}
    fields |= {"started": started, "span_id": trace.span_id, "parent_id": trace.parent_id}
    if isinstance(outcome, Done):
        if outcome.counts is not None:
            fields["counts"] = dict(outcome.counts)
        if outcome.summary is not None:
            fields["summary"] = outcome.summary
        log.info("invocation", **fields)
    else:
        log.error("invocation", **fields, reason=outcome.reason)
