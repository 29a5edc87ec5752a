"""The broker's vocabulary: what comes in (`Envelope`), what is kept (`Message`), what goes out (`Delivery`), how it is
settled (`Outcome`), and how refusals look (`BrokerError`).

Times are seconds since the epoch (UTC), read from the broker's injected clock; durations are seconds; sizes are bytes.
"""

import enum
import uuid
from dataclasses import dataclass, field
from typing import Any, Final, Literal

DEAD_LETTER: Final = "$DeadLetterQueue"
TRANSFER_DEAD_LETTER: Final = "$Transfer/$DeadLetterQueue"

Mode = Literal["peek_lock", "receive_and_delete"]
SubQueue = Literal["", "$DeadLetterQueue", "$Transfer/$DeadLetterQueue"]


class Condition:
    """AMQP error conditions that the broker answers with (from "AMQP errors" in Service Bus' documentation)."""

    NOT_FOUND = "amqp:not-found"
    NOT_ALLOWED = "amqp:not-allowed"
    INVALID_FIELD = "amqp:invalid-field"
    RESOURCE_LIMIT = "amqp:resource-limit-exceeded"  # quota of the entity
    MESSAGE_TOO_LARGE = "amqp:link:message-size-exceeded"
    DETACH_FORCED = "amqp:link:detach-forced"
    LOCK_LOST = "com.microsoft:message-lock-lost"
    MESSAGE_NOT_FOUND = "com.microsoft:message-not-found"
    SESSION_LOCK_LOST = "com.microsoft:session-lock-lost"
    SESSION_LOCKED = "com.microsoft:session-cannot-be-locked"
    TIMEOUT = "com.microsoft:timeout"
    ENTITY_DISABLED = "com.microsoft:entity-disabled"
    ENTITY_EXISTS = "com.microsoft:entity-already-exists"
    ARGUMENT = "com.microsoft:argument-error"
    ARGUMENT_RANGE = "com.microsoft:argument-out-of-range"
    INVALID_OPERATION = "amqp:not-implemented"


class BrokerError(Exception):
    """A refusal: `condition` is the AMQP error condition, `text` says who, what must hold and what was got."""

    def __init__(self, condition: str, text: str) -> None:
        super().__init__(text)
        self.condition = condition
        self.text = text


class Any_(enum.Enum):  # noqa: N801 - the one value is `ANY`
    """The session that a receiver asks for when it takes whichever is free next."""

    ANY = "any session"


ANY: Final = Any_.ANY


@dataclass(slots=True)
class Envelope:
    """One message as its sender made it. `raw` is relayed untouched; the other fields are read from it once."""

    raw: bytes
    """The bare message: the encoded sections properties, application-properties and body."""
    message_id: Any = None
    session_id: str | None = None
    subject: str | None = None
    """Service Bus' Label."""
    to: str | None = None
    reply_to: str | None = None
    reply_to_session_id: str | None = None
    correlation_id: Any = None
    content_type: str | None = None
    application_properties: dict[str, Any] = field(default_factory=dict)
    ttl: float | None = None
    """Seconds (the header's ttl), None: the entity's default."""
    partition_key: str | None = None
    scheduled: float | None = None
    """When the message shall become active (x-opt-scheduled-enqueue-time); None or past: at once."""
    annotations: dict[str, Any] = field(default_factory=dict)
    """The sender's own message annotations, without those that the broker sets."""
    durable: bool = True
    priority: int = 4
    size: int = 0
    """Bytes of the whole message as it came."""
    rewritten: bool = False
    """The broker changed properties (a rule's action, an abandon with properties): the sections properties and
    application-properties are to be encoded from these fields, and only the body is taken from `raw`."""


class State(enum.IntEnum):
    """Service Bus' message state; the values are those on the wire (x-opt-message-state)."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


@dataclass(slots=True, eq=False)
class Message:
    """One message in one queue or subscription (copies of one sent message share their `envelope`)."""

    sequence: int
    enqueued: float
    envelope: Envelope
    delivery_count: int = 0
    """How often it was delivered and not settled before; on the wire as it is (a first delivery has 0)."""
    state: State = State.ACTIVE
    expires: float | None = None
    dead_letter_reason: str | None = None
    dead_letter_description: str | None = None
    dead_letter_source: str | None = None
    """The entity it was dead-lettered from, when that forwards its dead letters (x-opt-deadletter-source)."""
    enqueued_sequence: int = 0
    """Its first sequence number, when it was forwarded; else 0 (x-opt-enqueue-sequence-number)."""
    locked_until: float | None = None
    """None: not locked by a receiver."""
    hops: int = 0
    """How many times it was forwarded: four at most."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a forwarded message carries along."""

    hops: int = 0
    sequence: int = 0
    reason: str | None = None
    description: str | None = None
    source: str | None = None


SENT = Origin()


@dataclass(slots=True)
class Delivery:
    """What a receiver's callback gets. In receive-and-delete mode there is no token and the message is gone already."""

    lock_token: uuid.UUID | None
    message: Message
    locked_until: float | None


@dataclass(frozen=True, slots=True)
class Complete:
    """The message is done."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Back to the queue at once, delivery count + 1."""

    properties: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Defer:
    """Set aside: from now on only receivable by its sequence number."""

    properties: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Into the entity's dead-letter queue, or where the entity forwards its dead letters."""

    reason: str | None = None
    description: str | None = None
    properties: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Back to the queue at once, as if it had never been delivered (AMQP's `released`: prefetched, not looked at)."""


Outcome = Complete | Abandon | Defer | DeadLetter | Release


@dataclass(frozen=True, slots=True)
class Counts:
    """Service Bus' CountDetails, plus bytes held and the age base."""

    active: int
    dead_letter: int
    scheduled: int
    transfer: int
    transfer_dead_letter: int
    size: int
    oldest_active: float | None = None
    """When the oldest active message was enqueued."""
    subscriptions: int = 0
    """Of a topic."""


@dataclass(frozen=True, slots=True)
class CorrelationFilter:
    """Equality of every named field (None: not asked)."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    label: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SqlFilter:
    """`expression` may name parameters (`@p`), which `parameters` holds without the `@`... or with it; both are found.

    The true filter is `1=1`, the false filter `1=0`, as on the service.
    """

    expression: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """Which messages of its topic a subscription takes, and how it changes them."""

    name: str
    filter: SqlFilter | CorrelationFilter
    action: str | None = None
    """An SQL action (`SET …; REMOVE …`)."""
    action_parameters: dict[str, Any] = field(default_factory=dict)
    created: float = 0.0
