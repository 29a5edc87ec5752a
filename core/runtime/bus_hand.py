"""Messages in hand: their locks are kept while they are worked on, and each is settled by its verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import MessageAlreadySettled, MessageLockLostError, SessionLockLostError

from core.clients.service_bus import fault
from core.runtime.bus_turn import Turn

Group = list[ServiceBusReceivedMessage]
"""Messages of one call: one, or a batch."""
_TICK_S = 0.5
"""Between two looks at the locks: a lock is 5 s at least, and renewed at half time."""

_SETTLE_AGAIN_S = (0.5, 2.0, 5.0)
"""Between two tries to settle."""


class Settle(Enum):
    """What the broker is told of a message."""

    COMPLETE = "complete"
    ABANDON = "abandon"
    """Again; after the last try the broker gives it up by itself."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The message goes to the dead-letter queue."""

    reason: str
    description: str


Verdict = Settle | DeadLetter
Work = Callable[[Group], Awaitable[list[Verdict]]]
"""One verdict a message, in their order. When it raises, all are abandoned."""


class _Lock:
    """Of one message in hand."""

    def __init__(self, message: ServiceBusReceivedMessage) -> None:
        self._message = message
        self._since = time.monotonic()
        self.lost = False
        self.renewed()

    def renewed(self) -> None:
        self._length_s = self.left_s

    @property
    def left_s(self) -> float:
        until = self._message.locked_until_utc
        return (until - datetime.now(UTC)).total_seconds() if until else 0.0

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._since

    @property
    def is_due(self) -> bool:
        return not self.lost and self.left_s < self._length_s / 2


class Hand:
    """Of one receiver; in a session, the lock is the session's and not each message's."""

    def __init__(self, receiver: ServiceBusReceiver, name: str, renew_for_s: float, say: Callable[[str], None]) -> None:
        """`renew_for_s`: locks are renewed for so long."""
        self._receiver, self._name, self._renew_for_s, self._say = receiver, name, renew_for_s, say
        self.turn = Turn(receiver)
        self._locks: dict[int, tuple[ServiceBusReceivedMessage, _Lock]] = {}
        self._in_session = receiver.session is not None
        self._began = 0.0
        self._session_length_s = 0.0

    def take(self, group: Group) -> None:
        """Their locks are kept from now on."""
        self._began = time.monotonic()
        if not self._in_session:
            self._locks |= {id(message): (message, _Lock(message)) for message in group}

    async def work(self, group: Group, work: Work) -> None:
        """Does it, and settles each of them. A message whose lock was lost while it waited is not begun: the broker has
        given it to somebody else, or will.
        """
        mine = [message for message in group if not self._is_lost(message)]
        try:
            verdicts = await work(mine) if mine else []
            await self._settle_all(list(zip(mine, verdicts, strict=True)), _SETTLE_AGAIN_S)
        except Exception as error:  # noqa: BLE001 - whatever it was, the messages come again
            self._say(f"{self._name}: {type(error).__name__}: {error}")
            await self._settle_all([(message, Settle.ABANDON) for message in mine], _SETTLE_AGAIN_S)
        finally:
            self._drop(group)

    def _is_lost(self, message: ServiceBusReceivedMessage) -> bool:
        _, lock = self._locks.get(id(message), (None, None))
        return lock is not None and (lock.lost or lock.left_s <= 0)

    def _drop(self, group: Group) -> None:
        for message in group:
            self._locks.pop(id(message), None)

    async def _settle_all(
        self, verdicts: Sequence[tuple[ServiceBusReceivedMessage, Verdict]], waits_s: tuple[float, ...]
    ) -> None:
        for message, verdict in verdicts:
            await self._settle(message, verdict, waits_s)

    async def _settle(self, message: ServiceBusReceivedMessage, verdict: Verdict, waits_s: tuple[float, ...]) -> None:
        """While there is a lock, a link that broke is waited for: what is done would be done twice otherwise."""
        for wait_s in (*waits_s, None):
            try:
                async with self.turn.settle():
                    await self._tell(message, verdict)
            except Exception as error:  # noqa: BLE001 - SDK and network alike: the lock ends, the message comes again
                lost = isinstance(error, MessageLockLostError | SessionLockLostError | MessageAlreadySettled)
                if wait_s is None or lost:
                    what = f"{self._name}: message {message.message_id} cannot be settled and comes again"
                    self._say(str(fault(error, what)))
                    return
                await asyncio.sleep(wait_s)
            else:
                return

    async def _tell(self, message: ServiceBusReceivedMessage, verdict: Verdict) -> None:
        if isinstance(verdict, DeadLetter):
            await self._receiver.dead_letter_message(
                message, reason=verdict.reason, error_description=verdict.description
            )
        elif verdict is Settle.COMPLETE:
            await self._receiver.complete_message(message)
        else:
            await self._receiver.abandon_message(message)

    async def finish(self, groups: Mapping[asyncio.Task[None], Group], grace_s: float) -> None:
        """Waits for the tasks that work on `groups`; what is not done by then is given back."""
        if groups:
            await asyncio.wait(groups, timeout=grace_s)
        late = dict(groups)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._settle_all([(message, Settle.ABANDON) for group in late.values() for message in group], ())

    async def keep_locks(self) -> None:
        """Renews them, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            if self._in_session:
                await self._renew_session()
            for message, lock in list(self._locks.values()):
                if lock.is_due and lock.age_s < self._renew_for_s and id(message) in self._locks:
                    await self._renew(message, lock)

    async def _renew(self, message: ServiceBusReceivedMessage, lock: _Lock) -> None:
        try:
            async with self.turn.settle():
                await self._receiver.renew_message_lock(message)
            lock.renewed()
        except MessageLockLostError as error:
            lock.lost = True
            self._say(f"{self._name}: message {message.message_id}: its lock is lost, it comes again ({error})")
        except Exception as error:  # noqa: BLE001 - the next look tries again, while there is a lock
            lock.lost = lock.left_s <= 0
            self._say(str(fault(error, f"{self._name}: renewing the lock of message {message.message_id}")))

    async def _renew_session(self) -> None:
        session = self._receiver.session
        left = (session.locked_until_utc - datetime.now(UTC)).total_seconds() if session.locked_until_utc else 0.0
        self._session_length_s = max(self._session_length_s, left)
        if left > self._session_length_s / 2 or time.monotonic() - self._began > self._renew_for_s:
            return
        try:
            async with self.turn.settle():
                await session.renew_lock()
        except SessionLockLostError:
            return  # the next thing done in it says so
        except Exception as error:  # noqa: BLE001 - the next look tries again
            self._say(str(fault(error, f"{self._name}: renewing the lock of session {session.session_id}")))
