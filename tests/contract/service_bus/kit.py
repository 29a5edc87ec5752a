"""One way to write a case for both of the SDK's faces: the sync client's methods made awaitable, the aio client as it
is.

What a case opens is closed behind its back: the SDK takes half a second to open or close a link, and no case should
wait for the latter. All is closed by the end of the run.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from inspect import Parameter, Signature
from typing import Any, Self

import pytest
from azure.servicebus import ServiceBusClient
from azure.servicebus import __version__ as SDK  # noqa: N812 - a constant
from azure.servicebus.aio import ServiceBusClient as AioClient

from tests.contract.service_bus.bus import PATIENCE_S, Bus
from tests.loop_thread import LoopThread

_CLIENT = {"retry_total": 0, "logging_enable": False}


class Blocking:
    """An object of the sync SDK whose methods are awaited: each runs in a thread."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name == "session":
            return Blocking(found)
        if not callable(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            return await asyncio.to_thread(found, *arguments, **named)

        return call

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.real.__enter__)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.real.close)

    async def __aiter__(self) -> AsyncIterator[Any]:
        source = iter(self.real)
        while (found := await asyncio.to_thread(next, source, None)) is not None:
            yield found


class Loop(LoopThread):
    """The event loop that all cases of one process share."""

    def __init__(self) -> None:
        super().__init__("clients")
        self.loop.call_soon_threadsafe(self.loop.set_default_executor, ThreadPoolExecutor(64))
        self.leaving: list[Future[Any]] = []

    def behind(self, work: Any) -> None:
        """Do not wait for it now."""
        self.leaving.append(asyncio.run_coroutine_threadsafe(work, self.loop))

    def close(self) -> None:
        """Wait for all of it."""
        for future in self.leaving:
            future.result(PATIENCE_S)
        super().close()


class Kit:
    """What a case works with."""

    def __init__(self, bus: Bus, loop: Loop, flavour: str) -> None:
        self.bus = bus
        self.flavour = flavour
        self._loop = loop
        self._opened: list[Any] = []

    def client(self, connection_string: str | None = None, **options: Any) -> Any:
        """A client of its own."""
        make = AioClient if self.flavour == "aio" else ServiceBusClient
        text = connection_string or self.bus.connection_string()
        return make.from_connection_string(text, **{**_CLIENT, **options})

    async def open(self, handler: Any) -> Any:
        """A sender or receiver of either face, opened."""
        ours = handler if self.flavour == "aio" else Blocking(handler)
        await ours.__aenter__()
        self._opened.append(ours)
        return ours

    async def refused(self, *handlers: Any) -> list[BaseException]:
        """What comes instead of opening each; all are tried at once."""
        found = await asyncio.gather(*map(self.open, handlers), return_exceptions=True)
        assert all(isinstance(one, BaseException) for one in found), found
        return found

    async def sender(self, entity: str, **options: Any) -> Any:
        """An open sender to a queue or topic."""
        client = self.client()
        make = client.get_topic_sender if entity.startswith("topic") else client.get_queue_sender
        return await self.open(make(entity, **options))

    async def receiver(self, path: str, **options: Any) -> Any:
        """An open receiver from a queue, or a subscription by its path."""
        topic, _, subscription = path.partition("/Subscriptions/")
        if subscription:
            return await self.open(self.client().get_subscription_receiver(topic, subscription, **options))
        return await self.open(self.client().get_queue_receiver(path, **options))

    async def pair(self, entity: str, path: str | None = None, **options: Any) -> tuple[Any, Any]:
        """A sender and a receiver, opened at once."""
        sender, receiver = await asyncio.gather(self.sender(entity), self.receiver(path or entity, **options))
        return sender, receiver

    def leave(self) -> None:
        """Close what was opened, behind the next case's back."""
        for handler in self._opened:
            self._loop.behind(handler.close())


Case = Callable[[Kit], Awaitable[None]]


def since(version: str, why: str) -> pytest.MarkDecorator:
    """For a case that an older SDK cannot pass, whatever it talks to (see `with_sdk`)."""
    older = [int(part) for part in SDK.split(".")[:2]] < [int(part) for part in version.split(".")]
    return pytest.mark.skipif(older, reason=f"azure-servicebus {SDK}: since {version} {why}")


AWAITED = since("7.15", "a settlement is awaited; before, whether it was refused is not known")


FLAVOURS = ("sync", "aio")


def both(case: Case) -> Callable[..., None]:
    """Run a case with the sync and with the aio SDK: at the same time, each with a namespace and a clock of its own."""

    @functools.wraps(case)
    def run(buses: dict[str, Bus], clients: Loop) -> None:
        kits = [Kit(buses[flavour], clients, flavour) for flavour in FLAVOURS]
        try:
            clients.run(_run(case, kits))
        finally:
            for kit in kits:
                kit.leave()

    names = ("buses", "clients")
    run.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])  # type: ignore[attr-defined]
    return run


async def _run(case: Case, kits: list[Kit]) -> None:
    for kit, fault in zip(kits, await asyncio.gather(*map(case, kits), return_exceptions=True), strict=True):
        if fault is not None:
            fault.add_note(f"with the {kit.flavour} SDK")
            raise fault


async def first(receiver: Any, count: int = 1, patience_s: float = 10.0) -> list[Any]:
    """Exactly so many messages (a receiver that asked for more than there are takes long to close)."""
    found: list[Any] = []
    while len(found) < count:
        more = await receiver.receive_messages(max_message_count=count - len(found), max_wait_time=patience_s)
        assert more, f"{count} messages were expected, {len(found)} came"
        found += more
    return found


def text(message: Any) -> str:
    """A message's body."""
    return b"".join(message.body).decode()
