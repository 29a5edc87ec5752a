"""Queues and messages in one SQLite file (write-ahead log): what a client was told is stored outlives a SIGKILL.

All calls are synchronous and short (tens of microseconds); long polling waits outside, on `wait_for_message`.
Standard queues only. Times are milliseconds since the epoch.
"""

import asyncio
import hashlib
import json
import secrets
import sqlite3
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from localcloud.emulators.aws.sqs_move_store import SCHEMA as MOVES_SCHEMA
from localcloud.emulators.aws.sqs_move_store import MoveStore
from localcloud.emulators.queue_depth import QueueDepth
from localcloud.emulators.transaction import transaction

EXPIRE_EVERY_MS: Final = 5000
"""Retention is in minutes to days: looking every few seconds keeps a receive independent of the queue's depth."""
_SCHEMA: Final = """
create table if not exists queues (name text primary key, attributes text not null, created integer not null);
create table if not exists messages (
    seq integer primary key autoincrement,  -- roughly first in, first out, as standard queues are
    queue text not null,
    id text not null,
    body text not null,
    attributes text not null,               -- MessageAttributes as sent, JSON
    sender text not null,
    sent integer not null,
    visible integer not null,               -- receivable from here on
    expires integer not null,
    receives integer not null default 0,
    first_received integer,
    receipt text,                           -- of the latest receive only: older handles are stale
    origin text                             -- in a dead-letter queue: the queue it was received from too often
);
create index if not exists receivable on messages (queue, visible, seq, receipt, expires);
"""
_COLUMNS: Final = "seq, id, body, attributes, sender, sent, receives, first_received"
_OLDEST: Final = f"select {_COLUMNS} from messages where queue = ? and visible <= ? order by visible, seq limit ?"  # noqa: S608
_NEWEST: Final = f"select {_COLUMNS} from messages where queue = ? and visible <= ? order by seq desc limit ?"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Received:
    """A message as handed to a receiver."""

    id: str
    body: str
    attributes: dict[str, Any]
    sender: str
    sent: int
    receives: int
    first_received: int
    receipt: str


