"""Adds and drops instances of an app by the backlog of its queues, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from localcloud.host.queues import QueueListener
from localcloud.host.spec import AppSpec, HostError

_LOOK_S = 1.0
_IDLE_LOOKS = 20  # quiet looks before an instance goes


class Scaling:
    """Between `instances` and `max_instances` of the spec."""

    def __init__(
        self,
        spec: AppSpec,
        listeners: Callable[[], list[list[QueueListener]]],
        add: Callable[[], Awaitable[object]],
        drop: Callable[[], Awaitable[None]],
    ) -> None:
        """`listeners` gives those of each instance; `add` and `drop` change their number by one."""
        self._spec = spec
        self._listeners = listeners
        self._add = add
        self._drop = drop

    async def loop(self) -> None:
        """Runs until cancelled."""
        idle = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            slots = self._listeners()
            busy = bool(slots) and all(any(one.backlog for one in listeners) for listeners in slots)
            quiet = not any(one.backlog or one.in_hand for listeners in slots for one in listeners)
            idle = idle + 1 if quiet else 0
            if busy and len(slots) < self._spec.max_instances:
                try:
                    await self._add()
                except HostError:
                    continue  # the slots that run have said why already; the next look tries again
            elif idle > _IDLE_LOOKS and len(slots) > self._spec.instances:
                idle = 0
                await self._drop()
