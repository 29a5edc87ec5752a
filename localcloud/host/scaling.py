"""Adds instances of an app by the backlog of its queues, one at a time, and lets an idle app sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from localcloud.host.pool import Pool
from localcloud.host.spec import AppSpec, HostError

_LOOK_S = 1.0


class Scaling:
    """Between `instances` and `max_instances` of the spec."""

    def __init__(self, spec: AppSpec, pool: Pool, idle_s: Callable[[], float]) -> None:
        """`idle_s`: seconds since an invocation was under way."""
        self._spec, self._pool, self._idle_s = spec, pool, idle_s

    async def loop(self) -> None:
        """Runs until cancelled."""
        while True:
            await asyncio.sleep(min(_LOOK_S, self._spec.idle_s))
            if self._pool.backlog and len(self._pool.slots) < self._spec.max_instances:
                try:
                    await self._pool.add()
                except HostError:
                    continue  # the slots that run have said why already; the next look tries again
            elif (
                len(self._pool.slots) > self._spec.instances
                and not self._pool.in_hand
                and min(self._idle_s(), self._pool.age_s) >= self._spec.idle_s
            ):
                await self._pool.shrink(self._spec.instances, lambda: self._idle_s() > 0)