class QueueStore:
    """Durable queues of one region of the account."""

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._db = sqlite3.connect(file, isolation_level=None)
        file.chmod(0o600)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.executescript(_SCHEMA + MOVES_SCHEMA)
        if "origin" not in {row[1] for row in self._db.execute("pragma table_info(messages)")}:
            self._db.execute("alter table messages add column origin text")  # a file from before there were moves
        self._queues: dict[str, dict[str, str]] = {
            name: json.loads(attributes) for name, attributes in self._db.execute("select name, attributes from queues")
        }
        self._arrivals: dict[str, asyncio.Event] = {}
        self._expired: dict[str, int] = {}  # queue → when its retention was last enforced
        self.moves = MoveStore(self._db, self.now, self._retention_ms, self._wake)

    def close(self) -> None:
        """Closes the file and ends every wait."""
        for event in self._arrivals.values():
            event.set()
        self._db.close()

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return int(self._clock() * 1000)

    def names(self) -> list[str]:
        """All queues, sorted."""
        return sorted(self._queues)

    def attributes(self, name: str) -> dict[str, str] | None:
        """The attributes of a queue; None when there is no such queue."""
        return self._queues.get(name)

    def put(self, name: str, attributes: dict[str, str]) -> None:
        """Creates a queue or replaces its attributes."""
        if self._queues.get(name) == attributes:
            return
        self._db.execute(
            "insert into queues values (?, ?, ?) on conflict (name) do update set attributes = excluded.attributes",
            (name, json.dumps(attributes), self.now()),
        )
        self._queues[name] = attributes

    def remove(self, name: str) -> None:
        """Removes a queue and its messages."""
        self._queues.pop(name, None)
        with transaction(self._db):
            self._db.execute("delete from queues where name = ?", (name,))
            self._db.execute("delete from messages where queue = ?", (name,))

    def purge(self, name: str) -> None:
        """Removes every message of a queue."""
        self._db.execute("delete from messages where queue = ?", (name,))

    def send(self, queue: str, messages: Iterable[tuple[str, dict[str, Any], int]], sender: str) -> list[str]:
        """Stores (body, attributes, delay_s) each; answers their ids."""
        now = self.now()
        retention = int(self._queues[queue]["MessageRetentionPeriod"]) * 1000
        rows = [
            (queue, str(uuid.uuid4()), body, json.dumps(attributes), sender, now, now + delay_s * 1000, now + retention)
            for body, attributes, delay_s in messages
        ]
        with transaction(self._db):
            self._db.executemany(
                "insert into messages (queue, id, body, attributes, sender, sent, visible, expires) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        self._wake(queue)
        return [row[1] for row in rows]

    def receive(self, queue: str, limit: int, visibility_s: int, *, newest_first: bool = False) -> list[Received]:
        """Up to `limit` visible messages, now invisible for `visibility_s`; those over maxReceiveCount move on."""
        now = self.now()
        maximum, dead_queue = self.redrive(queue)
        received: list[Received] = []
        with transaction(self._db):
            self._expire(queue, now)
            while len(received) < limit:
                rows = self._db.execute(
                    _NEWEST if newest_first else _OLDEST, (queue, now, limit - len(received))
                ).fetchall()
                if not rows:
                    break
                for row in rows:
                    if dead_queue and row[6] >= maximum:
                        self._move(row[0], queue, dead_queue)
                    else:
                        received.append(self._hand_out(row, now, visibility_s))
                if visibility_s == 0:
                    break  # what stays visible must not be handed out twice in one answer
        return received

    def delete(self, queue: str, receipt: str) -> None:
        """Deletes a message by its latest receipt; a stale or unknown one changes nothing (documented so)."""
        self._db.execute(
            "delete from messages where queue = ? and receipt = ? and seq = ?", (queue, receipt, _seq(receipt))
        )

    def change_visibility(self, queue: str, receipt: str, visibility_s: int) -> bool:
        """Makes a message in flight visible in `visibility_s`; False when it is not in flight under this receipt."""
        now = self.now()
        changed = self._db.execute(
            "update messages set visible = ? where seq = ? and queue = ? and receipt = ? and visible > ?",
            (now + visibility_s * 1000, _seq(receipt), queue, receipt, now),
        ).rowcount
        if visibility_s == 0:
            self._wake(queue)
        return changed == 1

    def release(self) -> int:
        """Ends the visibility timeout of every message in flight, as time would; answers how many came back."""
        now = self.now()
        back = self._db.execute(
            "update messages set visible = ? where visible > ? and receipt is not null", (now, now)
        ).rowcount
        for queue in self._queues:
            self._wake(queue)
        return back

    def counts(self, queue: str) -> tuple[int, int, int]:
        """(visible, in flight, delayed) messages of a queue."""
        now = self.now()
        visible, in_flight, delayed = self._db.execute(
            "select count(*) filter (where visible <= :now), count(*) filter (where visible "
            "> :now and receipt is not null), "
            "count(*) filter (where visible > :now and receipt is null) from messages where "
            "queue = :queue and expires > :now",
            {"now": now, "queue": queue},
        ).fetchone()
        return visible, in_flight, delayed

    def redrive(self, queue: str) -> tuple[int, str | None]:
        """(maxReceiveCount, name of the dead-letter queue or None)."""
        policy = self._queues[queue].get("RedrivePolicy")
        if not policy:
            return 0, None
        raw = json.loads(policy)
        return int(raw["maxReceiveCount"]), str(raw["deadLetterTargetArn"]).rsplit(":", 1)[-1]

    def dead_queues(self) -> set[str]:
        """The names of the queues that are another queue's dead-letter queue."""
        return {target for name in self.names() if (target := self.redrive(name)[1])}

    def origins(self, queue: str) -> list[str]:
        """The queues that messages in a dead-letter queue came from."""
        rows = self._db.execute(
            "select distinct origin from messages where queue = ? and origin is not null order by 1", (queue,)
        )
        return [str(origin) for (origin,) in rows]

    def depths(self) -> list[QueueDepth]:
        """How full each queue is; `dead` is what lies in its dead-letter queue."""
        depths = []
        for name in self.names():
            active, in_flight, scheduled = self.counts(name)
            dead_queue = self.redrive(name)[1]
            dead = sum(self.counts(dead_queue)) if dead_queue in self._queues and dead_queue else 0
            depths.append(
                QueueDepth(name=name, kind="sqs", active=active, in_flight=in_flight, scheduled=scheduled, dead=dead)
            )
        return depths

    async def wait_for_message(self, queue: str, limit_s: float) -> None:
        """Returns when something may have become receivable, at the latest after `limit_s`."""
        event = self._arrivals.setdefault(queue, asyncio.Event())
        event.clear()
        soonest = self._db.execute("select min(visible) from messages where queue = ?", (queue,)).fetchone()[0]
        if soonest is not None:
            limit_s = max(0.005, min(limit_s, (soonest - self.now()) / 1000))
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), limit_s)

    def _expire(self, queue: str, now: int) -> None:
        if now - self._expired.get(queue, 0) < EXPIRE_EVERY_MS:
            return
        self._expired[queue] = now
        self._db.execute("delete from messages where queue = ? and expires <= ?", (queue, now))

    def _hand_out(self, row: tuple[Any, ...], now: int, visibility_s: int) -> Received:
        seq, message_id, body, attributes, sender, sent, receives, first = row
        receipt = f"{seq}.{receives + 1}.{secrets.token_urlsafe(24)}"
        first = first or now
        self._db.execute(
            "update messages set receives = ?, first_received = ?, receipt = ?, visible = ? where seq = ?",
            (receives + 1, first, receipt, now + visibility_s * 1000, seq),
        )
        return Received(message_id, body, json.loads(attributes), sender, sent, receives + 1, first, receipt)

    def _move(self, seq: int, queue: str, dead_queue: str) -> None:
        if dead_queue in self._queues:
            self._db.execute(
                "update messages set queue = ?, receipt = null, visible = ?, origin = ? where seq = ?",
                (dead_queue, self.now(), queue, seq),
            )
            self._wake(dead_queue)
        else:  # AWS keeps retrying into a queue that is gone; the message stays out of sight for a while
            self._db.execute("update messages set visible = ? where seq = ?", (self.now() + 30_000, seq))

    def _retention_ms(self, queue: str) -> int | None:
        attributes = self._queues.get(queue)
        return int(attributes["MessageRetentionPeriod"]) * 1000 if attributes else None

    def _wake(self, queue: str) -> None:
        if queue in self._arrivals:
            self._arrivals[queue].set()


def _seq(receipt: str) -> int:
    head = receipt.partition(".")[0]
    return int(head) if head.isdigit() and len(head) < 19 else -1


def md5(text: str | bytes) -> str:
    """The hex MD5 that SQS and S3 report; a checksum, not a secret."""
    return hashlib.md5(text if isinstance(text, bytes) else text.encode(), usedforsecurity=False).hexdigest()
