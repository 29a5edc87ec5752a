"""The instances of one app: none while it sleeps, several while there is much to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from localcloud.host.instance import Instance
from localcloud.host.slots import Slot
from localcloud.host.spec import AppSpec, HostError

T = TypeVar("T")
_SETTLE_S = 5  # what a queue message needs to be given back after its process has been ended


class Listening(Protocol):
    """What takes work for one instance."""

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""

    @property
    def backlog(self) -> bool:
        """Whether there is more than the instance takes."""

    async def stop(self, grace_s: float) -> None:
        """Takes nothing more; work in hand has `grace_s`."""


class Pool:
    """Between `instances` and `max_instances` of the spec; changed by one hand at a time."""

    def __init__(self, spec: AppSpec, make: Callable[[], Slot]) -> None:
        self._spec, self._make = spec, make
        self._listen: Callable[[Slot], Listening] | None = None
        self._changing = asyncio.Lock()
        self._changes: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._opened = 0.0
        self.slots: list[Slot] = []
        self.listening: dict[Slot, Listening] = {}
        self.asleep = asyncio.Event()
        """Set while there is no instance."""
        self.asleep.set()
        self.problem = ""
        """Why the last instance could not start; empty once one could."""

    async def add(self) -> Instance | None:
        """One more, unless there are `max_instances`. Raises HostError when it does not start."""
        return await self._whole(self._add())

    async def _add(self) -> Instance | None:
        async with self._changing:
            return await self._open() if len(self.slots) < self._spec.max_instances else None

    async def awake(self) -> None:
        """Returns when there is an instance. Raises HostError when none can be started."""
        await self._whole(self._awake())

    async def _awake(self) -> None:
        async with self._changing:
            if not self.slots:
                await self._open()

    async def _whole(self, change: Coroutine[Any, Any, T]) -> T:
        """Does it to its end, whoever waits for it: half a change would leave a process that nobody knows."""
        task = asyncio.get_running_loop().create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changed)
        return await asyncio.shield(task)

    def _changed(self, task: asyncio.Task[Any]) -> None:
        self._changes.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits sees it; nobody needs to

    async def _open(self) -> Instance:
        if self._closed:
            raise HostError(f'app "{self._spec.name}": the host stops')
        slot = self._make()
        self.slots.append(slot)
        self.asleep.clear()
        try:
            instance = await slot.start()
        except BaseException as error:
            self.slots.remove(slot)
            if not self.slots:
                self.asleep.set()
            self.problem = str(error) if isinstance(error, HostError) else ""
            raise
        self.problem = ""
        self._opened = time.monotonic()
        if self._listen is not None:
            self.listening[slot] = self._listen(slot)
        return instance

    def listen(self, listen: Callable[[Slot], Listening]) -> None:
        """Begins to take work: `listen` is called for each instance, those that run already and those to come."""
        self._listen = listen
        for slot in self.slots:
            self.listening[slot] = listen(slot)

    async def shrink(self, to: int, quiet: Callable[[], bool]) -> None:
        """Ends instances that have nothing in hand until `to` are left; none while it is not `quiet`: an invocation may
        have chosen its instance a moment ago.
        """
        await self._whole(self._shrink(to, quiet))

    async def _shrink(self, to: int, quiet: Callable[[], bool]) -> None:
        async with self._changing:
            for slot in list(reversed(self.slots)):
                busy = not quiet() or (
                    self.listening[slot].in_hand
                    or not slot.ready.is_set()
                    or (slot.instance is not None and slot.instance.in_hand)
                )
                if len(self.slots) > to and not busy:
                    await self._close(slot, self.slots.remove)

    async def _close(self, slot: Slot, forget: Callable[[Slot], object]) -> None:
        """Its listeners stop, work in hand has the app's grace, its process ends. `forget` takes it off the list, so
        that nobody chooses it any more.
        """
        forget(slot)
        listening = self.listening.pop(slot, None)
        stopping = asyncio.ensure_future(listening.stop(self._spec.grace_s + _SETTLE_S)) if listening else None
        await slot.stop(self._spec.grace_s)
        if stopping:
            await stopping
        if not self.slots:
            self.asleep.set()

    async def close(self) -> None:
        """Ends all of them."""
        self._closed = True
        async with self._changing:
            await asyncio.gather(*(self._close(slot, self.slots.remove) for slot in list(self.slots)))

    @property
    def age_s(self) -> float:
        """Seconds since the newest instance began."""
        return time.monotonic() - self._opened

    @property
    def backlog(self) -> bool:
        """Whether every instance has more to do than it can take."""
        return bool(self.slots) and all(one.backlog for one in self.listening.values())

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""
        return sum(one.in_hand for one in self.listening.values())
