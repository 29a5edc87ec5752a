"""An app's triggers by Service Bus, with the platform's semantics: so many calls or sessions an instance, locks kept,
completed when the function returns, abandoned when it fails; after its last try the broker gives a message up itself.

Sources: host.json settings of the Service Bus extension 5.x, and its ServiceBusListener. A batch is not renewed (our
reading of "applies for functions that receive a single message at a time"), and batches come one after another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import msgspec
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessageState
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import OperationTimeoutError, SessionCannotBeLockedError

from core.clients.service_bus import fault
from core.runtime.bus_hand import Group, Settle, Verdict, Work
from core.runtime.bus_receiving import Messages, Source, close, opened, receiver
from core.runtime.bus_sessions import Sessions
from core.runtime.manifest import BusOptions, BusQueue, BusSubscription, BusTrigger
from localcloud.host import bus_metadata
from localcloud.host.bus_access import BusAccess
from localcloud.host.invocations import Call, Invocations
from localcloud.host.queues import seconds
from localcloud.host.slots import Slot
from localcloud.host.spec import AppSpec, HostError
from localcloud.host.triggers import Listener, Look, resolve

PEEK_S = (0.1, 2.0)
"""First and longest wait between two peeks while the app sleeps; doubled each time."""
_PEEKED = 32  # messages of a peek: scheduled ones may stand before one that can be taken
_ACCEPT_S = 10.0


def options_of(host: dict[str, Any]) -> BusOptions:
    """`extensions.serviceBus` of host.json, with the platform's defaults. Raises HostError for what it refuses."""
    found = host.get("extensions", {}).get("serviceBus", {})
    usual = BusOptions()
    numbers = {
        "maxConcurrentCalls": 1, "maxConcurrentSessions": 1, "maxMessageBatchSize": 1, "prefetchCount": 0,
    }  # fmt: skip
    for name, least in numbers.items():
        got = found.get(name, least)
        if not isinstance(got, int) or got < least:
            raise HostError(f"host.json: extensions.serviceBus.{name} must be {least} or more, got {got!r}; correct it")
    if found.get("autoCompleteMessages", True) is not True:
        raise HostError(
            "host.json: extensions.serviceBus.autoCompleteMessages must be true, got false; Python cannot settle"
        )
    renewal, idle = found.get("maxAutoLockRenewalDuration"), found.get("sessionIdleTimeout")
    return BusOptions(
        max_concurrent_calls=found.get("maxConcurrentCalls", usual.max_concurrent_calls),
        max_concurrent_sessions=found.get("maxConcurrentSessions", usual.max_concurrent_sessions),
        max_message_batch_size=found.get("maxMessageBatchSize", usual.max_message_batch_size),
        prefetch_count=found.get("prefetchCount", usual.prefetch_count),
        max_auto_lock_renewal_s=usual.max_auto_lock_renewal_s if renewal is None else seconds(renewal),
        session_idle_timeout_s=usual.session_idle_timeout_s if idle is None else seconds(idle),
    )


@dataclass(frozen=True, slots=True)
class _Trigger:
    function: str
    source: BusTrigger
    binary: bool
    connect: Callable[[], ServiceBusClient]


