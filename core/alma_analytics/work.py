"""What every step has at hand: the run it serves, a turn of its own, and the ways out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from core.alma_analytics import names
from core.alma_analytics.ports import Database, Outbox, Tx
from core.jobs import machine
from core.messages.alma_analytics import Notify, OfRun, ReportJob
from core.runtime.outcome import Dead, Done, Outcome, Retry
from core.sql import named

SQL = named("core.alma_analytics", "queries.sql")
BUSY = Retry("another instance is at this very work; it goes on when that one ends")


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Open:
    """A run that this message may work on."""

    run: machine.Run
    job: ReportJob
    """The job as it was when the run began."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """The database, the outbox, and the trace that messages carry on."""

    database: Database
    outbox: Outbox
    traceparent: str
    now: Callable[[], datetime] = utc_now

    @contextmanager
    def alone(self, what: str) -> Iterator[bool]:
        """Whether this process has `what` to itself; nobody else has it until the end, or until this process dies."""
        with self.database.transaction() as guard:
            with guard.pipeline():  # the transaction's beginning travels along
                row = guard.execute(SQL["alone"], {"what": what}).fetchone()
            yield bool(row and row["mine"])

    def open(self, tx: Tx, queue: str, message: OfRun) -> Open | Outcome:
        """The run, if it goes on; otherwise what becomes of the message that came by `queue`."""
        run_id = message.run_id
        run = machine.find(tx, run_id)
        if run is None:
            return Dead(f"run {run_id}: must be one that was started, there is none of that name")
        if run.state == "parked" and run.parked_until is not None:
            if run.parked_until > self.now():  # so does the message
                self.send(tx, run_id, queue, message, f"parked/{run.parked_until:%Y%m%d}/{name_of(message)}",
                          not_before=run.parked_until)  # fmt: skip
                return Done(summary={"run": run_id, "parked_until": run.parked_until.isoformat()})
            machine.resume(tx, run_id)
        elif run.state != "running":
            return Done(summary={"run": run_id, "left": f"the run is {run.state}"})
        return Open(run, msgspec.convert(run.params, ReportJob))

    def send(
        self, tx: Tx, run_id: str, queue: str, message: OfRun, name: str, *, not_before: datetime | None = None
    ) -> None:
        """Leaves with the transaction; `name` makes the message's id within the run."""
        self.outbox.put(
            tx, run_id=run_id, queue=queue, message=message, message_id=f"{run_id}/{name}",
            traceparent=self.traceparent, not_before=not_before,
        )  # fmt: skip

    def tell(self, tx: Tx, run_id: str) -> None:
        """The run is where its people are told."""
        machine.open_stage(tx, run_id, names.NOTIFY, [names.ONLY])
        self.send(tx, run_id, names.REPORT_EMAIL, Notify(run_id=run_id), names.NOTIFY)

    def give_up(self, tx: Tx, run_id: str, reason: str) -> None:
        """A lasting fault ends the run; its people are told, once."""
        if machine.fail(tx, run_id, reason):
            self.tell(tx, run_id)

    def done(self, run_id: str, **summary: object) -> Done:
        """Ends a step: what its transactions left to send is sent; also what a predecessor that died had left."""
        self.outbox.flush(run_id)
        return Done(summary={"run": run_id, **summary})


def tomorrow(now: datetime) -> datetime:
    """When Alma counts a new day's requests: midnight UTC, and a little."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=30, microsecond=0) + timedelta(days=1)


def name_of(message: OfRun) -> str:
    """What tells a run's messages apart: their own fields."""
    told = msgspec.structs.asdict(message)
    return "-".join([type(message).__name__.lower(), *(str(value) for key, value in told.items() if key != "run_id")])
