"""Receives from Service Bus as the platform does: so many at once, locks kept, each message settled by its outcome.

Containers run on it (`receiver.py`), and so does the Functions host of the local cloud: what differs is the work alone.
How messages are locked, counted and settled:
https://learn.microsoft.com/azure/service-bus-messaging/message-transfers-locks-settlement
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver

from core.clients.service_bus import fault
from core.runtime.bus_hand import Group, Hand, Work
from core.runtime.bus_turn import end
from core.runtime.manifest import BusOptions, BusQueue, BusTrigger

LOOK_S = 30.0
"""One request for messages waits so long at most. Short enough that a link which died without a word is noticed."""
DRAIN_S = 0.2
"""The same while messages come in numbers: those that came before a request was broken off are not kept waiting."""
AGAIN_S = (0.5, 30.0)
"""First and longest wait before a namespace that cannot be reached is asked again; doubled each time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where messages come from, what is done with them, and how."""

    trigger: BusTrigger
    options: BusOptions
    connect: Callable[[], ServiceBusClient]
    work: Work
    say: Callable[[str], None]
    """Hears in a sentence what keeps messages from coming or from being settled."""
    ready: asyncio.Event
    """Set while work can be taken."""

    @property
    def name(self) -> str:
        """For people."""
        one = self.trigger
        return f"queue {one.queue}" if isinstance(one, BusQueue) else f"subscription {one.topic}/{one.subscription}"

    def receiver(self, client: ServiceBusClient, **options: Any) -> ServiceBusReceiver:
        """One that is not open yet."""
        return receiver(client, self.trigger, **options)


def receiver(client: ServiceBusClient, trigger: BusTrigger, **options: Any) -> ServiceBusReceiver:
    """Of what a trigger names."""
    if isinstance(trigger, BusQueue):
        return client.get_queue_receiver(trigger.queue, **options)
    return client.get_subscription_receiver(trigger.topic, trigger.subscription, **options)


class Receiving(Protocol):
    """`Messages` or `Sessions`."""

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""

    @property
    def backlog(self) -> bool:
        """Whether there was more than can be worked on at once."""

    async def loop(self) -> None:
        """Takes messages until cancelled."""

    async def stop(self, grace_s: float) -> None:
        """What is in hand has `grace_s`, then it is given back. `loop` must have been cancelled."""


class Again:
    """Growing waits while a namespace cannot be reached; says why, once for each reason."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._wait_s, self._said = AGAIN_S[0], ""

    def well(self) -> None:
        """It was reached."""
        if self._said:
            self._source.say(f"{self._source.name}: messages can be received again")
        self._wait_s, self._said = AGAIN_S[0], ""

    async def wait(self, error: Exception) -> None:
        """It was not."""
        text = f"{fault(error, self._source.name)}"
        if text != self._said:
            self._source.say(f"{text}; tried again until it works")
        self._said = text
        await asyncio.sleep(self._wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads tries, guards nothing
        self._wait_s = min(self._wait_s * 2, AGAIN_S[1])


class Messages:
    """Of an entity without sessions: `max_concurrent_calls` at once; batches one after another."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._batch = source.trigger.batch
        self._calls = asyncio.Semaphore(1 if self._batch else source.options.max_concurrent_calls)
        self._room = asyncio.Event()
        self._client = source.connect()
        self._receiver = source.receiver(self._client)
        self._hand = Hand(self._receiver, source.name, source.options.max_auto_lock_renewal_s, source.say)
        self._groups: dict[asyncio.Task[None], Group] = {}
        self._many = False
        self.backlog = False

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""
        return sum(len(group) for group in self._groups.values())

    async def loop(self) -> None:
        """Takes messages until cancelled. What a cancelled request brings, the SDK gives back uncounted."""
        again = Again(self._source)
        async with keeping(self._hand.keep_locks()):
            while True:
                await self._source.ready.wait()
                room = self._free()
                if not room:
                    self._room.clear()
                    await self._room.wait()
                    continue
                try:
                    await self._take(room)
                except Exception as error:  # noqa: BLE001 - whatever it was, messages are still there and so are we
                    self._many = False  # a link takes longer to open than messages in numbers are waited for
                    await again.wait(error)
                else:
                    again.well()

    async def _take(self, room: int) -> None:
        """One request, and the beginning of what it brought. It is for one message as long as there are few: the SDK
        answers at once then, and waits for more where more was asked for.
        """
        most = room if self._batch or self._many else 1
        found = await self._hand.turn.receive(most, DRAIN_S if most > 1 and not self._batch else LOOK_S)
        if found is None:
            return
        for group in [found] if self._batch and found else [[one] for one in found]:
            self._begin(group)
        self._many = len(found) == most
        self.backlog = self._many and len(found) == room

    def _free(self) -> int:
        """How many messages there is room for."""
        options = self._source.options
        if self._batch:
            return 0 if self._groups else options.max_message_batch_size
        return max(0, options.max_concurrent_calls + options.prefetch_count - len(self._groups))

    def _begin(self, group: Group) -> None:
        self._hand.take(group)
        task = asyncio.get_running_loop().create_task(self._work(group))
        self._groups[task] = group
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._groups.pop(task, None)
        self._room.set()

    async def _work(self, group: Group) -> None:
        async with self._calls:  # what was fetched ahead waits here, its lock kept
            await self._hand.work(group, self._source.work)

    async def stop(self, grace_s: float) -> None:
        """What is in hand has `grace_s`, then it is given back."""
        async with keeping(self._hand.keep_locks()):
            await self._hand.finish(self._groups, grace_s)
        await close(self._receiver, self._client)


@asynccontextmanager
async def keeping(work: Any) -> AsyncIterator[None]:
    """Does it beside the block."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def opened(receiver: ServiceBusReceiver) -> None:
    """Opens its link. Raises what the SDK does."""
    opening = asyncio.get_running_loop().create_task(receiver.__aenter__())
    try:
        await asyncio.wait([opening])
    finally:
        await end(opening)
    opening.result()


async def close(*opened: Any) -> None:
    """Says goodbye to the broker, if it still listens."""
    for one in opened:
        with suppress(Exception):  # there is nothing left to do for it
            await one.close()
