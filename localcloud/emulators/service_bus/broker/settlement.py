"""How a message that a receiver holds goes on.

Documented: an abandoned message is available at once, and its delivery count rises; so does it when a lock ends, that
of a session included, but not when a session is left; an abandoned deferred message stays deferred; a message of a
dead-letter queue cannot be dead-lettered. Our reading: what comes back takes its old place.
"""

import math
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localcloud.emulators.service_bus.broker.locks import Lock
from localcloud.emulators.service_bus.broker.model import (
    Abandon,
    BrokerError,
    Complete,
    Condition,
    DeadLetter,
    Defer,
    Message,
    Outcome,
    State,
)
from localcloud.emulators.service_bus.broker.sessions import Session

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.backlog import Backlog


def settle(backlog: "Backlog", token: uuid.UUID, outcome: Outcome) -> None:
    """Raise lock-lost when the lock is over."""
    lock = held(backlog, token)
    message = lock.message
    kind = type(outcome)
    if kind is DeadLetter and backlog.sub_queue:
        text = f"{backlog.path}: a message of a dead-letter queue cannot be dead-lettered; complete it or send a copy."
        raise BrokerError(Condition.NOT_ALLOWED, text)
    backlog.unlock(lock)
    if kind is Complete:
        backlog.remove(message)
        backlog.tally.completed += 1
    elif isinstance(outcome, Abandon):
        backlog.tally.abandoned += 1
        rewrite(backlog, message, outcome.properties)
        give_back(backlog, message, delivered=True)
    elif isinstance(outcome, Defer):
        rewrite(backlog, message, outcome.properties)
        message.state = State.DEFERRED
        backlog.tally.deferred += 1
        backlog.kernel.record.update(backlog.number, message)
    elif isinstance(outcome, DeadLetter):
        rewrite(backlog, message, outcome.properties)
        backlog.node.dead_letter(backlog, message, outcome.reason, outcome.description)
    else:
        give_back(backlog, message, delivered=False)


def held(backlog: "Backlog", token: uuid.UUID) -> Lock:
    """The lock, when it still is one."""
    lock = backlog.held.get(token)
    if lock is not None and lock.until > backlog.kernel.clock():
        return lock
    if backlog.sessions is not None and lock is None:
        text = f"{backlog.path}: the session's lock is over, or the message was settled already."
        raise BrokerError(Condition.SESSION_LOCK_LOST, text)
    text = f"{backlog.path}: the lock is over, or the message was settled already."
    raise BrokerError(Condition.LOCK_LOST if backlog.sessions is None else Condition.SESSION_LOCK_LOST, text)


def rewrite(backlog: "Backlog", message: Message, properties: dict[str, Any] | None) -> None:
    """Changed application properties."""
    if properties:
        together = {**message.envelope.application_properties, **properties}
        message.envelope = replace(message.envelope, application_properties=together, rewritten=True)
        backlog.kernel.record.update(backlog.number, message, rewritten=True)


def give_back(backlog: "Backlog", message: Message, *, delivered: bool) -> None:
    """Available again (or deferred still), unless it was delivered too often or has expired."""
    node = backlog.node
    if delivered:
        message.delivery_count += 1
        if message.delivery_count >= node.max_delivery_count and not backlog.sub_queue:
            text = f"Message could not be consumed after {node.max_delivery_count} delivery attempts."
            node.dead_letter(backlog, message, "MaxDeliveryCountExceeded", text)
            return
        backlog.kernel.record.update(backlog.number, message)
    if message.state == State.DEFERRED:
        return
    if message.expires is not None and message.expires <= backlog.kernel.clock() and not backlog.sub_queue:
        node.expire(backlog, message)
        return
    backlog.offer(message)


def renew(backlog: "Backlog", token: uuid.UUID) -> float:
    """A new end of the lock."""
    lock = held(backlog, token)
    if backlog.sessions is not None:
        text = f"{backlog.path}: the messages of a session are locked with it; renew the session's lock."
        raise BrokerError(Condition.NOT_ALLOWED, text)
    lock.until = lock.message.locked_until = backlog.kernel.clock() + backlog.node.lock_s
    del backlog.held[token]
    backlog.held[token] = lock
    backlog.kernel.agenda.want(backlog, lock.until)
    return lock.until


def release(backlog: "Backlog", session: Session, *, delivered: bool) -> None:
    """All that is locked with a session."""
    for lock in list(session.held.values()):
        backlog.unlock(lock)
        give_back(backlog, lock.message, delivered=delivered)


def end_locks(backlog: "Backlog", now: float) -> None:
    """Those whose time is over (of a backlog without sessions)."""
    while backlog.held:
        lock = next(iter(backlog.held.values()))
        if lock.until > now:
            return
        backlog.unlock(lock)
        give_back(backlog, lock.message, delivered=True)


def end_all(backlog: "Backlog") -> int:
    """Every lock, whenever it would end; how many messages were locked."""
    count = len(backlog.held)
    if backlog.sessions is None:
        end_locks(backlog, math.inf)
    else:
        backlog.end_sessions(backlog.sessions, math.inf)
    return count
