"""Runs begin: because a slot of their job's schedule is due, or because a person asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from core.alma_analytics import jobs, names
from core.alma_analytics.jobs import SQL
from core.alma_analytics.schedule import ScheduleError, due_slot, next_slot
from core.clients.faults import Fault
from core.jobs import machine
from core.jobs.machine import Tx
from core.jobs.outbox import Database, Outbox, Putting
from core.messages.alma_analytics import FetchPage, ReportJob

SCHEDULE: Final = "schedule"
PERSON: Final = "person"


def begin(
    tx: Tx, outbox: Putting, job: ReportJob, *, run_id: str, slot: datetime, trigger: str, traceparent: str
) -> bool:
    """Starts the run and has the first page of each of its reports fetched. False: it was started before."""
    params = msgspec.to_builtins(job)
    if not machine.start(
        tx, run_id=run_id, system=names.SYSTEM, job=job.name, slot=slot, trigger=trigger, params=params,
        traceparent=traceparent,
    ):  # fmt: skip
        return False
    for side in names.sides(job):
        machine.open_stage(tx, run_id, names.fetch(side), [names.ONLY], sealed=False)
        outbox.put(
            tx, run_id=run_id, queue=names.API_FETCH, message=FetchPage(run_id=run_id, side=side),
            message_id=f"{run_id}/{side}/1/1", traceparent=traceparent,
        )  # fmt: skip
    return True


@dataclass(kw_only=True)
class Ticked:
    """What one tick of the scheduler did."""

    started: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    """Jobs that were given up, and runs whose message waits for the sweep, with the reason."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Jobs that are due, and the run of theirs that must be over first."""
    unsent: bool = False


class Scheduler:
    """Starts what is due. Any number of them may work at once: a due job is one's at a time, a slot has one run, and a
    job has one run at a time. A slot that comes while the last run is still going stays due until that one is over.
    """

    def __init__(
        self, database: Database, outbox: Outbox, *, traceparent: str, now: Callable[[], datetime],
        time_left: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """`time_left`: whether another job may still be begun."""
        self._database, self._outbox = database, outbox
        self._traceparent, self._now, self._time_left = traceparent, now, time_left

    def tick(self) -> Ticked:
        """One job a transaction: a broken one does not keep the others waiting, a kill repeats one."""
        done = Ticked()
        while self._time_left():
            with self._database.transaction() as tx:
                due = {"now": self._now(), "system": names.SYSTEM}
                row = tx.execute(SQL["take_due"], due).fetchone()
                if row is None:
                    waiting = tx.execute(SQL["due_and_waiting"], due).fetchall()
                    done.waiting = {one["name"]: one["run_id"] for one in waiting}
                    return done
                run_id = self._one(tx, row, done)
            if run_id:
                self._send(run_id, done)
        return done

    def _one(self, tx: Tx, row: dict[str, Any], done: Ticked) -> str:
        """The run that was started, or ""."""
        name, now = row["name"], self._now()
        if jobs.under_way(tx, name):  # begun since this job was chosen: the next look passes it over
            return ""
        try:
            job = msgspec.convert(row["job"], ReportJob)
            slot, following = _slots(job, row["next_slot"], now)
        except (msgspec.ValidationError, ScheduleError) as error:
            tx.execute(SQL["give_up"], {"name": name, "problem": str(error)})
            done.problems[name] = str(error)
            return ""
        tx.execute(SQL["set_next"], {"name": name, "next_slot": following})
        if slot is None:
            return ""
        run_id = names.scheduled_run(name, slot)
        started = begin(
            tx, self._outbox, job, run_id=run_id, slot=slot, trigger=SCHEDULE, traceparent=self._traceparent
        )
        if started:
            done.started.append(run_id)
        return run_id

    def _send(self, run_id: str, done: Ticked) -> None:
        try:
            self._outbox.flush(run_id)
        except Fault as fault:  # committed all the same: the sweep sends it
            done.problems[run_id] = str(fault)
            done.unsent = True


def _slots(job: ReportJob, first: datetime, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The slot to run now, and the one after."""
    if job.schedule is None or not job.enabled:
        return None, None
    slot = due_slot(job.schedule, job.time_zone, first=first, now=now)
    return slot, next_slot(job.schedule, job.time_zone, now)
