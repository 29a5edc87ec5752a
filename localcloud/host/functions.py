"""The Functions host: runs one app's built package, and calls its functions when their triggers say so.

It reads host.json and the triggers that the package itself announces, as the platform does. A new kind of trigger is a
listener like `queues.py` and one line in `_listen`.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from components.workers.ncrontab import ScheduleError, parse
from localcloud.host.instance import Instance
from localcloud.host.invocations import Call, Invocations
from localcloud.host.queue_access import QueueAccess
from localcloud.host.queues import QueueListener, QueueOptions
from localcloud.host.scaling import Scaling
from localcloud.host.slots import Slot
from localcloud.host.spec import AppSpec, AppStatus, FunctionStatus, HostError, InvocationResult, LogLine
from localcloud.host.timers import Timer

_SETTLE_S = 5  # what a queue message needs to be given back after its process has been ended
_SETTING = re.compile(r"%([^%]+)%")


class FunctionsHost:
    """One app. All methods belong to one asyncio loop."""

    def __init__(
        self,
        spec: AppSpec,
        *,
        on_line: Callable[[LogLine], None],
        queue_access: QueueAccess | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`on_line` hears each log line of the instances and what the host itself has to say (event `host`)."""
        self.spec = spec
        self._queue_access = queue_access
        self._clock = clock
        self._invocations = Invocations(spec, on_line, clock)
        self._slots: list[Slot] = []
        self._triggers: dict[str, dict[str, Any]] = {}
        self._timers: dict[str, Timer] = {}
        self._listeners: dict[Slot, list[QueueListener]] = {}
        self._tasks: dict[Slot | None, list[asyncio.Task[None]]] = {}
        self._alone: dict[str, asyncio.Lock] = {}
        self._ticks: set[asyncio.Task[InvocationResult]] = set()
        self._host: dict[str, Any] = {}

    async def start(self) -> None:
        """Starts the instances and the triggers. Raises HostError when the package does not load."""
        self._host = json.loads((self.spec.package / "host.json").read_bytes())
        self._invocations.limit(self._host)
        first = await self._add_slot()
        for function in first.functions:
            self._triggers[function["name"]] = _trigger(function)
        try:
            await asyncio.gather(*(self._add_slot() for _ in range(self.spec.instances - 1)))
            self._listen()
        except BaseException:
            await self.stop()
            raise

    async def _add_slot(self) -> Instance:
        slot = Slot(self.spec, self._invocations.heard, self._invocations.say)
        self._slots.append(slot)
        try:
            instance = await slot.start()
        except BaseException:
            self._slots.remove(slot)
            raise
        if self._triggers:
            self._listen_on(slot)
        return instance

    def _listen(self) -> None:
        """Starts every trigger."""
        loop = asyncio.get_running_loop()
        for name, trigger in self._triggers.items():
            if trigger["type"] == "timerTrigger":
                self._alone[name] = asyncio.Lock()
                self._timers[name] = timer = self._timer(name, trigger)
                self._tasks.setdefault(None, []).append(loop.create_task(timer.loop()))
            elif trigger["type"] != "queueTrigger":
                raise HostError(
                    f'app "{self.spec.name}", function "{name}": its trigger must be a timer or a storage queue, got '
                    f"{trigger['type']}; add a listener for it to localcloud/host"
                )
        for slot in self._slots:
            if slot not in self._listeners:
                self._listen_on(slot)
        if self.spec.max_instances > self.spec.instances and any(self._listeners.values()):
            scaling = Scaling(self.spec, lambda: list(self._listeners.values()), self._add_slot, self._drop_slot)
            self._tasks.setdefault(None, []).append(loop.create_task(scaling.loop()))

    def _timer(self, name: str, trigger: dict[str, Any]) -> Timer:
        text = self._resolve(name, trigger["schedule"])
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
            return await self._invocations.run(call, lambda: self._slots)

    def _listen_on(self, slot: Slot) -> None:
        options = QueueOptions.of(self._host)
        self._listeners[slot] = listeners = []
        for name, trigger in self._triggers.items():
            if trigger["type"] == "queueTrigger":
                listener = self._queue_listener(slot, name, trigger, options)
                listeners.append(listener)
                self._tasks.setdefault(slot, []).append(asyncio.get_running_loop().create_task(listener.loop()))

    def _queue_listener(self, slot: Slot, name: str, trigger: dict[str, Any], options: QueueOptions) -> QueueListener:
        connection = trigger["connection"]
        address = self.spec.settings.get(f"{connection}__queueServiceUri")
        if address is None or self._queue_access is None:
            got = "no setting of that name" if address is None else "no access to queues"
            raise HostError(
                f'app "{self.spec.name}", function "{name}": the app setting {connection}__queueServiceUri must hold '
                f"the queue service's address, got {got}; declare the queue with the trigger"
            )
        queue = self._resolve(name, trigger["queueName"])
        client_id = self.spec.settings.get(f"{connection}__clientId")

        async def invoke(body: str, metadata: dict[str, Any]) -> InvocationResult:
            call = Call(function=name, cause="queue", data=body, data_type="string", metadata=metadata)
            return await self._invocations.run(call, lambda: [slot])

        return QueueListener(
            self._queue_access.client(address, queue, client_id),
            self._queue_access.client(address, f"{queue}-poison", client_id),
            options,
            invoke=invoke,
            ready=slot.ready,
            on_event=self._invocations.say,
        )

    def _resolve(self, name: str, text: str) -> str:
        """`%NAME%` is the app setting NAME."""

        def value(match: re.Match[str]) -> str:
            found = self.spec.settings.get(match[1])
            if found is None:
                raise HostError(
                    f'app "{self.spec.name}", function "{name}": the app setting {match[1]} must exist for its trigger '
                    f'"{text}", got nothing of that name; add it to the settings'
                )
            return found

        return _SETTING.sub(value, text)

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
        metadata = {"Id": str(uuid.uuid4()), "DequeueCount": 1, "PopReceipt": ""}
        call = Call(function=function, cause="admin", data=data, data_type="string", metadata=metadata)
        return await self._invocations.run(call, lambda: self._slots)

    @property
    def in_flight(self) -> int:
        """Invocations that run, and messages taken but not settled."""
        listeners = [listener for listeners in self._listeners.values() for listener in listeners]
        return max(self._invocations.running, sum(listener.in_hand for listener in listeners))

    def results(self, function: str) -> list[InvocationResult]:
        """The last results of a function, oldest first."""
        return self._invocations.results.recent(function)

    def status(self) -> AppStatus:
        """How the app is now."""
        return AppStatus(
            name=self.spec.name,
            system=self.spec.system,
            instances=[slot.status() for slot in self._slots],
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
        )

    async def _drop_slot(self, slot: Slot | None = None) -> None:
        """Ends one slot (the last by default) with its listeners; work in hand has the app's grace."""
        slot = slot or self._slots[-1]
        await _cancel(self._tasks.pop(slot, []))
        listeners = self._listeners.get(slot, [])
        stops = [asyncio.ensure_future(listener.stop(self.spec.grace_s + _SETTLE_S)) for listener in listeners]
        await slot.stop(self.spec.grace_s)
        await asyncio.gather(*stops)
        self._listeners.pop(slot, None)
        self._slots.remove(slot)

    async def kill(self) -> None:
        """SIGKILL for every instance, in the middle of whatever it does; others take their places."""
        await asyncio.gather(*(slot.kill() for slot in self._slots))

    async def stop(self) -> None:
        """No new work; what is in hand has the grace time; then every process is gone."""
        self._invocations.closing.set()
        await _cancel(self._tasks.pop(None, []))
        await asyncio.gather(*(self._drop_slot(slot) for slot in list(self._slots)))
        await asyncio.gather(*self._ticks)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _trigger(function: dict[str, Any]) -> dict[str, Any]:
    """The trigger among a function's bindings."""
    found = [binding for binding in function["bindings"] if str(binding.get("type", "")).endswith("Trigger")]
    if len(found) != 1:
        raise HostError(f'function "{function["name"]}": it must have exactly one trigger, got {len(found)}')
    trigger: dict[str, Any] = found[0]
    return trigger
