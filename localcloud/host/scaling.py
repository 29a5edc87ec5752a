"""Adds instances of an app by the backlog of its queues, one at a time, and lets an idle app sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from localcloud.host.pool import Pool
from localcloud.host.spec import AppSpec, HostError

_LOOK_S = 1.0


class Scaling:
    """Between `instances` and `max_instances` of the spec."""

    def __init__(self, spec: AppSpec, pool: Pool, running: Callable[[], int]) -> None:
        """`running`: invocations under way."""
        self._spec, self._pool, self._running = spec, pool, running

    async def loop(self) -> None:
        """Runs until cancelled."""
        loop = asyncio.get_running_loop()
        busy = loop.time()
        while True:
            await asyncio.sleep(min(_LOOK_S, self._spec.idle_s))
            if self._pool.backlog or self._pool.in_hand or self._running():
                busy = loop.time()
            if self._pool.backlog and len(self._pool.slots) < self._spec.max_instances:
                try:
                    await self._pool.add()
                except HostError:
                    continue  # the slots that run have said why already; the next look tries again
            elif loop.time() - busy >= self._spec.idle_s and len(self._pool.slots) > self._spec.instances:
                await self._pool.shrink(self._spec.instances)
