"""What an entity is created with: Service Bus' own options, defaults and bounds (from its ARM types and quotas).

Durations are seconds; None stands for the service's "never" (P10675199DT2H48M5.4775807S).
"""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_LOCK_S: Final = 300.0
MIN_IDLE_S: Final = 300.0
MIN_TTL_S: Final = 1.0
WINDOW_S: Final = (20.0, 7 * 86400.0)  # of duplicate detection
MAX_DELIVERIES: Final = 2000
KIB: Final = 1024

_PATH = re.compile(r"[A-Za-z0-9]$|[A-Za-z0-9][A-Za-z0-9._\-/~]{0,258}[A-Za-z0-9_~\-.]$")
_NAME = re.compile(r"[A-Za-z0-9]$|[A-Za-z0-9][A-Za-z0-9._\-]{0,48}[A-Za-z0-9_\-.]$")
_RULE = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._\-$]{0,49}$")


class Status(enum.StrEnum):
    """Which doors of an entity are open."""

    ACTIVE = "Active"
    DISABLED = "Disabled"
    SEND_DISABLED = "SendDisabled"
    RECEIVE_DISABLED = "ReceiveDisabled"


@dataclass(frozen=True, kw_only=True)
class _Options:
    status: Status = Status.ACTIVE
    default_ttl_s: float | None = None
    auto_delete_s: float | None = None
    """Delete the entity after this idle time."""
    user_metadata: str | None = None
    enable_batched_operations: bool = True

    def faults(self) -> Iterator[str]:
        """What must hold, what was got."""
        if self.default_ttl_s is not None and self.default_ttl_s < MIN_TTL_S:
            yield f"DefaultMessageTimeToLive must be at least 1 second, got {self.default_ttl_s:g} s"
        if self.auto_delete_s is not None and self.auto_delete_s < MIN_IDLE_S:
            yield f"AutoDeleteOnIdle must be at least 5 minutes, got {self.auto_delete_s:g} s"
        if self.user_metadata is not None and len(self.user_metadata) > 1024:
            yield f"UserMetadata must have at most 1024 characters, got {len(self.user_metadata)}"


@dataclass(frozen=True, kw_only=True)
class _Receivable(_Options):
    lock_s: float = 60.0
    max_delivery_count: int = 10
    requires_session: bool = False
    dead_letter_on_expiration: bool = False
    forward_to: str | None = None
    forward_dead_letters_to: str | None = None

    def faults(self) -> Iterator[str]:
        """What must hold, what was got."""
        yield from _Options.faults(self)
        if not 0 < self.lock_s <= MAX_LOCK_S:
            yield f"LockDuration must be more than 0 and at most 5 minutes, got {self.lock_s:g} s"
        if not 1 <= self.max_delivery_count <= MAX_DELIVERIES:
            yield f"MaxDeliveryCount must be from 1 to {MAX_DELIVERIES}, got {self.max_delivery_count}"
        if self.requires_session and self.forward_to:
            yield "RequiresSession and ForwardTo exclude each other: a session's messages cannot be forwarded"


@dataclass(frozen=True, kw_only=True)
class _Sendable(_Options):
    max_size_mb: int = 1024
    max_message_kib: int = 256
    requires_duplicate_detection: bool = False
    duplicate_window_s: float = 600.0

    def faults(self) -> Iterator[str]:
        """What must hold, what was got."""
        if not WINDOW_S[0] <= self.duplicate_window_s <= WINDOW_S[1]:
            window = f"{self.duplicate_window_s:g} s"
            yield f"DuplicateDetectionHistoryTimeWindow must be from 20 seconds to 7 days, got {window}"
        if self.max_size_mb < 1:
            yield f"MaxSizeInMegabytes must be at least 1, got {self.max_size_mb}"
        if not 1 <= self.max_message_kib <= 102_400:
            yield f"MaxMessageSizeInKilobytes must be from 1 to 102400, got {self.max_message_kib}"


@dataclass(frozen=True, kw_only=True)
class QueueOptions(_Receivable, _Sendable):
    """Of a queue."""

    enable_express: bool = False
    enable_partitioning: bool = False

    def faults(self) -> Iterator[str]:
        """What must hold, what was got."""
        yield from _Receivable.faults(self)
        yield from _Sendable.faults(self)


@dataclass(frozen=True, kw_only=True)
class TopicOptions(_Sendable):
    """Of a topic."""

    support_ordering: bool = True
    filtering_before_publishing: bool = False
    enable_express: bool = False
    enable_partitioning: bool = False

    def faults(self) -> Iterator[str]:
        """What must hold, what was got."""
        yield from _Options.faults(self)
        yield from _Sendable.faults(self)


@dataclass(frozen=True, kw_only=True)
class SubscriptionOptions(_Receivable):
    """Of a subscription."""

    dead_letter_on_filter_errors: bool = True


Options = QueueOptions | TopicOptions | SubscriptionOptions

# What cannot change after creation (documentation of the entities' properties).
FIXED: Final = ("requires_session", "requires_duplicate_detection", "enable_partitioning")


def path_fault(path: str) -> str | None:
    """Of a queue's or topic's name."""
    if _PATH.match(path) and "//" not in path:
        return None
    return f"a queue or topic is named by 1 to 260 of letters, digits and . - _ /, first and last no /, got {path!r}"


def name_fault(name: str) -> str | None:
    """Of a subscription's name."""
    if _NAME.match(name):
        return None
    return f"a subscription is named by 1 to 50 of letters, digits and . - _, a letter or digit first, got {name!r}"


def rule_name_fault(name: str) -> str | None:
    """Of a rule's name."""
    return None if _RULE.match(name) else f"a rule is named by 1 to 50 of letters, digits and . - _ $, got {name!r}"
