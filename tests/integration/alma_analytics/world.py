"""A small world for whole runs in one process: the real steps, job tables and PostgreSQL; Alma, queues, blobs and mail
that keep the promises of the real ones, and break what those may break. A seed gives the same weather each time.

Any call of a step may be its last: the process "dies" before or after it, and its message comes again. And in any call
another delivery may take place, with the turn of the first one lost or not: what two instances do at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg

from core.alma_analytics import clean_up, combine, cross_reference, notify, prepare
from core.alma_analytics.fetch import Fetch
from core.alma_analytics.ports import Tx
from core.alma_analytics.update import Update
from core.alma_analytics.work import Work
from core.clients.faults import Transient
from core.jobs import machine
from core.jobs.outbox import Outbox
from core.messages import alma_analytics as messages
from core.messages.alma_analytics import FetchPage, ReportJob
from core.messages.envelope import unpack
from core.runtime.deadline import Deadline
from core.runtime.outcome import Dead, Done, Outcome
from tests.integration.alma_analytics.outside import Alma, Blobs, Clock, Mailbox
from tests.integration.alma_analytics.weather import Killed, Weather
from tests.postgres import Database

TRIES = 5
QUEUES = ("api-fetch", "data-combine", "cross-reference", "update-prep", "alma-update", "report-email", "cleanup")


def lose_turns(database: Database) -> None:
    """Ends every connection that waits inside a transaction: those that hold a turn."""
    with database.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where state = 'idle in transaction' and pid <> pg_backend_pid() and datname = current_database()"
        )


@dataclass(eq=False)
class Message:
    """On a queue."""

    queue: str
    body: bytes
    visible: datetime
    tries: int = 0


class World:
    """Runs a job to its end."""

    def __init__(self, database: Database, weather: Weather) -> None:
        self.weather, self.clock = weather, Clock()
        self._database = database
        self.alma = Alma(weather, self.clock)
        self.pages, self.datasets, self.reports = Blobs(weather), Blobs(weather), Blobs(weather)
        self.mailbox = Mailbox(weather)
        self.queue: list[Message] = []
        self.dead: list[str] = []
        self.poison: list[Message] = []
        self.deliveries = 0
        self.killed = 0
        self.overlapped = 0
        self._in_hand: list[Message] = []
        weather.meanwhile = self._meanwhile

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """The database, which a process that dies leaves before or after its commit."""
        try:
            with self.weather.maybe_last(), self._database.connect() as connection:
                yield connection
                if self.weather.strikes(self.weather.kill / 2):
                    raise Killed
        except psycopg.OperationalError as error:
            raise Transient(str(error)) from error

    def sender(self, name: str) -> Any:
        world = self

        class Sender:
            def send(self, body: bytes, *, delay_s: int = 0) -> None:
                with world.weather.maybe_last(overlaps=False):  # in a transaction, whose locks another would wait for
                    world.put(name, body, delay_s)

        return Sender()

    def put(self, queue: str, body: bytes, delay_s: float = 0) -> None:
        visible = self.clock.now + timedelta(seconds=delay_s)
        copies = 2 if self.weather.strikes(self.weather.double) else 1
        self.queue += [Message(queue, body, visible) for _ in range(copies)]

    def work(self, traceparent: str = "") -> Work:
        outbox = Outbox(self, {name: self.sender(name) for name in QUEUES}, now=self.clock)
        return Work(database=self, outbox=outbox, traceparent=traceparent, now=self.clock)

    def start(self, job: ReportJob, run_id: str = "run-1") -> None:
        """What the scheduler does."""
        self.weather.calm = True
        with self._database.connect() as tx:
            machine.start(
                tx, run_id=run_id, system="alma_analytics", job=job.name, slot=self.clock.now, trigger="schedule",
                params=msgspec.to_builtins(job), traceparent="",
            )  # fmt: skip
            work = self.work()
            for side in ("main", "other") if job.other else ("main",):
                work.send(tx, run_id, "api-fetch", FetchPage(run_id=run_id, side=side), f"{side}/1/1")
        self.work().outbox.flush(run_id)
        self.weather.calm = False

    def run(self, most: int = 5000) -> None:
        """Delivers until nothing is left; in the end also what was poison, once the weather is calm."""
        for _ in range(most):
            if not self.queue:
                if not self.poison:
                    return
                self.weather.calm = True
                self.queue, self.poison = [Message(one.queue, one.body, self.clock.now) for one in self.poison], []
            ready = self._ready()
            if not ready:
                self.clock.now = min(one.visible for one in self.queue)
                continue
            self._deliver(self.weather.random.choice(ready))
        raise AssertionError(f"still {len(self.queue)} messages after {most} deliveries: {self.queue[:3]}")

    def _ready(self) -> list[Message]:
        """Visible, and in nobody's hand: by identity, for a doubled message equals its copy."""
        held = {id(one) for one in self._in_hand}
        return [one for one in self.queue if one.visible <= self.clock.now and id(one) not in held]

    def _meanwhile(self) -> None:
        """What another instance does while this one is in the middle of a call."""
        ready = self._ready()
        if not ready or len(self._in_hand) > 1:
            return
        self.overlapped += 1
        if self.weather.strikes(self.weather.turn_lost):
            lose_turns(self._database)
        self._deliver(self.weather.random.choice(ready))

    def _deliver(self, message: Message) -> None:
        self.deliveries += 1
        message.tries += 1
        self._in_hand.append(message)
        try:
            self._settle(message)
        finally:
            self._in_hand.remove(message)

    def _settle(self, message: Message) -> None:
        try:
            outcome = self._handle(message)
        except Killed:
            self.killed += 1
            outcome = None
        except Transient:
            outcome = None
        if isinstance(outcome, Done):
            self.queue.remove(message)
        elif isinstance(outcome, Dead):
            self.queue.remove(message)
            self.dead.append(outcome.reason)
        elif message.tries >= TRIES:
            self.queue.remove(message)
            self.poison.append(message)
        else:
            message.visible = self.clock.now + timedelta(seconds=20)

    def _handle(self, message: Message) -> Outcome:
        envelope = unpack(message.body)
        assert envelope is not None
        kind = getattr(messages, envelope.type)
        body = msgspec.json.decode(envelope.body, type=kind)
        work = self.work(envelope.traceparent)
        handlers: dict[str, Callable[[], Outcome]] = {
            "api-fetch": lambda: Fetch(work, self.alma, self.pages, body).execute(),
            "data-combine": lambda: combine.combine(work, self.pages, self.datasets, body),
            "cross-reference": lambda: cross_reference.cross_reference(work, self.datasets, body),
            "update-prep": lambda: prepare.prepare_updates(work, self.datasets, body),
            "alma-update": lambda: Update(work, self.alma, body, Deadline(300), sleep=lambda _s: None).execute(),
            "report-email": lambda: notify.notify(work, self.reports, self.mailbox, body),
            "cleanup": lambda: clean_up.clean_up(work, self.pages, self.datasets, body),
        }
        return handlers[message.queue]()
