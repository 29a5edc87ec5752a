"""An app's triggers by storage queues."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

from localcloud.host.invocations import Call, Invocations
from localcloud.host.poison_notes import PoisonNotes
from localcloud.host.queue_access import QueueAccess
from localcloud.host.queue_client import QueueClient, QueueError
from localcloud.host.queues import POLL_S, PoisonPlace, QueueListener, QueueOptions, listen_for
from localcloud.host.slots import Slot
from localcloud.host.spec import AppSpec, HostError, InvocationResult
from localcloud.host.triggers import Listener, Look, resolve


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

    def listen(self, slot: Slot, until: ExitStack) -> list[Listener]:
        """One listener a trigger."""
        return [
            QueueListener(
                trigger.queue, trigger.poison, self._options, invoke=self._invoke(trigger.function, slot),
                ready=slot.ready, rung=until.enter_context(trigger.ear()), on_event=self._invocations.say,
            )
            for trigger in self._triggers
        ]  # fmt: skip

    def _invoke(self, function: str, slot: Slot) -> Callable[[str, dict[str, Any]], Awaitable[InvocationResult]]:
        async def invoke(body: str, metadata: dict[str, Any]) -> InvocationResult:
            call = Call(function=function, cause="queue", data=body, data_type="string", metadata=metadata)
            return await self._invocations.run(call, lambda: [slot])

        return invoke

    def looks(self, until: ExitStack) -> list[Look]:
        """One a trigger."""
        longest_s = self._options.max_polling_interval_s
        return [
            _QueueLook(one.queue, until.enter_context(one.ear()), longest_s, self._invocations.say)
            for one in self._triggers
        ]

    def call(self, function: str, data: str) -> Call:
        """As if a message with this body had come."""
        metadata = {"Id": str(uuid.uuid4()), "DequeueCount": 1, "PopReceipt": ""}
        return Call(function=function, cause="admin", data=data, data_type="string", metadata=metadata)


class _QueueLook:
    """Peeks, when the bell rings and now and then."""

    def __init__(self, queue: QueueClient, rung: asyncio.Event, longest_s: float, say: Callable[[str], None]) -> None:
        self._queue, self._rung, self._longest_s, self._say = queue, rung, longest_s, say
        self._poll_s, self._said = POLL_S, ""

    async def waiting(self) -> bool:
        """False after one look and the wait for the next."""
        self._rung.clear()
        try:
            if await self._queue.waiting():
                self._poll_s = POLL_S
                return True
            self._said = ""
        except QueueError as error:
            if str(error) != self._said:
                self._say(f"queue {self._queue.name}: cannot be read ({error})")
            self._said = str(error)
        self._poll_s = await listen_for(self._rung, self._poll_s, self._longest_s)
        return False
