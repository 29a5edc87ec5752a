"""Queues, topics and subscriptions: where a message goes when it arrives, expires, is given up or its time comes.

Documented: the time to live is the message's or the entity's, whichever is shorter; a scheduled message gets a new
sequence number when its time comes; dead letters have the reasons used here; a chain of forwarding has four hops at
most, and what cannot be forwarded goes to the forwarding entity's transfer dead-letter queue. Our reading: a
forwarded message's time to live starts anew.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from localcloud.emulators.service_bus.broker.backlog import Backlog
from localcloud.emulators.service_bus.broker.duplicates import Duplicates
from localcloud.emulators.service_bus.broker.kernel import Kernel
from localcloud.emulators.service_bus.broker.link import Link
from localcloud.emulators.service_bus.broker.model import (
    DEAD_LETTER,
    SENT,
    TRANSFER_DEAD_LETTER,
    Envelope,
    Message,
    Origin,
    Rule,
    State,
)
from localcloud.emulators.service_bus.broker.options import (
    Options,
    QueueOptions,
    Status,
    SubscriptionOptions,
    TopicOptions,
)
from localcloud.emulators.service_bus.broker.rules.compiled import CompiledRule
from localcloud.emulators.service_bus.broker.rules.sql import FilterError

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.namespace import Namespace

MAX_HOPS = 4
MIB = 1024 * 1024
NO_SESSION = "Session ID is null", "A session-enabled entity does not take messages without a session id."


class Node(ABC):
    """What queues, topics and subscriptions have in common. One counter gives the sequence numbers of all its
    backlogs.
    """

    kind: ClassVar[Literal["queue", "topic", "subscription"]]

    def __init__(self, namespace: "Namespace", number: int, path: str, options: Options) -> None:
        self.namespace = namespace
        self.kernel: Kernel = namespace.kernel
        self.number = number
        self.path = path
        self.name = path.rpartition("/")[2] if self.kind == "subscription" else path
        self.created = self.updated = self.used = self.kernel.clock()
        self.last_sequence = 0
        self.size = 0
        self.due = math.inf
        self.links: dict[Link, None] = {}
        self.owner: Node | None = None
        """A subscription's topic."""
        self.main: Backlog
        self.dead: Backlog | None = None
        self.transfer: Backlog | None = None
        self.configure(options)

    def configure(self, options: Options) -> None:
        """At creation and update."""
        self.options = options
        self.may_send = options.status in (Status.ACTIVE, Status.RECEIVE_DISABLED)
        self.may_receive = options.status in (Status.ACTIVE, Status.SEND_DISABLED)
        self.lock_s = 60.0
        self.max_delivery_count = 10
        self.forward_to: str | None = None
        self.max_message_size = 0 if isinstance(options, SubscriptionOptions) else 1024 * options.max_message_kib
        if not isinstance(options, TopicOptions):
            self.lock_s = options.lock_s
            self.max_delivery_count = options.max_delivery_count
            self.forward_to = options.forward_to
        if options.auto_delete_s is not None:
            self.kernel.agenda.want(self, self.used + options.auto_delete_s)

    def _make_backlogs(self, *, sessions: bool) -> None:
        self.main = Backlog(self.kernel, self, 4 * self.number, "", sessions=sessions)
        self.dead = Backlog(self.kernel, self, 4 * self.number + 1, DEAD_LETTER)
        self.transfer = Backlog(self.kernel, self, 4 * self.number + 2, TRANSFER_DEAD_LETTER)

    def backlogs(self) -> Iterator[Backlog]:
        """All it has."""
        yield self.main
        if self.dead is not None and self.transfer is not None:
            yield self.dead
            yield self.transfer

    def grow(self, size: int) -> None:
        """Bytes came or went (negative)."""
        self.size += size
        if self.owner is not None:
            self.owner.size += size

    def next_sequence(self) -> int:
        """A new sequence number."""
        self.last_sequence += 1
        return self.last_sequence

    # -- arrivals

    @abstractmethod
    def accept(self, envelope: Envelope, now: float, origin: Origin = SENT) -> int:
        """A message arrives (sent, scheduled, forwarded); returns its sequence number."""

    def keep(self, envelope: Envelope, now: float, origin: Origin) -> int:
        """Into the own backlog, or on to where this entity forwards."""
        if self.forward_to is not None:
            sequence = self.next_sequence()
            self.namespace.forward(self, envelope, self.forward_to, now, origin)
            return sequence
        self.last_sequence = sequence = self.last_sequence + 1
        message = Message(sequence, now, envelope)
        ttl, default = envelope.ttl, self.options.default_ttl_s
        if ttl is not None or default is not None:
            message.expires = now + min(
                ttl if ttl is not None else math.inf, default if default is not None else math.inf
            )
        if origin is not SENT:
            message.hops = origin.hops
            message.enqueued_sequence = origin.sequence
            message.dead_letter_reason = origin.reason
            message.dead_letter_description = origin.description
            message.dead_letter_source = origin.source
        self.main.add(message)
        return sequence

    def schedule(self, envelope: Envelope, at: float, now: float) -> int:
        """Kept aside until then; the sequence number is to cancel it with."""
        envelope.scheduled = at
        sequence = self.next_sequence()
        self.main.add(Message(sequence, now, envelope, state=State.SCHEDULED))
        return sequence

    def activate(self, backlog: Backlog, message: Message) -> None:
        """A scheduled message's time has come: it arrives."""
        backlog.remove(message)
        self.accept(message.envelope, self.kernel.clock())

    # -- departures

    def expire(self, backlog: Backlog, message: Message) -> None:
        """Its time to live is over."""
        if not isinstance(self.options, TopicOptions) and self.options.dead_letter_on_expiration:
            text = "The message expired and was dead lettered."
            self.dead_letter(backlog, message, "TTLExpiredException", text)
        else:
            backlog.remove_ready(message)

    def dead_letter(self, backlog: Backlog, message: Message, reason: str | None, description: str | None) -> None:
        """Into the dead-letter queue, or where this entity forwards its dead letters."""
        backlog.remove_ready(message)
        backlog.tally.dead_lettered += 1
        target = None if isinstance(self.options, TopicOptions) else self.options.forward_dead_letters_to
        if target is not None:
            origin = Origin(message.hops, message.sequence, reason, description, self.path)
            self.namespace.forward(self, message.envelope, target, self.kernel.clock(), origin)
        elif self.dead is not None:
            message.dead_letter_reason = reason
            message.dead_letter_description = description
            message.state = State.ACTIVE
            self.dead.add(message)

    def bury(self, backlog: Backlog | None, envelope: Envelope, now: float, reason: str, description: str) -> None:
        """A message that could not even arrive: straight into one of the dead-letter queues."""
        if backlog is not None:
            letter = Message(self.next_sequence(), now, envelope)
            letter.dead_letter_reason, letter.dead_letter_description = reason, description
            self.main.tally.dead_lettered += 1
            backlog.add(letter)

    # -- auto-delete

    def run_due(self, now: float) -> float:
        """Delete it when it has been idle long enough (no sends, no receives, no scheduled messages, no waiting
        receiver).
        """
        idle = self.options.auto_delete_s
        if idle is None or self.forward_to is not None:
            return math.inf
        if self.main.scheduled or any(link.left > 0 for link in self.links):
            self.used = now
        if self.used + idle > now:
            return self.used + idle
        self.namespace.delete(self)
        return math.inf


