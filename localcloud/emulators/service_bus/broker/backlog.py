"""One ordered set of messages that receivers draw from: a queue's or subscription's own, or one of its dead-letter
queues.

Nothing expires in a dead-letter queue (documented). Who gets the next message stands in `turns`, how messages are
settled in `settlement`, how they are reached by sequence number in `browse`.
"""

import math
import uuid
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, Literal

from localcloud.emulators.service_bus.broker import settlement
from localcloud.emulators.service_bus.broker.kernel import Kernel
from localcloud.emulators.service_bus.broker.link import Link
from localcloud.emulators.service_bus.broker.locks import Lock
from localcloud.emulators.service_bus.broker.model import BrokerError, Condition, Delivery, Message, State, SubQueue
from localcloud.emulators.service_bus.broker.sessions import Session, Sessions
from localcloud.emulators.service_bus.broker.tally import Tally
from localcloud.emulators.service_bus.broker.turns import Turns

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.nodes import Node

RECORD_BYTES: Final = 300  # of a log, about, beyond a message's own


class Backlog:
    """`node` says what happens to messages that leave it by expiry, by schedule or as dead letters."""

    __slots__ = (
        "_deadlines", "active", "closed", "due", "held", "kernel", "messages", "node", "number", "path", "scheduled",
        "sessions", "size", "sub_queue", "tally", "turns",
    )  # fmt: skip

    def __init__(
        self, kernel: Kernel, node: "Node", number: int, sub_queue: SubQueue, *, sessions: bool = False
    ) -> None:
        self.kernel = kernel
        self.node = node
        self.number = number
        self.sub_queue = sub_queue
        self.path = f"{node.path}/{sub_queue}" if sub_queue else node.path
        self.messages: dict[int, Message] = {}
        """All of them: available, locked, deferred and scheduled."""
        self.active = 0
        """All but the scheduled ones."""
        self.scheduled = 0
        self.size = 0
        self.held: dict[uuid.UUID, Lock] = {}
        """Without sessions in order of their ends: all last equally long, and a renewed one goes to the end."""
        self.sessions = Sessions() if sessions else None
        self.turns = Turns(self)
        self.due = math.inf
        self.tally = Tally()
        self._deadlines: list[tuple[float, int]] = []
        self.closed = False
        """Its entity was deleted."""
        kernel.backlogs[number] = self

    # -- what `interface.Entity` asks

    @property
    def kind(self) -> Literal["queue", "topic", "subscription"]:
        """Of its entity."""
        return self.node.kind

    @property
    def requires_session(self) -> bool:
        """Dead-letter queues never do."""
        return self.sessions is not None

    @property
    def max_message_size(self) -> int:
        """Bytes."""
        return self.node.max_message_size

    # -- in and out

    def add(self, message: Message, *, record: bool = True) -> None:
        """Keep it, and make it available unless it is deferred or scheduled."""
        self.messages[message.sequence] = message
        size = message.envelope.size
        self.size += size
        self.kernel.live += size + RECORD_BYTES
        self.node.grow(size)
        if record:
            self.kernel.record.put(self.number, message)
        if message.state == State.SCHEDULED:
            self.scheduled += 1
            self._deadline(message.envelope.scheduled or 0.0, message)
            return
        self.active += 1
        if message.expires is not None and not self.sub_queue:
            self._deadline(message.expires, message)
        if self.sessions is not None:
            self.sessions.of(str(message.envelope.session_id)).count += 1
        if message.state == State.ACTIVE:
            self.offer(message)

    def offer(self, message: Message) -> None:
        """It may be delivered: at the end of the operation."""
        self.turns.offer(message)
        self.kernel.touched[self] = None

    def remove(self, message: Message) -> None:
        """It is gone from here."""
        del self.messages[message.sequence]
        size = message.envelope.size
        self.size -= size
        self.kernel.live -= size + RECORD_BYTES
        self.node.grow(-size)
        self.kernel.record.remove(self.number, message.sequence)
        if message.state == State.SCHEDULED:
            self.scheduled -= 1
            return
        self.active -= 1
        if self.sessions is not None:
            session = self.sessions.of(str(message.envelope.session_id))
            session.count -= 1
            self.sessions.forget_empty(session)

    def remove_ready(self, message: Message) -> None:
        """It is gone from here, and nobody took it."""
        self.remove(message)
        self.turns.withdraw(message)

    # -- delivery

    def wait(self, link: Link) -> None:
        """The link has credit."""
        self.turns.wait(link)
        self.kernel.touched[self] = None
        self.kernel.finish()

    def lock(self, message: Message, session: Session | None, now: float) -> Delivery:
        """Nobody else gets it until then. A session's messages are locked with it."""
        if session is not None:
            until = session.locked_until or now
        else:
            until = now + self.node.lock_s
            if until < self.due:
                self.kernel.agenda.want(self, until)
        token = self.kernel.new_token(self.number)
        message.locked_until = until
        self.held[token] = lock = Lock(token, message, session, until)
        if session is not None:
            session.held[token] = lock
        return Delivery(token, message, until)

    def unlock(self, lock: Lock) -> None:
        """Nobody holds it; what becomes of it is the caller's to say."""
        del self.held[lock.token]
        if lock.session is not None:
            lock.session.held.pop(lock.token, None)
        lock.message.locked_until = None

    def leave(self, link: Link) -> None:
        """A link is over. A session's lock ends with it, and its messages are available again; other locks run out as
        on the service, for whoever holds one may still settle it over another link.
        """
        link.open = False
        self.node.links.pop(link, None)
        self.turns.leave(link)
        if link.session is not None and self.sessions is not None:
            settlement.release(self, link.session, delivered=False)
            self.sessions.unlock(link.session)
            link.session = None
            self.kernel.touched[self] = None
        self.kernel.finish()

    # -- sessions

    def accept(self, link: Link, session: Session) -> None:
        """The link gets the session."""
        if self.sessions is not None:
            until = self.kernel.clock() + self.node.lock_s
            self.sessions.lock(session, link, until)
            self.kernel.agenda.want(self, until)

    def renew_session(self, session: Session) -> float:
        """A new end of its lock, and of those of its messages."""
        until = self.kernel.clock() + self.node.lock_s
        if self.sessions is not None:
            self.sessions.renew(session, until)
        for lock in session.held.values():
            lock.until = lock.message.locked_until = until
        self.kernel.agenda.want(self, until)
        return until

    def close(self, error: BrokerError) -> None:
        """The entity is deleted: nobody waits for a session any longer."""
        while self.sessions is not None and (asked := self.sessions.first_waiter()) is not None:
            self.sessions.give_up(asked[0])
            asked[0].set_exception(error)
        self.turns.clear()
        self.kernel.live -= self.size + RECORD_BYTES * len(self.messages)
        self.messages.clear()
        self.held.clear()
        self.closed = True

    # -- time

    def _deadline(self, when: float, message: Message) -> None:
        heappush(self._deadlines, (when, message.sequence))
        self.kernel.agenda.want(self, when)
        if len(self._deadlines) > 2 * len(self.messages) + 1000:
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self.messages]
            heapify(self._deadlines)

    def run_due(self, now: float) -> float:
        """Locks that are over, messages whose time has come or gone."""
        if self.sessions is None:
            settlement.end_locks(self, now)
        else:
            self.end_sessions(self.sessions, now)
        while self._deadlines and self._deadlines[0][0] <= now:
            _, sequence = heappop(self._deadlines)
            message = self.messages.get(sequence)
            if message is None or message.locked_until is not None:
                continue  # a locked one is looked at when its lock ends
            if message.state == State.SCHEDULED:
                self.node.activate(self, message)
            elif message.state == State.ACTIVE and not self.sub_queue:
                self.node.expire(self, message)
        self.kernel.finish()
        first = next(iter(self.held.values()), None) if self.sessions is None else None
        return min(
            self._deadlines[0][0] if self._deadlines else math.inf,
            first.until if first else math.inf,
            self.sessions.next_end() if self.sessions else math.inf,
        )

    def end_sessions(self, sessions: Sessions, now: float) -> None:
        """Those whose lock is over by then."""
        for session in sessions.over(now):
            link = session.link
            if link is None:
                sessions.unlock(session)
                continue
            settlement.release(self, session, delivered=True)
            text = f"{self.path}: the lock of session {session.name!r} is over; accept the session again."
            link.end(BrokerError(Condition.SESSION_LOCK_LOST, text))
