"""An app's triggers by messages, of whatever kind: what listens for each instance, and what wakes the app while it has
none. A kind of queue is one class with `add`, `listen`, `looks` and `call`; see `queue_triggers.py`, `bus_triggers.py`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

from localcloud.host.invocations import Call, Invocations
from localcloud.host.pool import Pool
from localcloud.host.slots import Slot
from localcloud.host.spec import AppSpec, HostError

_SETTING = re.compile(r"%([^%]+)%")
_AGAIN_S = (1.0, 60.0)
"""First and longest wait before an app that cannot start is tried again."""


class Listener(Protocol):
    """Takes messages of one trigger for one instance."""

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""

    @property
    def backlog(self) -> bool:
        """Whether there is more than the instance takes."""

    async def loop(self) -> None:
        """Until cancelled."""

    async def stop(self, grace_s: float) -> None:
        """Waits for what is in hand; `loop` must have been cancelled."""


class Look(Protocol):
    """Says of one trigger whether a message waits, while the app sleeps. It takes nothing."""

    async def waiting(self) -> bool:
        """True as soon as there is one; False from time to time, so that the caller may look around."""


class Kind(Protocol):
    """All triggers of one kind of one app."""

    def add(self, function: str, trigger: dict[str, Any]) -> None:
        """A function's trigger. Raises HostError when its connection is not there."""

    def listen(self, slot: Slot, until: ExitStack) -> list[Listener]:
        """What takes messages for an instance; `until` is closed when they have stopped."""

    def looks(self, until: ExitStack) -> list[Look]:
        """One a trigger."""

    def call(self, function: str, data: str) -> Call:
        """As if a message with this body had come, for who tries a function by hand."""


class MessageTriggers:
    """All of one app."""

    def __init__(self, make: Mapping[str, Callable[[], Kind]], invocations: Invocations) -> None:
        """`make`: kinds by the type of binding (`queueTrigger`), each made when a function wants it."""
        self._make, self._invocations = make, invocations
        self._kinds: dict[str, Kind] = {}
        self._functions: dict[str, Kind] = {}

    def add(self, spec: AppSpec, function: str, trigger: dict[str, Any]) -> None:
        """Raises HostError for a kind that nobody listens to, and what the kind refuses."""
        wanted = trigger["type"]
        if wanted not in self._make:
            raise HostError(
                f'app "{spec.name}", function "{function}": its trigger must be a timer or one of '
                f"{', '.join(sorted(self._make))}, got {wanted}; add a listener for it to localcloud/host"
            )
        if wanted not in self._kinds:
            self._kinds[wanted] = self._make[wanted]()
        kind = self._kinds[wanted]
        kind.add(function, trigger)
        self._functions[function] = kind

    def listen(self, slot: Slot) -> SlotListening:
        """Begins to take messages for an instance."""
        found = SlotListening()
        for kind in self._kinds.values():
            for listener in kind.listen(slot, found.until):
                found.add(listener)
        return found

    def call(self, function: str, data: str) -> Call:
        """As if a message with this body had come."""
        return self._functions[function].call(function, data)

    def watches(self, pool: Pool, until: ExitStack) -> list[Coroutine[Any, Any, None]]:
        """What runs, until cancelled, to wake the app when a message is there."""
        return [self._watch(look, pool) for kind in self._kinds.values() for look in kind.looks(until)]

    async def _watch(self, look: Look, pool: Pool) -> None:
        again_s = _AGAIN_S[0]
        while True:
            await pool.asleep.wait()
            if not await look.waiting():
                continue
            try:
                await pool.awake()
                again_s = _AGAIN_S[0]
            except HostError as error:
                self._invocations.say(str(error), level="error")
                await asyncio.sleep(again_s)
                again_s = min(again_s * 2, _AGAIN_S[1])


class SlotListening:
    """The listeners of one instance."""

    def __init__(self) -> None:
        self.until = ExitStack()
        self._listeners: list[Listener] = []
        self._loops: list[asyncio.Task[None]] = []

    def add(self, listener: Listener) -> None:
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
        self.until.close()


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
