"""Messages reached without waiting for a turn: peeked at, received by sequence number, cancelled, purged.

Documented: a peek shows messages of every state; a deferred message that has expired is dead-lettered when it is
asked for. Our reading: expired messages that are about to go are not shown.
"""

from collections.abc import Sequence

from localcloud.emulators.service_bus.broker.backlog import Backlog
from localcloud.emulators.service_bus.broker.model import BrokerError, Condition, Delivery, Message, Mode, State
from localcloud.emulators.service_bus.broker.sessions import Session


def peek(backlog: Backlog, from_sequence: int, count: int, session: str | None) -> list[Message]:
    """In order, from that sequence number on."""
    now = backlog.kernel.clock()
    messages, last = backlog.messages, backlog.node.last_sequence
    # Sequence numbers are tried one by one where most are there, and sorted where most are gone.
    dense = last - from_sequence < 4 * len(messages)
    sequences = range(from_sequence, last + 1) if dense else sorted(s for s in messages if s >= from_sequence)
    found: list[Message] = []
    for sequence in sequences:
        message = messages.get(sequence)
        if message is None or (session is not None and message.envelope.session_id != session):
            continue
        if message.expires is not None and message.expires <= now and not backlog.sub_queue:
            continue
        found.append(message)
        if len(found) >= count:
            break
    return found


def receive_deferred(backlog: Backlog, sequences: Sequence[int], mode: Mode, session: Session | None) -> list[Delivery]:
    """All or none."""
    now = backlog.kernel.clock()
    messages = [_deferred(backlog, sequence, session, now) for sequence in dict.fromkeys(sequences)]
    if mode == "peek_lock":
        return [backlog.lock(message, session, now) for message in messages]
    for message in messages:
        backlog.remove(message)
    try:
        backlog.kernel.record.commit()
        backlog.kernel.record.flush()
    except OSError:
        for message in messages:  # nobody got them
            backlog.add(message)
        raise
    return [Delivery(None, message, None) for message in messages]


def _deferred(backlog: Backlog, sequence: int, session: Session | None, now: float) -> Message:
    message = backlog.messages.get(sequence)
    if (
        message is not None
        and message.state == State.DEFERRED
        and message.locked_until is None
        and (session is None or message.envelope.session_id == session.name)
    ):
        if message.expires is None or message.expires > now or backlog.sub_queue:
            return message
        backlog.node.expire(backlog, message)
    text = f"{backlog.path}: there is no deferred message {sequence} that nobody holds."
    raise BrokerError(Condition.MESSAGE_NOT_FOUND, text)


def cancel(backlog: Backlog, sequences: Sequence[int]) -> None:
    """All or none."""
    messages = []
    for sequence in dict.fromkeys(sequences):
        message = backlog.messages.get(sequence)
        if message is None or message.state != State.SCHEDULED:
            text = f"{backlog.path}: there is no scheduled message {sequence} (any more)."
            raise BrokerError(Condition.MESSAGE_NOT_FOUND, text)
        messages.append(message)
    for message in messages:
        backlog.remove(message)


def purge(backlog: Backlog, count: int, enqueued_before: float) -> int:
    """Delete the oldest active ones that nobody holds."""
    oldest: list[Message] = []
    for message in backlog.messages.values():
        if len(oldest) >= count:
            break
        if message.state == State.ACTIVE and message.locked_until is None and message.enqueued <= enqueued_before:
            oldest.append(message)
    for message in oldest:
        backlog.remove_ready(message)
    return len(oldest)
