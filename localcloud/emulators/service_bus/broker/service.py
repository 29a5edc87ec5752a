"""The broker: `interface.Broker`, and (in `entities`) what the administration asks for. One event loop, no threads.

Every method acts at once and ends with one record of all its changes; then what became available is delivered.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from localcloud.emulators.service_bus.broker import admission, browse, settlement
from localcloud.emulators.service_bus.broker.agenda import Agenda
from localcloud.emulators.service_bus.broker.backlog import Backlog
from localcloud.emulators.service_bus.broker.entities import Entities
from localcloud.emulators.service_bus.broker.interface import Path
from localcloud.emulators.service_bus.broker.kernel import Kernel
from localcloud.emulators.service_bus.broker.link import Link
from localcloud.emulators.service_bus.broker.model import (
    ANY,
    Any_,
    BrokerError,
    Condition,
    Delivery,
    Envelope,
    Message,
    Mode,
    Outcome,
)
from localcloud.emulators.service_bus.broker.recording import NoRecord, Recorder
from localcloud.emulators.service_bus.broker.recovery import Recovery, keep, node_row
from localcloud.emulators.service_bus.broker.replayable import ReplayableLog
from localcloud.emulators.service_bus.broker.sessions import Session


class Service(Entities):
    """With a log it begins with what the log holds; without one it lives in memory."""

    def __init__(self, *, clock: Callable[[], float] = time.time, log: ReplayableLog | None = None) -> None:
        self.clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._agenda = Agenda()
        super().__init__(Kernel(clock, self._agenda, NoRecord()))
        if log is not None:
            recovery = Recovery(self.namespace)
            for record in log.replay():
                recovery.read(record)
            recovery.finish()
            self._kernel.record = Recorder(log, node_row)
            log.reclaim(lambda record: keep(self.namespace, record), lambda: self._kernel.live)
            self._kernel.finish()

    # -- time

    def start(self) -> None:
        """Let the running event loop's timer look after what falls due (tests with a clock of their own call
        `tick`).
        """
        self._agenda.on_earlier = self._set_timer
        self.tick()

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Far times are looked at again every hour: a timer that runs for months would not follow the clock.
        wait = min(max(0.0, when - self.clock()), 3600.0)
        self._timer = asyncio.get_running_loop().call_later(wait, self.tick)

    def tick(self) -> None:
        """Do what is due now: ends of locks, expiry, schedules, idle entities."""
        try:
            with self._operation():
                self._agenda.run(self.clock())
        except OSError:
            # The disk is full: senders and receivers are told by `durable`; what falls due goes on in a second.
            self._agenda.on_earlier(self.clock() + 1.0)

    def close(self) -> None:
        """Stop the timer; the log is its owner's to close."""
        self._agenda.on_earlier = lambda _when: None
        if self._timer is not None:
            self._timer.cancel()

    def durable(self) -> asyncio.Future[None] | None:
        """See `interface.Broker`."""
        return self._kernel.record.durable()

    # -- sending

    def send(self, path: Path, envelopes: Sequence[Envelope]) -> list[int]:
        """See `interface.Broker`."""
        node = self._place(path).node
        now = self.clock()
        admission.check(self._place(path), envelopes)
        sequences = []
        for envelope in envelopes:
            if not admission.is_new(node, envelope, now):
                sequences.append(0)
            elif envelope.scheduled is not None and envelope.scheduled > now:
                sequences.append(node.schedule(envelope, envelope.scheduled, now))
            else:
                sequences.append(node.accept(envelope, now))
        node.main.tally.sent += len(sequences) - sequences.count(0)
        self._kernel.finish()
        return sequences

    def schedule(self, path: Path, envelopes: Sequence[Envelope], at: Sequence[float]) -> list[int]:
        """See `interface.Broker`."""
        for envelope, when in zip(envelopes, at, strict=True):
            envelope.scheduled = when
        return self.send(path, envelopes)

    def cancel(self, path: Path, sequences: Sequence[int]) -> None:
        """See `interface.Broker`."""
        with self._operation():
            browse.cancel(self._place(path), sequences)

    # -- receiving

    async def receiver(
        self,
        path: Path,
        *,
        mode: Mode,
        on_delivery: Callable[[Delivery], None],
        on_end: Callable[[BrokerError], None],
        session: str | Any_ | None = None,
        identifier: str = "",
        wait_s: float = 60.0,
    ) -> Link:
        """See `interface.Broker`."""
        place = self._place(path)
        admission.check_receiver(place, session)
        link = Link(place, mode, on_delivery, on_end, identifier)
        if session is ANY:
            await self._next_session(place, link, wait_s)
        elif isinstance(session, str) and place.sessions is not None:
            found = place.sessions.of(session)
            if found.link is not None:
                text = f"{place.path}: session {session!r} is locked by another receiver."
                raise BrokerError(Condition.SESSION_LOCKED, text)
            place.accept(link, found)
        place.node.links[link] = None
        place.node.used = self.clock()
        return link

    async def _next_session(self, place: Backlog, link: Link, wait_s: float) -> None:
        if place.sessions is None:
            return
        waiter = asyncio.get_running_loop().create_future()
        place.sessions.wait(waiter, link)
        self._kernel.touched[place] = None
        self._kernel.finish()
        try:
            async with asyncio.timeout(wait_s):
                await waiter
        except TimeoutError:
            text = f"{place.path}: no session became free within {wait_s:g} s."
            raise BrokerError(Condition.TIMEOUT, text) from None
        except asyncio.CancelledError:
            if link.session is not None:
                place.leave(link)  # it was given one in the same turn
            raise
        finally:
            place.sessions.give_up(waiter)

    def settle(self, lock_token: UUID, outcome: Outcome, *, path: Path | None = None) -> None:
        """See `interface.Broker`."""
        backlog = self._locked(lock_token, path)
        try:
            settlement.settle(backlog, lock_token, outcome)
        finally:
            self._kernel.finish()

    def renew(self, lock_tokens: Sequence[UUID], *, path: Path | None = None) -> list[float]:
        """See `interface.Broker`."""
        return [settlement.renew(self._locked(token, path), token) for token in lock_tokens]

    def end_locks(self) -> int:
        """What time would do: all locks are over, those of sessions too. Answers how many messages came back."""
        with self._operation():
            places = [place for place in self.namespace.places.values() if place.held or place.sessions is not None]
            return sum(settlement.end_all(place) for place in places)

    def _locked(self, token: UUID, path: Path | None) -> Backlog:
        backlog = self._kernel.backlog_of(token)
        if backlog is not None and backlog is path and not backlog.closed:
            return backlog  # the usual way, as there is nothing more frequent
        if backlog is None or (path is not None and self._place(path) is not backlog):
            raise BrokerError(Condition.LOCK_LOST, "The lock is over, or it belongs to another entity.")
        return backlog

    # -- by sequence number

    def peek(self, path: Path, from_sequence: int, count: int, session: str | None = None) -> list[Message]:
        """See `interface.Broker`."""
        place = self._place(path)
        place.node.used = self.clock()
        return browse.peek(place, from_sequence, count, session)

    def receive_deferred(
        self, path: Path, sequences: Sequence[int], mode: Mode, session: str | None = None
    ) -> list[Delivery]:
        """See `interface.Broker`."""
        place = self._place(path)
        found = None
        if place.sessions is not None:
            if session is None:
                raise BrokerError(Condition.NOT_ALLOWED, f"{place.path} has sessions: name the one of the messages.")
            found = place.sessions.held(session, self.clock())
        with self._operation():
            return browse.receive_deferred(place, sequences, mode, found)

    def delete_batch(self, path: Path, count: int, enqueued_before: float) -> int:
        """See `interface.Broker`."""
        with self._operation():
            return browse.purge(self._place(path), count, enqueued_before)

    # -- sessions

    def get_session_state(self, path: Path, session: str) -> bytes | None:
        """See `interface.Broker`."""
        return self._session(path, session)[1].state

    def set_session_state(self, path: Path, session: str, state: bytes | None) -> None:
        """See `interface.Broker`."""
        place, found = self._session(path, session)
        with self._operation():
            found.state = state
            found.state_set = self.clock()
            self._kernel.record.session_state(place.number, session, state, found.state_set)

    def renew_session(self, path: Path, session: str) -> float:
        """See `interface.Broker`."""
        place, found = self._session(path, session)
        return place.renew_session(found)

    def _session(self, path: Path, session: str) -> tuple[Backlog, Session]:
        place = self._place(path)
        if place.sessions is None:
            raise BrokerError(Condition.NOT_ALLOWED, f"{place.path} has no sessions.")
        return place, place.sessions.held(session, self.clock())

    def list_sessions(self, path: Path, updated_since: float | None, skip: int, top: int) -> list[str]:
        """See `interface.Broker`."""
        place = self._place(path)
        every = place.sessions.all.values() if place.sessions is not None else ()
        names = [
            session.name
            for session in every
            if (session.count or session.state is not None)
            and (updated_since is None or (session.state_set is not None and session.state_set > updated_since))
        ]
        return sorted(names)[skip : skip + top]