class BusTriggers:
    """All of one app."""

    def __init__(self, spec: AppSpec, access: BusAccess | None, invocations: Invocations, host: dict[str, Any]) -> None:
        """`host`: its host.json. Raises HostError for what the platform refuses."""
        self._spec, self._access, self._invocations = spec, access, invocations
        self._options = options_of(host)
        self._triggers: dict[str, _Trigger] = {}

    def add(self, function: str, trigger: dict[str, Any]) -> None:
        """A function's trigger. Raises HostError when its connection is not there."""
        connection = trigger["connection"]
        namespace = self._spec.settings.get(f"{connection}__fullyQualifiedNamespace")
        access = self._access
        if namespace is None or access is None:
            got = "no setting of that name" if namespace is None else "no access to Service Bus"
            raise HostError(
                f'app "{self._spec.name}", function "{function}": {connection}__fullyQualifiedNamespace must hold the '
                f"namespace's host, got {got}; declare the entity with the trigger"
            )
        client_id = self._spec.settings.get(f"{connection}__clientId")
        self._triggers[function] = _Trigger(
            function,
            self._source(function, trigger),
            str(trigger.get("dataType", "")).lower() == "binary",
            lambda: access.client(namespace, client_id),
        )

    def _source(self, function: str, trigger: dict[str, Any]) -> BusTrigger:
        common: dict[str, Any] = {
            "connection": trigger["connection"],
            "sessions": bool(trigger.get("isSessionsEnabled", False)),
            "batch": str(trigger.get("cardinality", "one")).lower() == "many",
        }
        if "queueName" in trigger:
            return BusQueue(queue=resolve(self._spec, function, trigger["queueName"]), **common)
        topic, name = (resolve(self._spec, function, trigger[key]) for key in ("topicName", "subscriptionName"))
        return BusSubscription(topic=topic, subscription=name, **common)

    def listen(self, slot: Slot, until: ExitStack) -> list[Listener]:  # noqa: ARG002 - nothing to be closed
        """One listener a trigger."""
        return [self._listener(trigger, slot) for trigger in self._triggers.values()]

    def _listener(self, trigger: _Trigger, slot: Slot) -> Listener:
        options = self._options
        if trigger.source.batch and not trigger.source.sessions:
            options = msgspec.structs.replace(options, max_auto_lock_renewal_s=0)
        source = Source(
            trigger=trigger.source, options=options, connect=trigger.connect, work=self._work(trigger, slot),
            say=self._invocations.say, ready=slot.ready,
        )  # fmt: skip
        return Sessions(source) if trigger.source.sessions else Messages(source)

    def _work(self, trigger: _Trigger, slot: Slot) -> Work:
        async def work(group: Group) -> list[Verdict]:
            if trigger.source.batch:
                (data, kind), metadata = bus_metadata.batch(group, binary=trigger.binary)
            else:
                (data, kind), metadata = bus_metadata.single(group[0], binary=trigger.binary)
            call = Call(function=trigger.function, cause="bus", data=data, data_type=kind, metadata=metadata)
            result = await self._invocations.run(call, lambda: [slot])
            return [Settle.COMPLETE if result.ok else Settle.ABANDON] * len(group)

        return work

    def looks(self, until: ExitStack) -> list[Look]:  # noqa: ARG002 - a look closes what it opens
        """One a trigger."""
        return [_BusLook(one.source, one.connect, self._invocations.say) for one in self._triggers.values()]

    def call(self, function: str, data: str) -> Call:
        """As if a message with this body had come."""
        trigger, metadata = self._triggers[function], bus_metadata.by_hand()
        body, kind = bus_metadata.body_of(data.encode(), binary=trigger.binary)
        if trigger.source.batch:
            metadata = {f"{name}Array": [value] for name, value in metadata.items()}
            return Call(
                function=function, cause="admin", data=[body], data_type=f"collection_{kind}", metadata=metadata
            )
        return Call(function=function, cause="admin", data=body, data_type=kind, metadata=metadata)


class _BusLook:
    """Peeks, or waits for a session that is free: neither takes a message, nor counts as a delivery of one."""

    def __init__(self, source: BusTrigger, connect: Callable[[], ServiceBusClient], say: Callable[[str], None]) -> None:
        self._source, self._connect, self._say = source, connect, say
        self._opened: tuple[ServiceBusReceiver, ServiceBusClient] | None = None
        self._wait_s, self._said = PEEK_S[0], ""

    async def waiting(self) -> bool:
        """False after one peek and the wait for the next, or when no session came for a while."""
        try:
            found = await (self._session() if self._source.sessions else self._peek())
            self._said = ""
        except Exception as error:  # noqa: BLE001 - whatever it was, messages may be there: it is asked again
            await self._close()
            text = str(fault(error, f"Service Bus, {self._source.connection}"))
            if text != self._said:
                self._say(text)
            self._said, found = text, False
            await self._pause()
        except asyncio.CancelledError:
            await self._close()
            raise
        return found

    async def _peek(self) -> bool:
        if self._opened is None:
            client = self._connect()
            self._opened = receiver(client, self._source), client
        seen = await self._opened[0].peek_messages(max_message_count=_PEEKED)
        if any(one.state == ServiceBusMessageState.ACTIVE for one in seen):
            self._wait_s = PEEK_S[0]
            await self._close()
            return True
        await self._pause()
        return False

    async def _session(self) -> bool:
        client = self._connect()
        waiting = receiver(client, self._source, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=_ACCEPT_S)
        self._opened = waiting, client
        try:
            await opened(waiting)
        except (OperationTimeoutError, SessionCannotBeLockedError):
            return False
        else:
            self._wait_s = PEEK_S[0]
            return True
        finally:
            await self._close()

    async def _pause(self) -> None:
        await asyncio.sleep(self._wait_s)
        self._wait_s = min(self._wait_s * 2, PEEK_S[1])

    async def _close(self) -> None:
        if self._opened is not None:
            mine, self._opened = self._opened, None
            await close(*mine)
