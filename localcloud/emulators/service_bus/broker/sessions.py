"""Message sessions of one queue or subscription: who holds which, what each has ready, who waits for any of them."""

import asyncio
import math
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from localcloud.emulators.service_bus.broker.model import BrokerError, Condition, Message
from localcloud.emulators.service_bus.broker.ready import Ready

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.link import Link
    from localcloud.emulators.service_bus.broker.locks import Lock


class Session:
    """It exists while it holds messages, state or a lock."""

    __slots__ = ("count", "held", "link", "locked_until", "name", "ready", "state", "state_set")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = Ready()
        self.count = 0
        """Messages, whatever their state."""
        self.link: Link | None = None
        self.held: dict[uuid.UUID, Lock] = {}
        self.locked_until: float | None = None
        self.state: bytes | None = None
        self.state_set: float | None = None


class Sessions:
    """Any free session with messages is offered in the order in which it became so (our reading: nothing is
    documented).
    """

    def __init__(self) -> None:
        self.all: dict[str, Session] = {}
        self.locked: dict[str, Session] = {}
        """In order of the ends of their locks."""
        self._offers: dict[str, Session] = {}
        self._waiters: dict[asyncio.Future[None], Link] = {}

    def of(self, name: str) -> Session:
        """The session, made if need be."""
        session = self.all.get(name)
        if session is None:
            session = self.all[name] = Session(name)
        return session

    def restore(self, states: dict[str, tuple[bytes | None, float]]) -> None:
        """States from a log, each with the time when it was set."""
        for name, (state, when) in states.items():
            if state is not None:
                session = self.of(name)
                session.state, session.state_set = state, when

    def add_ready(self, message: Message) -> Session:
        """A message may be delivered, once somebody holds its session."""
        session = self.of(str(message.envelope.session_id))
        session.ready.add(message)
        if session.link is None:
            self._offers[session.name] = session
        return session

    def take_offer(self) -> Session | None:
        """The free session that has waited longest."""
        while self._offers:
            name = next(iter(self._offers))
            session = self._offers.pop(name)
            if session.link is None and session.ready:
                return session
        return None

    def lock(self, session: Session, link: "Link", until: float) -> None:
        """Give it to a link."""
        self._offers.pop(session.name, None)
        session.link = link
        link.session = session
        self.renew(session, until)

    def renew(self, session: Session, until: float) -> None:
        """A later end of its lock."""
        self.locked.pop(session.name, None)
        session.locked_until = until
        self.locked[session.name] = session

    def unlock(self, session: Session) -> None:
        """Free for others, or forgotten when it is empty."""
        self.locked.pop(session.name, None)
        session.link = None
        session.locked_until = None
        if session.ready:
            self._offers[session.name] = session
        self.forget_empty(session)

    def forget_empty(self, session: Session) -> None:
        """Nothing keeps it."""
        if session.count == 0 and session.state is None and session.link is None:
            self.all.pop(session.name, None)
            self._offers.pop(session.name, None)

    def held(self, name: str, now: float) -> Session:
        """The session, when its lock is held."""
        session = self.all.get(name)
        if session is None or session.locked_until is None or session.locked_until <= now:
            raise BrokerError(Condition.SESSION_LOCK_LOST, f"The lock of session {name!r} is over; accept it again.")
        return session

    def next_end(self) -> float:
        """When the first lock ends."""
        for session in self.locked.values():
            return session.locked_until or math.inf
        return math.inf

    def over(self, now: float) -> Iterator[Session]:
        """Sessions whose lock has ended."""
        while self.locked:
            session = next(iter(self.locked.values()))
            if session.locked_until is not None and session.locked_until > now:
                return
            yield session

    def wait(self, waiter: asyncio.Future[None], link: "Link") -> None:
        """Somebody asks for any session."""
        self._waiters[waiter] = link

    def first_waiter(self) -> "tuple[asyncio.Future[None], Link] | None":
        """Who has asked longest and still waits."""
        while self._waiters:
            waiter = next(iter(self._waiters))
            if not waiter.done():
                return waiter, self._waiters[waiter]
            del self._waiters[waiter]
        return None

    def give_up(self, waiter: asyncio.Future[None]) -> None:
        """It waits no longer."""
        self._waiters.pop(waiter, None)
