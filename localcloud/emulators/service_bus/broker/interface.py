"""What the protocol may ask of the broker: it sees no more than this. `service.Service` answers."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from localcloud.emulators.service_bus.broker.model import (
    Any_,
    BrokerError,
    Counts,
    Delivery,
    Envelope,
    Message,
    Mode,
    Outcome,
    Rule,
    SubQueue,
)


class Entity(Protocol):
    """What the protocol needs to know of an addressed place."""

    @property
    def path(self) -> str:
        """Canonical: as it was created, e.g. `orders/Subscriptions/eu/$DeadLetterQueue`."""

    @property
    def kind(self) -> Literal["queue", "topic", "subscription"]:
        """Topics can only be sent to, subscriptions only received from."""

    @property
    def sub_queue(self) -> SubQueue:
        """Empty for the entity itself."""

    @property
    def requires_session(self) -> bool:
        """Only of the entity itself: dead-letter queues have no sessions."""

    @property
    def max_message_size(self) -> int:
        """Bytes."""


class Receiver(Protocol):
    """One receiving link."""

    @property
    def session_id(self) -> str | None:
        """The session that was accepted, None when the entity has none."""

    @property
    def session_locked_until(self) -> float | None:
        """End of the session's lock."""

    def credit(self, count: int) -> None:
        """Set (not add) how many deliveries may come; they may come before this returns."""

    def drain(self) -> int:
        """Deliver what there is, then give up the rest of the credit and return how much that was."""

    def close(self) -> None:
        """End it. Its session is free again, with the messages locked under it (their delivery counts kept).
        Where there are no sessions, locks run out, as on the service: `Release` gives a message back at once.
        """


Path = str | Entity


class Broker(Protocol):
    """Everything the protocol asks. Paths are case-insensitive: `q`, `t`, `t/Subscriptions/s`, each of them also with
    `/$DeadLetterQueue` or `/$Transfer/$DeadLetterQueue`. An entity got before is a path too. Methods act
    at once; nothing may be told to a client before what `durable()` gives. Each raises `BrokerError`: not-found for an
    unknown path, and what is named with it.
    """

    def entity(self, path: str) -> Entity:
        """The addressed place."""

    def durable(self) -> asyncio.Future[None] | None:
        """Resolves when all that was done before is in the log; None: it is already."""

    def send(self, path: Path, envelopes: Sequence[Envelope]) -> list[int]:
        """All or none. Refused for quota, size, status, a missing session id. The answer holds a sequence number for
        each, 0 for what duplicate detection dropped. A message with `scheduled` in the future is scheduled.
        """

    async def receiver(
        self,
        path: Path,
        *,
        mode: Mode,
        on_delivery: Callable[[Delivery], None],
        on_end: Callable[[BrokerError], None],
        session: str | Any_ | None = None,
        identifier: str = "",
        wait_s: float = 60.0,
    ) -> Receiver:
        """Open a link with no credit. With ANY it waits `wait_s` seconds for a free session (com.microsoft:timeout); a
        named session that somebody holds is refused (session-cannot-be-locked). `on_end` tells that the link is over:
        session lock lost, entity deleted or disabled; the receiver is closed by then.
        """

    def settle(self, lock_token: uuid.UUID, outcome: Outcome, *, path: Path | None = None) -> None:
        """message-lock-lost when the lock is over (or, with `path`, belongs to another entity)."""

    def renew(self, lock_tokens: Sequence[uuid.UUID], *, path: Path | None = None) -> list[float]:
        """New ends of the locks; message-lock-lost."""

    def peek(self, path: Path, from_sequence: int, count: int, session: str | None = None) -> list[Message]:
        """Without lock, in order of sequence numbers, active, deferred and scheduled ones."""

    def receive_deferred(
        self, path: Path, sequences: Sequence[int], mode: Mode, session: str | None = None
    ) -> list[Delivery]:
        """message-not-found when one of them is not deferred here, or locked."""

    def schedule(self, path: Path, envelopes: Sequence[Envelope], at: Sequence[float]) -> list[int]:
        """Sequence numbers to cancel them with."""

    def cancel(self, path: Path, sequences: Sequence[int]) -> None:
        """message-not-found when one of them is not scheduled (any more)."""

    def delete_batch(self, path: Path, count: int, enqueued_before: float) -> int:
        """Delete up to `count` of the oldest active messages that nobody holds (purge); returns how many."""

    def get_session_state(self, path: Path, session: str) -> bytes | None:
        """The session's lock must be held (session-lock-lost)."""

    def set_session_state(self, path: Path, session: str, state: bytes | None) -> None:
        """The session's lock must be held."""

    def renew_session(self, path: Path, session: str) -> float:
        """New end of the session's lock."""

    def list_sessions(self, path: Path, updated_since: float | None, skip: int, top: int) -> list[str]:
        """Sessions that hold messages or state; with a time those whose state was set after it."""

    def add_rule(self, path: Path, rule: Rule) -> None:
        """Path of a subscription; entity-already-exists, argument-error with the place of the fault in a filter."""

    def remove_rule(self, path: Path, name: str) -> None:
        """not-found."""

    def rules(self, path: Path, skip: int = 0, top: int = 100) -> list[Rule]:
        """In order of creation."""

    def counts(self, path: Path) -> Counts:
        """Runtime counts of the entity (for a topic, scheduled only)."""
