"""One ordered set of messages that receivers draw from: a queue's or subscription's own, or one of its dead-letter
queues.

Nothing expires in a dead-letter queue (documented). Our reading: links with credit are served in turn.
How messages are settled stands in `settlement`, how they are reached by sequence number in `browse`.
"""

import math
import uuid
from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, Literal

from localcloud.emulators.service_bus.broker import settlement
from localcloud.emulators.service_bus.broker.kernel import Kernel
from localcloud.emulators.service_bus.broker.link import Link
from localcloud.emulators.service_bus.broker.locks import Lock
from localcloud.emulators.service_bus.broker.model import BrokerError, Condition, Delivery, Message, State, SubQueue
from localcloud.emulators.service_bus.broker.ready import Ready
from localcloud.emulators.service_bus.broker.sessions import Session, Sessions
from localcloud.emulators.service_bus.broker.tally import Tally

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.nodes import Node

RECORD_BYTES: Final = 300  # of a log, about, beyond a message's own


class Backlog:
    """`node` says what happens to messages that leave it by expiry, by schedule or as dead letters."""

    __slots__ = (
        "_deadlines", "_pumping", "_ready", "_woken", "active", "closed", "due", "held", "kernel", "messages", "node",
        "number", "path", "scheduled", "sessions", "size", "sub_queue", "tally", "waiting",
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
        self.waiting: deque[Link] = deque()
        """Links with credit, where there are no sessions."""
        self.sessions = Sessions() if sessions else None
        self.due = math.inf
        self.tally = Tally()
        self._ready = Ready()
        self._woken: dict[Session, None] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._pumping = False
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
        if self.sessions is None:
            self._ready.add(message)
        else:
            self._woken[self.sessions.add_ready(message)] = None
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
        ready = self._ready
        if self.sessions is not None:
            session = self.sessions.all.get(str(message.envelope.session_id))
            if session is None:
                return
            ready = session.ready
        ready.removed_one(lambda other: self.messages.get(other.sequence) is other)

    # -- delivery

    def wait(self, link: Link) -> None:
        """The link has credit."""
        if link.session is not None:
            self._woken[link.session] = None
        elif not link.waiting and link.left > 0:
            link.waiting = True
            self.waiting.append(link)
        self.kernel.touched[self] = None
        self.kernel.finish()

    def pump(self) -> None:
        """Deliver while there are messages and credit; hand free sessions to those who wait for any."""
        if self._pumping:
            return
        self._pumping = True
        gone: list[tuple[Link, Message]] = []
        try:
            if self.sessions is None:
                self._pump_links(gone)
            else:
                self._hand_over(self.sessions)
                self._pump_sessions(gone)
        finally:
            self._pumping = False
            self._hand_out(gone)

    def _pump_links(self, gone: list[tuple[Link, Message]]) -> None:
        now = self.kernel.clock()
        waiting = self.waiting
        while waiting:
            link = waiting[0]
            if link.left <= 0:
                link.waiting = False
                waiting.popleft()
                continue
            message = self._take(self._ready, now)
            if message is None:
                return
            waiting.rotate(-1)
            self._deliver(link, message, now, gone)

    def _pump_sessions(self, gone: list[tuple[Link, Message]]) -> None:
        now = self.kernel.clock()
        while self._woken:
            session, _ = self._woken.popitem()
            while (link := session.link) is not None and link.left > 0:
                message = self._take(session.ready, now)
                if message is None:
                    break
                self._deliver(link, message, now, gone)

    def _take(self, ready: Ready, now: float) -> Message | None:
        if not self.node.may_receive:
            return None
        while (message := ready.pop()) is not None:
            if self.messages.get(message.sequence) is not message:
                continue  # removed elsewhere
            if message.expires is None or message.expires > now or self.sub_queue:
                return message
            self.node.expire(self, message)
        return None

    def _deliver(self, link: Link, message: Message, now: float, gone: list[tuple[Link, Message]]) -> None:
        link.left -= 1
        self.node.used = now
        self.tally.received += 1
        if link.mode == "receive_and_delete":
            self.remove(message)
            gone.append((link, message))
        else:
            link.on_delivery(self.lock(message, link.session, now))

    def _hand_out(self, gone: list[tuple[Link, Message]]) -> None:
        """At most once: that they are gone is with the operating system before anybody gets them."""
        if not gone:
            return
        try:
            self.kernel.record.commit()
            self.kernel.record.flush()
        except OSError:
            for _, message in gone:  # nobody got them
                self.add(message)
            raise
        for link, message in gone:
            link.on_delivery(Delivery(None, message, None))

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
        if link.waiting:
            self.waiting.remove(link)
            link.waiting = False
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

    def _hand_over(self, sessions: Sessions) -> None:
        while (asked := sessions.first_waiter()) is not None:
            session = sessions.take_offer()
            if session is None:
                return
            waiter, link = asked
            sessions.give_up(waiter)
            self.accept(link, session)
            waiter.set_result(None)

    def close(self, error: BrokerError) -> None:
        """The entity is deleted: nobody waits for a session any longer."""
        while self.sessions is not None and (asked := self.sessions.first_waiter()) is not None:
            self.sessions.give_up(asked[0])
            asked[0].set_exception(error)
        self.waiting.clear()
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
