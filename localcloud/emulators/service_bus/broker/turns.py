"""Whose turn it is to get a message of one backlog.

Our reading: links with credit are served in turn. Of a session's messages all are its link's; free sessions go to those
who wait for any, in the order in which they asked.
"""

from collections import deque
from typing import TYPE_CHECKING

from localcloud.emulators.service_bus.broker.link import Link
from localcloud.emulators.service_bus.broker.model import Delivery, Message
from localcloud.emulators.service_bus.broker.ready import Ready
from localcloud.emulators.service_bus.broker.sessions import Session, Sessions

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.backlog import Backlog


class Turns:
    """What may be delivered, and to whom. Nothing is delivered before the operation that allows it has ended: then
    `Kernel.finish` calls `pump`.
    """

    __slots__ = ("_backlog", "_pumping", "_ready", "_waiting", "_woken")

    def __init__(self, backlog: "Backlog") -> None:
        self._backlog = backlog
        self._ready = Ready()
        """Where there are no sessions; each session has its own."""
        self._waiting: deque[Link] = deque()
        """Links with credit, where there are no sessions."""
        self._woken: dict[Session, None] = {}
        """Sessions that got messages or credit."""
        self._pumping = False

    def offer(self, message: Message) -> None:
        """It may be delivered."""
        sessions = self._backlog.sessions
        if sessions is None:
            self._ready.add(message)
        else:
            self._woken[sessions.add_ready(message)] = None

    def withdraw(self, message: Message) -> None:
        """It is gone, and nobody took it."""
        backlog = self._backlog
        ready = self._ready
        if backlog.sessions is not None:
            session = backlog.sessions.all.get(str(message.envelope.session_id))
            if session is None:
                return
            ready = session.ready
        ready.removed_one(lambda other: backlog.messages.get(other.sequence) is other)

    def wait(self, link: Link) -> None:
        """The link has credit."""
        if link.session is not None:
            self._woken[link.session] = None
        elif not link.waiting and link.left > 0:
            link.waiting = True
            self._waiting.append(link)

    def leave(self, link: Link) -> None:
        """The link is over."""
        if link.waiting:
            self._waiting.remove(link)
            link.waiting = False

    def clear(self) -> None:
        """There is nothing to wait for any more."""
        self._waiting.clear()

    def pump(self) -> None:
        """Deliver while there are messages and credit; hand free sessions to those who wait for any."""
        if self._pumping:
            return
        self._pumping = True
        gone: list[tuple[Link, Message]] = []
        sessions = self._backlog.sessions
        try:
            if sessions is None:
                self._pump_links(gone)
            else:
                self._hand_over(sessions)
                self._pump_sessions(gone)
        finally:
            self._pumping = False
            if gone:
                self._hand_out(gone)

    def _pump_links(self, gone: list[tuple[Link, Message]]) -> None:
        now = self._backlog.kernel.clock()
        waiting = self._waiting
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
        now = self._backlog.kernel.clock()
        while self._woken:
            session, _ = self._woken.popitem()
            while (link := session.link) is not None and link.left > 0:
                message = self._take(session.ready, now)
                if message is None:
                    break
                self._deliver(link, message, now, gone)

    def _take(self, ready: Ready, now: float) -> Message | None:
        backlog = self._backlog
        if not backlog.node.may_receive:
            return None
        while (message := ready.pop()) is not None:
            if backlog.messages.get(message.sequence) is not message:
                continue  # removed elsewhere
            if message.expires is None or message.expires > now or backlog.sub_queue:
                return message
            backlog.node.expire(backlog, message)
        return None

    def _deliver(self, link: Link, message: Message, now: float, gone: list[tuple[Link, Message]]) -> None:
        backlog = self._backlog
        link.left -= 1
        backlog.node.used = now
        backlog.tally.received += 1
        if link.mode == "receive_and_delete":
            backlog.remove(message)
            gone.append((link, message))
        else:
            link.on_delivery(backlog.lock(message, link.session, now))

    def _hand_out(self, gone: list[tuple[Link, Message]]) -> None:
        """At most once: that they are gone is with the operating system before anybody gets them."""
        backlog = self._backlog
        try:
            backlog.kernel.record.commit()
            backlog.kernel.record.flush()
        except OSError:
            for _, message in gone:  # nobody got them
                backlog.add(message)
            raise
        for link, message in gone:
            link.on_delivery(Delivery(None, message, None))

    def _hand_over(self, sessions: Sessions) -> None:
        while (asked := sessions.first_waiter()) is not None:
            session = sessions.take_offer()
            if session is None:
                return
            waiter, link = asked
            sessions.give_up(waiter)
            self._backlog.accept(link, session)
            waiter.set_result(None)
