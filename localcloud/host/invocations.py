"""Runs one invocation on one instance, and makes its result out of the answer and of the handler's own log line."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from localcloud.host.instance import Instance, InstanceDiedError
from localcloud.host.lines import parse_line
from localcloud.host.queues import seconds
from localcloud.host.results import Results, spoken
from localcloud.host.slots import Slot
from localcloud.host.spec import AppSpec, HostError, InvocationResult, LogLine

_NO_LIMIT = "00:30:00"  # functionTimeout where host.json says none (Flex Consumption)
_INSTANCE_WAIT_S = 30  # an invocation waits this long for an instance that is being restarted
_LINES = 256  # "invocation" lines kept until their result arrives


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a trigger asks for."""

    function: str
    cause: str
    data: str | list[str]
    data_type: str
    """`json`, `string` or `bytes`, as the trigger's converter wants it; `collection_string` or `collection_bytes` of a
    batch. Bytes are base64.
    """
    metadata: dict[str, Any] = {}


class Invocations:
    """All invocations of one app."""

    def __init__(self, spec: AppSpec, on_line: Callable[[LogLine], None], clock: Callable[[], float]) -> None:
        self._app = spec.name
        self._on_line = on_line
        self._clock = clock
        self._limit_s = seconds(_NO_LIMIT)
        self._lines: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.results = Results(spec.folder)
        self.running = 0
        self._ended = 0.0
        self.closing = asyncio.Event()
        """Set when the host stops: nobody waits for an instance any longer."""

    def limit(self, host: dict[str, Any]) -> None:
        """Takes the time limit from host.json."""
        self._limit_s = seconds(host.get("functionTimeout", _NO_LIMIT))

    async def run(
        self, call: Call, slots: Callable[[], Sequence[Slot]], wake: Callable[[], Awaitable[None]] | None = None
    ) -> InvocationResult:
        """One invocation on the least busy instance of `slots`, after `wake` saw to it that there is one. Never raises
        for what the function does.
        """
        identity = str(uuid.uuid4())
        started, began = datetime.fromtimestamp(self._clock(), UTC), time.monotonic()
        self.running += 1
        try:
            found = await self._attempt(identity, call, slots, wake)
        finally:
            self.running -= 1
            self._ended = time.monotonic()
        result = InvocationResult(
            id=identity,
            app=self._app,
            function=call.function,
            cause=call.cause,
            started=started,
            seconds=round(time.monotonic() - began, 4),
            **found,
        )
        self.results.add(result)
        return result

    async def _attempt(
        self,
        identity: str,
        call: Call,
        slots: Callable[[], Sequence[Slot]],
        wake: Callable[[], Awaitable[None]] | None,
    ) -> dict[str, Any]:
        command = {
            "id": identity,
            "function": call.function,
            "data": call.data,
            "data_type": call.data_type,
            "metadata": call.metadata,
            "trace_parent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
        }
        failed: dict[str, Any] = {"ok": False, "pid": 0}
        try:
            if wake is not None:
                await wake()
            instance = await _instance(slots, self.closing)
            failed["pid"] = instance.pid
            async with asyncio.timeout(self._limit_s):
                answer = await instance.invoke(command)
        except TimeoutError:
            reason = f"time limit of {self._limit_s:g} s reached; its instance was ended"
            self.say(f"{call.function}: {reason}", level="error", function=call.function, invocation_id=identity)
            await instance.kill()
            return failed | {"outcome": "timeout", "reason": reason}
        except (InstanceDiedError, HostError) as error:
            return failed | {"outcome": "crashed", "reason": str(error)}
        if "trace" in answer:
            self.say(answer["trace"].rstrip(), level="error", function=call.function, invocation_id=identity)
        outcome = "returned" if answer["ok"] else "failed"
        found = {"ok": answer["ok"], "pid": instance.pid, "outcome": outcome, "reason": answer.get("error")}
        found |= spoken(self._lines.pop(identity, None))
        if not found["ok"] and found["outcome"] == "done":
            found["outcome"] = "failed"  # it raised after its own last line
        return found

    @property
    def idle_s(self) -> float:
        """Seconds since one was under way."""
        return 0 if self.running else time.monotonic() - self._ended

    def heard(self, pid: int, text: str) -> None:
        """A line that an instance wrote."""
        line = parse_line(self._app, pid, text, self._clock())
        if line.event == "invocation" and line.fields is not None:
            self._lines[line.invocation_id] = line.fields
            if len(self._lines) > _LINES:
                self._lines.popitem(last=False)
        self._on_line(line)

    def say(self, text: str, *, level: str = "warning", function: str = "", invocation_id: str = "") -> None:
        """A line of the host's own, event `host`."""
        line = parse_line(self._app, 0, text, self._clock())
        names = {"event": "host", "level": level, "function": function, "invocation_id": invocation_id}
        self._on_line(msgspec.structs.replace(line, fields=None, **names))


async def _instance(slots: Callable[[], Sequence[Slot]], closing: asyncio.Event) -> Instance:
    """The least busy instance that can take work; waits for one that is being restarted. Raises InstanceDiedError."""
    deadline = time.monotonic() + _INSTANCE_WAIT_S
    while True:
        here = list(slots())
        ready = [one.instance for one in here if one.ready.is_set() and one.instance is not None]
        if ready:
            return min(ready, key=lambda one: one.in_hand)
        if closing.is_set() or not here or time.monotonic() > deadline:
            raise InstanceDiedError("no instance could be started" if not closing.is_set() else "the host stops")
        waits = [asyncio.ensure_future(event.wait()) for event in (closing, *(one.ready for one in here))]
        try:
            await asyncio.wait(waits, timeout=_INSTANCE_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
