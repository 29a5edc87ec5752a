"""The Functions host: runs one app's built package, and calls its functions when their triggers say so.

It reads host.json and the triggers that the package itself announces, as the platform does. A new kind of queue is a
class like `queue_triggers.py` and one line in `_listen`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import msgspec

from components.workers.ncrontab import ScheduleError, parse
from localcloud.host.bus_access import BusAccess
from localcloud.host.invocations import Call, Invocations
from localcloud.host.pool import Pool
from localcloud.host.queue_access import QueueAccess
from localcloud.host.queue_triggers import QueueTriggers
from localcloud.host.scaling import Scaling
from localcloud.host.slots import Slot
from localcloud.host.spec import AppSpec, AppStatus, FunctionStatus, HostError, InvocationResult, LogLine
from localcloud.host.timers import Timer
from localcloud.host.triggers import Kind, MessageTriggers, resolve


class FunctionsHost:
    """One app. All methods belong to one asyncio loop."""

    def __init__(
        self,
        spec: AppSpec,
        *,
        on_line: Callable[[LogLine], None],
        queue_access: QueueAccess | None = None,
        bus_access: BusAccess | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`on_line` hears each log line of the instances and what the host itself has to say (event `host`)."""
        self.spec = spec
        self._access, self._bus_access = queue_access, bus_access
        self._until = ExitStack()
        self._clock = clock
        self._invocations = Invocations(spec, on_line, clock)
        self._pool = Pool(spec, self._slot)
        self._messages = MessageTriggers({}, self._invocations)
        self._triggers: dict[str, dict[str, Any]] = {}
        self._timers: dict[str, Timer] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._alone: dict[str, asyncio.Lock] = {}
        self._ticks: set[asyncio.Task[InvocationResult]] = set()

    async def start(self) -> None:
        """Learns the package's functions and listens for them. Raises HostError when the package does not load."""
        host = json.loads((self.spec.package / "host.json").read_bytes())
        self._invocations.limit(host)
        try:
            for function in self._known() or await self._index():
                self._triggers[function["name"]] = _trigger(function)
            self._listen(host)
            while len(self._pool.slots) < self.spec.instances:
                await self._pool.add()
        except BaseException:
            await self.stop()
            raise

    def _known(self) -> list[dict[str, Any]]:
        """The functions as an earlier host found them in the same package: an app that sleeps is not woken to tell."""
        try:
            note = msgspec.json.decode((self.spec.folder / "functions.json").read_bytes(), type=_Index)
        except (FileNotFoundError, msgspec.MsgspecError):
            return []
        return note.functions if note.package == str(self.spec.package) else []

    async def _index(self) -> list[dict[str, Any]]:
        """Asks the package itself, in the app's first instance."""
        first = await self._pool.add()
        assert first is not None  # noqa: S101 - there was none before
        note = _Index(package=str(self.spec.package), functions=first.functions)
        self.spec.folder.mkdir(parents=True, exist_ok=True)
        (self.spec.folder / "functions.json").write_bytes(msgspec.json.encode(note))
        return first.functions

    def _slot(self) -> Slot:
        return Slot(self.spec, self._invocations.heard, self._invocations.say)

    def _listen(self, host: dict[str, Any]) -> None:
        """Starts every trigger."""
        loop = asyncio.get_running_loop()
        self._messages = MessageTriggers(
            {
                "queueTrigger": lambda: QueueTriggers(self.spec, self._access, self._invocations, host),
                "serviceBusTrigger": lambda: self._bus_triggers(host),
            },
            self._invocations,
        )
        for name, trigger in self._triggers.items():
            if trigger["type"] == "timerTrigger":
                self._alone[name] = asyncio.Lock()
                self._timers[name] = self._timer(name, trigger)
            else:
                self._messages.add(self.spec, name, trigger)
        self._pool.listen(self._messages.listen)
        scaling = Scaling(self.spec, self._pool, lambda: self._invocations.idle_s)
        watches = self._messages.watches(self._pool, self._until)
        work = [scaling.loop(), *(timer.loop() for timer in self._timers.values()), *watches]
        self._tasks += [loop.create_task(one) for one in work]

    def _bus_triggers(self, host: dict[str, Any]) -> Kind:
        from localcloud.host.bus_triggers import BusTriggers  # its SDK is half a second, for apps that use it

        return BusTriggers(self.spec, self._bus_access, self._invocations, host)

    def _timer(self, name: str, trigger: dict[str, Any]) -> Timer:
        text = resolve(self.spec, name, trigger["schedule"])
        try:
            schedule = parse(text)
        except ScheduleError as error:
            raise HostError(f'app "{self.spec.name}", function "{name}": {error}') from error
        return Timer(
            schedule=schedule,
            note=self.spec.folder / f"timer-{name}.json",
            clock=self._clock,
            run=lambda data: self._tick(name, data, "timer"),
        )

    async def _tick(self, name: str, data: str, cause: str) -> InvocationResult:
        task = asyncio.get_running_loop().create_task(self._run_alone(name, data, cause))
        self._ticks.add(task)
        task.add_done_callback(self._ticks.discard)
        return await asyncio.shield(task)  # the end of a timer's loop must not lose the run that it waits for

    async def _run_alone(self, name: str, data: str, cause: str) -> InvocationResult:
        async with self._alone[name]:
            call = Call(function=name, cause=cause, data=data, data_type="json")
            return await self._run(call)

    async def _run(self, call: Call) -> InvocationResult:
        return await self._invocations.run(call, lambda: self._pool.slots, self._pool.awake)

    async def fire(self, function: str, data: str = "") -> InvocationResult:
        """Runs a function now, as the admin endpoint does; a timer's run waits for one that is under way.

        `data` is the message of a queue function. Raises HostError for an unknown function.
        """
        trigger = self._triggers.get(function)
        if trigger is None:
            known = ", ".join(sorted(self._triggers)) or "none"
            raise HostError(
                f'app "{self.spec.name}": it must have the function, got "{function}"; choose one of: {known}'
            )
        if function in self._timers:
            return await self._tick(function, self._timers[function].request(past_due=False), "admin")
        return await self._run(self._messages.call(function, data))

    @property
    def in_flight(self) -> int:
        """Invocations that run or wait for their instance, and messages taken but not settled."""
        return max(self._invocations.running, self._pool.in_hand)

    def results(self, function: str) -> list[InvocationResult]:
        """The last results of a function, oldest first."""
        return self._invocations.results.recent(function)

    def status(self) -> AppStatus:
        """How the app is now."""
        return AppStatus(
            name=self.spec.name,
            system=self.spec.system,
            instances=[slot.status() for slot in self._pool.slots],
            functions=[
                FunctionStatus(
                    name=name,
                    trigger=trigger,
                    runs=self._invocations.results.runs[name],
                    failures=self._invocations.results.failures[name],
                    counts=dict(self._invocations.results.counts.get(name, {})),
                    last=self._invocations.results.last(name),
                    next=self._timers[name].next if name in self._timers else None,
                )
                for name, trigger in sorted(self._triggers.items())
            ],
            in_flight=self.in_flight,
            problem=self._pool.problem,
        )

    async def kill(self) -> None:
        """SIGKILL for every instance, in the middle of whatever it does; others take their places."""
        await asyncio.gather(*(slot.kill() for slot in self._pool.slots))

    async def stop(self) -> None:
        """No new work; what is in hand has the grace time; then every process is gone."""
        self._invocations.closing.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._until.close()
        await self._pool.close()
        await asyncio.gather(*self._ticks)
        if self._access is not None:
            await self._access.close()


class _Index(msgspec.Struct, kw_only=True):
    """functions.json: what a package announced."""

    package: str
    functions: list[dict[str, Any]]


def _trigger(function: dict[str, Any]) -> dict[str, Any]:
    """The trigger among a function's bindings."""
    found = [binding for binding in function["bindings"] if str(binding.get("type", "")).endswith("Trigger")]
    if len(found) != 1:
        raise HostError(f'function "{function["name"]}": it must have exactly one trigger, got {len(found)}')
    trigger: dict[str, Any] = found[0]
    return trigger
