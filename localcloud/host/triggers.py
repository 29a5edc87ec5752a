"""An app's queue triggers: what listens for each instance, and what wakes the app while it has none."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

from localcloud.host.invocations import Call, Invocations
from localcloud.host.poison_notes import PoisonNotes
from localcloud.host.pool import Pool
from localcloud.host.queue_access import QueueAccess
from localcloud.host.queue_client import QueueClient, QueueError
from localcloud.host.queues import POLL_S, PoisonPlace, QueueListener, QueueOptions, listen_for
from localcloud.host.slots import Slot
from localcloud.host.spec import AppSpec, HostError, InvocationResult

_SETTING = re.compile(r"%([^%]+)%")
_AGAIN_S = (1.0, 60.0)
"""First and longest wait before an app that cannot start is tried again."""


def resolve(spec: AppSpec, function: str, text: str) -> str:
    """`%NAME%` is the app setting NAME. Raises HostError."""

    def value(match: re.Match[str]) -> str:
        found = spec.settings.get(match[1])
        if found is None:
            raise HostError(
                f'app "{spec.name}", function "{function}": the app setting {match[1]} must exist for its trigger '
                f'"{text}", got nothing of that name; add it to the settings'
            )
        return found

    return _SETTING.sub(value, text)


@dataclass(frozen=True, slots=True)
class _Trigger:
    function: str
    queue: QueueClient
    poison: PoisonPlace
    ear: Callable[[], AbstractContextManager[asyncio.Event]]


class QueueTriggers:
    """All of one app."""

    def __init__(
        self, spec: AppSpec, access: QueueAccess | None, invocations: Invocations, host: dict[str, Any]
    ) -> None:
        """`host`: its host.json. Raises HostError for what the platform refuses."""
        self._spec, self._access, self._invocations = spec, access, invocations
        self._options = QueueOptions.of(host)
        self._notes = PoisonNotes(spec.folder)
        self._triggers: list[_Trigger] = []

    def add(self, function: str, trigger: dict[str, Any]) -> None:
        """A function's trigger. Raises HostError when its connection is not there."""
        connection = trigger["connection"]
        address = self._spec.settings.get(f"{connection}__queueServiceUri")
        if address is None or self._access is None:
            got = "no setting of that name" if address is None else "no access to queues"
            raise HostError(
                f'app "{self._spec.name}", function "{function}": the app setting {connection}__queueServiceUri must '
                f"hold the queue service's address, got {got}; declare the queue with the trigger"
            )
        access, queue = self._access, resolve(self._spec, function, trigger["queueName"])
        client_id = self._spec.settings.get(f"{connection}__clientId")
        poison = PoisonPlace(access.queue(address, f"{queue}-poison", client_id), self._notes, function)
        taken = access.queue(address, queue, client_id)
        self._triggers.append(_Trigger(function, taken, poison, lambda: access.ear(address, queue)))

    def listen(self, slot: Slot) -> SlotListening:
        """Begins to take messages for an instance."""
        found = SlotListening()
        for trigger in self._triggers:
            listener = QueueListener(
                trigger.queue, trigger.poison, self._options, invoke=self._invoke(trigger.function, slot),
                ready=slot.ready, rung=found.ears.enter_context(trigger.ear()), on_event=self._invocations.say,
            )  # fmt: skip
            found.add(listener)
        return found

    def _invoke(self, function: str, slot: Slot) -> Callable[[str, dict[str, Any]], Awaitable[InvocationResult]]:
        async def invoke(body: str, metadata: dict[str, Any]) -> InvocationResult:
            call = Call(function=function, cause="queue", data=body, data_type="string", metadata=metadata)
            return await self._invocations.run(call, lambda: [slot])

        return invoke

    def watches(self, pool: Pool) -> list[Coroutine[Any, Any, None]]:
        """What runs, until cancelled, to wake the app when a message is there."""
        return [self._watch(trigger, pool) for trigger in self._triggers]

    async def _watch(self, trigger: _Trigger, pool: Pool) -> None:
        poll_s, again_s, said = POLL_S, _AGAIN_S[0], ""
        with trigger.ear() as rung:
            while True:
                await pool.asleep.wait()
                rung.clear()
                try:
                    if await trigger.queue.waiting():
                        await pool.awake()
                        poll_s, again_s = POLL_S, _AGAIN_S[0]
                        continue
                    said = ""
                except QueueError as error:
                    if str(error) != said:
                        self._invocations.say(f"queue {trigger.queue.name}: cannot be read ({error})")
                    said = str(error)
                except HostError as error:
                    self._invocations.say(str(error), level="error")
                    await asyncio.sleep(again_s)
                    again_s = min(again_s * 2, _AGAIN_S[1])
                poll_s = await listen_for(rung, poll_s, self._options.max_polling_interval_s)


class SlotListening:
    """The listeners of one instance."""

    def __init__(self) -> None:
        self.ears = ExitStack()
        self._listeners: list[QueueListener] = []
        self._loops: list[asyncio.Task[None]] = []

    def add(self, listener: QueueListener) -> None:
        """Begins."""
        self._listeners.append(listener)
        self._loops.append(asyncio.get_running_loop().create_task(listener.loop()))

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""
        return sum(one.in_hand for one in self._listeners)

    @property
    def backlog(self) -> bool:
        """Whether a queue has more than this instance takes."""
        return any(one.backlog for one in self._listeners)

    async def stop(self, grace_s: float) -> None:
        """Takes nothing more; what is in hand has `grace_s`."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await asyncio.gather(*(listener.stop(grace_s) for listener in self._listeners))
        self.ears.close()