class Queue(Node):
    """One backlog, filled by senders."""

    kind = "queue"

    def __init__(self, namespace: "Namespace", number: int, path: str, options: QueueOptions) -> None:
        super().__init__(namespace, number, path, options)
        self.duplicates = Duplicates(options.duplicate_window_s) if options.requires_duplicate_detection else None
        self._make_backlogs(sessions=options.requires_session)

    def accept(self, envelope: Envelope, now: float, origin: Origin = SENT) -> int:
        """See `Node.accept`."""
        self.used = now
        return self.keep(envelope, now, origin)


class Topic(Node):
    """It keeps scheduled messages only; the others are copied into its subscriptions at once."""

    kind = "topic"

    def __init__(self, namespace: "Namespace", number: int, path: str, options: TopicOptions) -> None:
        super().__init__(namespace, number, path, options)
        self.duplicates = Duplicates(options.duplicate_window_s) if options.requires_duplicate_detection else None
        self.main = Backlog(self.kernel, self, 4 * number, "")
        self.subscriptions: dict[str, Subscription] = {}

    def accept(self, envelope: Envelope, now: float, origin: Origin = SENT) -> int:
        """See `Node.accept`."""
        self.used = now
        sequence = self.next_sequence()
        default = self.options.default_ttl_s
        if default is not None and (envelope.ttl is None or envelope.ttl > default):
            envelope.ttl = default
        copied = Origin(origin.hops, origin.sequence or sequence, origin.reason, origin.description, origin.source)
        for subscription in self.subscriptions.values():
            subscription.accept(envelope, now, copied)
        return sequence


class Subscription(Node):
    """One backlog, filled by its topic with what its rules select."""

    kind = "subscription"

    def __init__(
        self, namespace: "Namespace", number: int, topic: Topic, path: str, options: SubscriptionOptions
    ) -> None:
        super().__init__(namespace, number, path, options)
        self.owner = topic
        self.dead_letter_on_filter_errors = options.dead_letter_on_filter_errors
        self.requires_session = options.requires_session
        self.compiled: dict[str, CompiledRule] = {}
        """By folded name, in order of creation."""
        self._make_backlogs(sessions=options.requires_session)

    def accept(self, envelope: Envelope, now: float, origin: Origin = SENT) -> int:
        """Documented: the matching rules without action make one copy together, each one with an action makes its
        own.
        """
        try:
            copies = self._copies(envelope)
        except FilterError as error:
            if self.dead_letter_on_filter_errors:
                self.bury(self.dead, envelope, now, "FilterEvaluationException", str(error))
            return 0
        self.main.tally.sent += len(copies)
        for copy in copies:
            if self.requires_session and copy.session_id is None:
                self.bury(self.dead, copy, now, *NO_SESSION)
            else:
                self.keep(copy, now, origin)
        return 0

    def _copies(self, envelope: Envelope) -> list[Envelope]:
        copies = []
        plain = False
        for rule in self.compiled.values():
            if rule.acts:
                if rule.matches(envelope):
                    copies.append(rule.act(envelope))
            elif not plain:
                plain = rule.matches(envelope)
        return [envelope, *copies] if plain else copies

    def rules(self) -> list[Rule]:
        """In order of creation."""
        return [rule.rule for rule in self.compiled.values()]


def quota(node: Node) -> int:
    """Bytes it may hold."""
    options: Any = node.options
    return int(options.max_size_mb) * MIB
