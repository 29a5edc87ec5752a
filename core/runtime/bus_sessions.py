"""Receives by sessions: messages of one session in order, one after another, `max_concurrent_sessions` side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from azure.servicebus import NEXT_AVAILABLE_SESSION
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import OperationTimeoutError, SessionCannotBeLockedError, SessionLockLostError

from core.clients.service_bus import fault
from core.runtime.bus_hand import Group, Hand
from core.runtime.bus_receiving import Again, Source, close, keeping, opened
from core.runtime.bus_turn import end

ACCEPT_S = 30.0
"""One request for a session waits so long at most."""


class Sessions:
    """Of an entity with sessions. One link waits for a session that is free, and each session has a link."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._client = source.connect()
        self._places = asyncio.Semaphore(source.options.max_concurrent_sessions)
        self._held: dict[asyncio.Task[None], _Session] = {}
        self._stopping = asyncio.Event()

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""
        return sum(session.in_hand for session in self._held.values())

    @property
    def backlog(self) -> bool:
        """Whether as many sessions are worked on as can be."""
        busy = [session for session in self._held.values() if session.in_hand]
        return len(busy) >= self._source.options.max_concurrent_sessions

    async def loop(self) -> None:
        """Accepts sessions until cancelled."""
        again = Again(self._source)
        while True:
            await self._source.ready.wait()
            await self._places.acquire()
            try:
                receiver = await self._accept(again)
            except BaseException:
                self._places.release()
                raise
            if receiver is None:
                self._places.release()
                continue
            session = _Session(self._source, receiver, self._stopping)
            task = asyncio.get_running_loop().create_task(session.run())
            self._held[task] = session
            task.add_done_callback(self._ended)

    async def _accept(self, again: Again) -> ServiceBusReceiver | None:
        """The next session that somebody sent to and nobody holds; None: there was none for a while."""
        receiver = self._source.receiver(
            self._client, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=ACCEPT_S
        )  # fmt: skip
        try:
            await opened(receiver)
        except (OperationTimeoutError, SessionCannotBeLockedError):
            again.well()
            await close(receiver)
            return None
        except Exception as error:  # noqa: BLE001 - whatever it was, sessions are still there and so are we
            await close(receiver)
            await again.wait(error)
            return None
        except asyncio.CancelledError:
            await close(receiver)
            raise
        again.well()
        return receiver

    def _ended(self, task: asyncio.Task[None]) -> None:
        session = self._held.pop(task, None)
        self._places.release()
        if session is not None and not task.cancelled() and (error := task.exception()) is not None:
            self._source.say(f"{self._source.name}: {type(error).__name__}: {error}")

    async def stop(self, grace_s: float) -> None:
        """A message in hand has `grace_s`; then it is given back, and so are the sessions."""
        self._stopping.set()
        await asyncio.gather(*(session.stop(task, grace_s) for task, session in list(self._held.items())))
        await close(self._client)


class _Session:
    """One session while it is held."""

    def __init__(self, source: Source, receiver: ServiceBusReceiver, stopping: asyncio.Event) -> None:
        self._source, self._receiver, self._stopping = source, receiver, stopping
        self._hand = Hand(receiver, source.name, source.options.max_auto_lock_renewal_s, source.say)
        self._group: Group = []

    @property
    def in_hand(self) -> int:
        return len(self._group)

    async def run(self) -> None:
        """Until it is idle for long enough, is lost, or all stops."""
        try:
            async with keeping(self._hand.keep_locks()):
                while not self._stopping.is_set() and (group := await self._next()):
                    self._group = group
                    await self._hand.work(group, self._source.work)
                    self._group = []
        except SessionLockLostError as error:
            self._source.say(f"{self._source.name}: session {self._receiver.session.session_id} is lost ({error})")
        except Exception as error:  # noqa: BLE001 - whatever it was, the session comes again
            self._source.say(str(fault(error, self._source.name)))
        finally:
            if not self._group:
                await close(self._receiver)

    async def _next(self) -> Group:
        """The next message or batch; empty when the session is idle or all stops."""
        options = self._source.options
        self._hand.take([])
        most = options.max_message_batch_size if self._source.trigger.batch else 1
        found = None
        while found is None and not self._stopping.is_set():
            found = await self._unless_stopping(self._hand.turn.receive(most, options.session_idle_timeout_s))
        return found or []

    async def _unless_stopping(self, receive: Coroutine[Any, Any, Group | None]) -> Group | None:
        look = asyncio.get_running_loop().create_task(receive)
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        try:
            await asyncio.wait([look, stopping], return_when=asyncio.FIRST_COMPLETED)
            return look.result() if look.done() else None
        finally:
            await end(look, stopping)

    async def stop(self, task: asyncio.Task[None], grace_s: float) -> None:
        """Its message in hand has `grace_s`."""
        await asyncio.wait([task], timeout=grace_s)
        if not task.done():
            await self._hand.finish({task: self._group}, 0)
        await close(self._receiver)
