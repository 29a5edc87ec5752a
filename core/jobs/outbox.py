"""Commit and send: a message is written in the transaction that moves the state, and sent once that is committed.

Sent or not, the row stays until the queue has taken the message: a process that dies in between sends it twice, never
not at all. Who dies before sending leaves the row to the next one that flushes the run: the redelivered message, or the
sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec

from core.jobs.machine import Tx
from core.messages.envelope import pack
from core.sql import named

_SQL: Final = named("core.jobs", "queries.sql")
AHEAD_S: Final = 6 * 86_400
"""A message is handed to its queue this long before its time: a storage queue hides one for at most 7 days."""
RUNS_AT_ONCE: Final = 1_000


class Database(Protocol):
    """Where the rows are: core.clients.postgres.Postgres."""

    def transaction(self) -> AbstractContextManager[Tx]:
        """Commits at the end, rolls back on an error."""


class Sender(Protocol):
    """A queue that takes messages; thread-safe. Raises core.clients.faults kinds unless it has taken it."""

    def send(self, body: bytes, *, delay_s: int = 0) -> None:
        """One message, to be seen in `delay_s` seconds."""


class Putting(Protocol):
    """Where a move leaves its messages: an Outbox, or what stands for one."""

    def put(
        self, tx: Tx, *, run_id: str, queue: str, message: msgspec.Struct, message_id: str, traceparent: str,
        not_before: datetime | None = None,
    ) -> None:  # fmt: skip
        """See Outbox.put."""


class Outbox:
    """The queues that this app may send to, and what waits for them. Thread-safe."""

    def __init__(
        self,
        database: Database,
        queues: Mapping[str, Sender],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`queues` by their own names: `{"api-fetch": …}`."""
        self._database = database
        self._queues = dict(queues)
        self._now = now

    def put(
        self, tx: Tx, *, run_id: str, queue: str, message: msgspec.Struct, message_id: str, traceparent: str,
        not_before: datetime | None = None,
    ) -> None:  # fmt: skip
        """To be sent once `tx` is committed, and to be seen not before `not_before`.

        Raises ValueError for a queue that is none of this app's: nobody would ever send it.
        """
        if queue not in self._queues:
            known = ", ".join(sorted(self._queues)) or "none"
            raise ValueError(f"outbox: queue must be one that this app sends to ({known}), got {queue!r}; connect it")
        body = pack(message, id=message_id, traceparent=traceparent)
        tx.execute(_SQL["put_message"], {"run_id": run_id, "queue": queue, "body": body, "not_before": not_before})

    def flush(self, run_id: str) -> int:
        """Sends what is committed for this run and this app's queues; how many. Raises what a queue's `send` raises:
        that message and those after it stay for the next flush. Two flushers at once share the work.
        """
        sent, more = 0, True
        while more:
            taken, more = self._send_one(run_id)
            sent += taken
        return sent

    def left(self, *, older_s: float) -> list[str]:
        """Runs whose messages have waited for longer than `older_s` seconds: whoever put them is dead. Flush each."""
        values = {"queues": list(self._queues), "older_s": older_s, "now": self._now(), "ahead_s": AHEAD_S,
                  "limit": RUNS_AT_ONCE}  # fmt: skip
        with self._database.transaction() as tx:
            return [str(row["run_id"]) for row in tx.execute(_SQL["left_messages"], values).fetchall()]

    def _send_one(self, run_id: str) -> tuple[int, bool]:
        """One message a transaction, so that a kill repeats one and not many: how many it was, and whether others wait.
        What is put later is its putter's to flush.
        """
        with self._database.transaction() as tx:
            values = {"run_id": run_id, "queues": list(self._queues), "now": self._now(), "ahead_s": AHEAD_S}
            with tx.pipeline():  # the transaction's beginning travels along
                row = tx.execute(_SQL["take_message"], values).fetchone()
            if row is None:
                return 0, False
            self._queues[row["queue"]].send(bytes(row["body"]), delay_s=row["delay_s"])
            tx.execute(_SQL["drop_message"], {"id": row["id"]})
            return 1, bool(row["more"])
