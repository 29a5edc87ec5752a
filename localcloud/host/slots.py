"""A place for one instance: starts it, and starts it again when it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from localcloud.host.instance import Instance
from localcloud.host.spec import AppSpec, HostError, InstanceStatus

_BACKOFF_S = (0.2, 30.0)  # first and longest wait before a restart; doubled each time
_SETTLED_S = 60  # an instance that lived this long was well: the next wait is the first again


class Slot:
    """Keeps one instance alive from `start` to `stop`."""

    def __init__(self, spec: AppSpec, on_text: Callable[[int, str], None], on_event: Callable[[str], None]) -> None:
        """`on_event` hears in a sentence why an instance ended or could not start."""
        self._spec = spec
        self._on_text = on_text
        self._on_event = on_event
        self._keeper: asyncio.Task[None] | None = None
        self._restarts = 0
        self._error: str | None = None
        self._killed = False
        self._enter("starting")
        self.instance: Instance | None = None
        self.ready = asyncio.Event()

    def _enter(self, state: str) -> None:
        self._state = state
        self._since = datetime.now(UTC)

    def status(self) -> InstanceStatus:
        """What is in the slot now."""
        pid = self.instance.pid if self.instance is not None and not self.instance.exited.is_set() else None
        return InstanceStatus(
            pid=pid or None, state=self._state, since=self._since, restarts=self._restarts, error=self._error
        )

    async def start(self) -> Instance:
        """The first instance. Raises HostError when it cannot start; then nothing is left running."""
        try:
            instance = await self._begin()
        except HostError:
            self._enter("stopped")
            raise
        self._keeper = asyncio.get_running_loop().create_task(self._keep(instance))
        return instance

    async def _begin(self) -> Instance:
        self._enter("starting")
        self.instance = instance = Instance(self._spec, self._on_text)
        await instance.start()
        self._error = None
        self._enter("ready")
        self.ready.set()
        return instance

    async def _keep(self, instance: Instance) -> None:
        wait_s = _BACKOFF_S[0]
        while True:
            began = time.monotonic()
            await instance.exited.wait()
            self.ready.clear()
            if time.monotonic() - began > _SETTLED_S or self._killed:
                wait_s = _BACKOFF_S[0]
            self._killed = False
            self._on_event(f"instance {instance.pid} ended; the next one starts in {wait_s:g} s")
            while True:
                self._enter("waiting")
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _BACKOFF_S[1])
                self._restarts += 1
                try:
                    instance = await self._begin()
                    break
                except HostError as error:
                    self._error = str(error)
                    self._on_event(self._error)

    async def kill(self) -> None:
        """Ends the process as an outside hand does, and says so: the next one starts without a growing wait."""
        if self.instance is not None and not self.instance.exited.is_set():
            self._killed = True
            await self.instance.kill()

    async def stop(self, grace_s: float) -> None:
        """Ends the instance: work in hand has `grace_s`."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self.ready.clear()
        if self.instance is not None:
            await self.instance.stop(grace_s)
        self._enter("stopped")
