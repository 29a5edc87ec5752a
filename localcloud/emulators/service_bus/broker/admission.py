"""Who may come in: what must hold of messages that are sent, and of receivers that are opened."""

from collections.abc import Sequence
from typing import Final

from localcloud.emulators.service_bus.broker.backlog import Backlog
from localcloud.emulators.service_bus.broker.model import Any_, BrokerError, Condition, Envelope
from localcloud.emulators.service_bus.broker.nodes import Node, Queue, Topic, quota

MAX_NAME: Final = 128  # characters of a message's, session's and partition's id (quotas)


def check(place: Backlog, envelopes: Sequence[Envelope]) -> None:
    """Before anything is accepted."""
    node = place.node
    if place.sub_queue or node.kind == "subscription":
        raise BrokerError(Condition.NOT_ALLOWED, f"{place.path}: messages are sent to queues and topics only.")
    if not node.may_send:
        text = f"{node.path} takes no messages: its status is {node.options.status}."
        raise BrokerError(Condition.ENTITY_DISABLED, text)
    limit = place.max_message_size
    total = 0
    for envelope in envelopes:
        if envelope.size == 0:
            envelope.size = len(envelope.raw)
        if envelope.size > limit:
            text = f"{node.path} takes messages of up to {limit} bytes, got one of {envelope.size}."
            raise BrokerError(Condition.MESSAGE_TOO_LARGE, text)
        total += envelope.size
        if place.sessions is not None and envelope.session_id is None:
            text = f"{node.path} requires sessions: every message needs a session id, got one without."
            raise BrokerError(Condition.NOT_ALLOWED, text)
        _check_ids(node, envelope)
    if node.size + total > quota(node):
        text = f"{node.path} is full: it may hold {quota(node)} bytes and holds {node.size}; receive or delete some."
        raise BrokerError(Condition.RESOURCE_LIMIT, text)


def _check_ids(node: Node, envelope: Envelope) -> None:
    session, partition, identity = envelope.session_id, envelope.partition_key, envelope.message_id
    for name, value in (("session id", session), ("partition key", partition), ("message id", identity)):
        if type(value) is str and len(value) > MAX_NAME:
            text = f"{node.path}: a {name} has at most {MAX_NAME} characters, got {len(value)}."
            raise BrokerError(Condition.ARGUMENT_RANGE, text)
    if session is not None and partition is not None and session != partition:
        text = f"{node.path}: a message's partition key must be its session id, got {partition!r} and {session!r}."
        raise BrokerError(Condition.NOT_ALLOWED, text)


def is_new(node: Node, envelope: Envelope, now: float) -> bool:
    """Not dropped by duplicate detection."""
    duplicates = node.duplicates if isinstance(node, Queue | Topic) else None
    if duplicates is None or envelope.message_id is None:
        return True
    new = duplicates.is_new(envelope.message_id, now)
    if new:
        node.kernel.record.seen(node.number, envelope.message_id, now)
    return new


def check_receiver(place: Backlog, session: str | Any_ | None) -> None:
    """Before a receiver is opened."""
    node = place.node
    if node.kind == "topic":
        raise BrokerError(Condition.NOT_ALLOWED, f"{place.path} is a topic: receive from its subscriptions.")
    if not node.may_receive:
        text = f"{node.path} gives no messages: its status is {node.options.status}."
        raise BrokerError(Condition.ENTITY_DISABLED, text)
    if node.forward_to is not None and not place.sub_queue:
        text = f"{node.path} forwards its messages to {node.forward_to}: receive them there."
        raise BrokerError(Condition.NOT_ALLOWED, text)
    if place.sessions is not None and session is None:
        text = f"{place.path} requires sessions: a receiver must accept one; it cannot be received from without."
        raise BrokerError(Condition.NOT_ALLOWED, text)
    if place.sessions is None and session is not None:
        raise BrokerError(Condition.NOT_ALLOWED, f"{place.path} has no sessions: receive from it without one.")
