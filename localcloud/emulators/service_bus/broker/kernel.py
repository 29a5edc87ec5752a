"""What every part of the broker shares: clock, agenda, record of changes, and who delivers at the end of an
operation.
"""

import asyncio
import os
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from localcloud.emulators.service_bus.broker.agenda import Agenda
from localcloud.emulators.service_bus.broker.model import Message

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.backlog import Backlog
    from localcloud.emulators.service_bus.broker.nodes import Node

COUNTER_BITS: Final = 40
NUMBER_BITS: Final = 24


class Record(Protocol):
    """Where changes are noted. What is noted between two `commit`s stands or falls together."""

    def put(self, backlog: int, message: Message) -> None:
        """A message is there, whole."""

    def update(self, backlog: int, message: Message, *, rewritten: bool = False) -> None:
        """Its delivery count, state or (rewritten) envelope changed."""

    def remove(self, backlog: int, sequence: int) -> None:
        """It is gone."""

    def seen(self, node: int, message_id: Any, when: float) -> None:
        """Duplicate detection remembers an id."""

    def session_state(self, backlog: int, session: str, state: bytes | None, when: float) -> None:
        """A session's state was set."""

    def node(self, node: "Node") -> None:
        """An entity was made or changed."""

    def node_gone(self, node: "Node") -> None:
        """It was deleted, with all it held."""

    def commit(self) -> None:
        """End of one change."""

    def flush(self) -> None:
        """Everything committed is with the operating system when this returns."""

    def durable(self) -> asyncio.Future[None] | None:
        """Resolves when everything committed is; None: it is already."""


class Kernel:
    """Shared by all backlogs and nodes of one broker."""

    __slots__ = ("_counter", "_secret", "agenda", "backlogs", "clock", "live", "record", "touched")

    def __init__(self, clock: Callable[[], float], agenda: Agenda, record: Record) -> None:
        self.clock = clock
        self.agenda = agenda
        self.record = record
        self.live = 0
        """About how many bytes of a log live."""
        self.backlogs: dict[int, Backlog] = {}
        self.touched: dict[Backlog, None] = {}
        """Backlogs with new messages: they deliver at the end of the operation."""
        self._secret = int.from_bytes(os.urandom(8), "big") << (COUNTER_BITS + NUMBER_BITS)
        self._counter = int.from_bytes(os.urandom(4), "big")

    def new_token(self, backlog: int) -> uuid.UUID:
        """A lock token that tells whose it is; its first half is this process' own, so an old process' tokens are
        lost.
        """
        self._counter = counter = (self._counter + 1) & ((1 << COUNTER_BITS) - 1)
        return uuid.UUID(int=self._secret | backlog << COUNTER_BITS | counter)

    def backlog_of(self, token: uuid.UUID) -> "Backlog | None":
        """Whose lock it may be."""
        return self.backlogs.get((token.int >> COUNTER_BITS) & ((1 << NUMBER_BITS) - 1))

    def finish(self) -> None:
        """End of an operation: note it, then deliver what became available (which may note more)."""
        self.record.commit()
        touched = self.touched
        if touched:
            while touched:
                touched.popitem()[0].turns.pump()
            self.record.commit()
