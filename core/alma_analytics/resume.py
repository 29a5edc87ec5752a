"""A run that broke or stands still goes on: which messages are sent again, and what must be begun anew for them.

What is settled stays settled: pages that are fetched, datasets that are made, records that are updated. A report is
begun anew only where its cursor is of no more use; the run is a failed one that failed while fetching, or whose pages
disagree about their columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from core.alma_analytics import jobs, names
from core.jobs import machine
from core.jobs.machine import Run, Stage, Task, Tx
from core.jobs.outbox import Putting
from core.messages.alma_analytics import (
    Combine,
    CrossReference,
    FetchPage,
    Notify,
    PrepareUpdates,
    ReportJob,
    Side,
    UpdateRecords,
)
from core.sql import named

SQL: Final = named("core.alma_analytics", "resume.sql")
_NEED_NO_BLOBS: Final = (names.ALMA_UPDATE, names.REPORT_EMAIL)


class NotResumable(Exception):  # noqa: N818 - said of the run
    """There is nothing to go on with; the text says why and what to do instead."""


class Cursor(NamedTuple):
    """Where the fetching of one report stands."""

    round: int
    next_page: int


class Again(NamedTuple):
    """One message that goes out again."""

    queue: str
    message: msgspec.Struct
    name: str
    """Its id within the run."""
    anew: Side | None = None
    """The report that is begun anew for it, in the round that the message names."""


@dataclass(kw_only=True)
class Plan:
    """What a run needs to go on."""

    reopen: list[str] = field(default_factory=list)
    """Stages whose failed tasks wait again."""
    forget: list[str] = field(default_factory=list)
    """Stages that come again after what is done now."""
    messages: list[Again] = field(default_factory=list)


def plan(run: Run, stages: Sequence[Stage], tasks: Sequence[Task], cursors: Mapping[Side, Cursor]) -> Plan:
    """What has `run` go on where it stands. Raises NotResumable."""
    if run.state == "done":
        raise NotResumable(f"run {run.run_id}: is done; a new run of {run.job} touches only what is not done")
    by_name = {stage.stage: stage for stage in stages}
    messages = list(_Standing(run, by_name, tasks, cursors).messages())
    if not messages:
        raise NotResumable(f"run {run.run_id}: nothing of it is left to do; begin a new run of {run.job}")
    if names.CLEAN_UP in by_name and any(again.queue not in _NEED_NO_BLOBS for again in messages):
        raise NotResumable(f"run {run.run_id}: its pages and datasets were cleaned up; begin a new run of {run.job}")
    fetches = {names.fetch("main"), names.fetch("other")}  # those are begun anew
    reopen = [stage.stage for stage in stages if stage.failed and stage.stage not in {*fetches, names.NOTIFY}]
    # Its people heard of the failure; they shall hear of the end.
    forget = [names.NOTIFY] if run.state == "failed" and names.NOTIFY in by_name else []
    return Plan(reopen=reopen, forget=forget, messages=messages)


class _Standing:
    """Where a run stands."""

    def __init__(
        self, run: Run, stages: Mapping[str, Stage], tasks: Sequence[Task], cursors: Mapping[Side, Cursor]
    ) -> None:
        self._run, self._job = run, msgspec.convert(run.params, ReportJob)
        self._stages, self._cursors = stages, cursors
        self._tasks: dict[str, dict[str, Task]] = {}
        for task in tasks:
            self._tasks.setdefault(task.stage, {})[task.task] = task

    def messages(self) -> Iterator[Again]:
        """Those of the first part of the pipeline that is not done."""
        for part in (self._reports, self._join, self._prepare, self._update, self._notify):
            if found := list(part()):
                yield from found
                return

    def _reports(self) -> Iterator[Again]:
        """Each report by itself: one may be combined while the other is fetched."""
        for side in names.sides(self._job):
            combining = self._tasks.get(names.COMBINE, {}).get(side)
            if combining is not None and combining.state == "done":
                continue
            failed, cursor = self._run.state == "failed", self._cursors.get(side)
            drifted = failed and combining is not None and combining.attempt > 0
            if cursor is not None and self._done(names.fetch(side)) and not drifted:
                message = Combine(run_id=self._run.run_id, side=side, round=cursor.round)
                yield self._again(names.DATA_COMBINE, message, f"combine-{side}")
            elif cursor is not None and failed:
                yield self._fetch(side, Cursor(cursor.round + 1, 1), anew=True)
            else:
                yield self._fetch(side, cursor or Cursor(1, 1), anew=False)

    def _fetch(self, side: Side, cursor: Cursor, *, anew: bool) -> Again:
        message = FetchPage(run_id=self._run.run_id, side=side, round=cursor.round, page=cursor.next_page)
        again = self._again(names.API_FETCH, message, f"{side}/{cursor.round}/{cursor.next_page}")
        return again._replace(anew=side) if anew else again

    def _join(self) -> Iterator[Again]:
        if self._job.other is not None and not self._done(names.JOIN):
            yield self._again(names.CROSS_REFERENCE, CrossReference(run_id=self._run.run_id), names.JOIN)

    def _prepare(self) -> Iterator[Again]:
        if self._job.rule is not None and not self._done(names.PREPARE):
            yield self._again(names.UPDATE_PREP, PrepareUpdates(run_id=self._run.run_id), names.PREPARE)

    def _update(self) -> Iterator[Again]:
        for task in self._tasks.get(names.UPDATE, {}).values():
            if task.state != "done":
                message = UpdateRecords(run_id=self._run.run_id, batch=int(task.task))
                yield self._again(names.ALMA_UPDATE, message, f"update-{task.task}")

    def _notify(self) -> Iterator[Again]:
        if not self._done(names.NOTIFY):
            yield self._again(names.REPORT_EMAIL, Notify(run_id=self._run.run_id), names.NOTIFY)

    def _again(self, queue: str, message: msgspec.Struct, name: str) -> Again:
        return Again(queue, message, f"{name}/retry-{self._run.retries + 1}")

    def _done(self, stage: str) -> bool:
        found = self._stages.get(stage)
        return found is not None and found.state == "done" and not found.failed


def resume(tx: Tx, outbox: Putting, run_id: str, *, traceparent: str) -> Plan:
    """Has the run go on: its state and messages, in `tx`; flush the outbox after it. Raises NotResumable."""
    machine.lock(tx, run_id)
    run = machine.find(tx, run_id)
    if run is None or run.system != names.SYSTEM:
        raise NotResumable(f"run {run_id!r}: must be one that was started; see ./millrace alma runs")
    if other := jobs.under_way(tx, run.job, but=run_id):
        raise NotResumable(
            f"run {run_id}: must be the only run of {run.job} that is not over, {other}; wait until it is: "
            f"./millrace alma show {other.run_id}"
        )
    rows = tx.execute(SQL["cursors"], {"run_id": run_id}).fetchall()
    cursors: dict[Side, Cursor] = {row["side"]: Cursor(row["round"], row["next_page"]) for row in rows}
    made = plan(run, machine.stages(tx, run_id), machine.tasks(tx, run_id), cursors)
    machine.resume(tx, run_id)
    for stage in made.reopen:
        machine.reopen(tx, run_id, stage)
    for stage in made.forget:
        machine.forget_stage(tx, run_id, stage)
    _open_what_they_settle(tx, run_id, made)
    for again in made.messages:
        outbox.put(
            tx, run_id=run_id, queue=again.queue, message=again.message, message_id=f"{run_id}/{again.name}",
            traceparent=traceparent,
        )  # fmt: skip
    return made


def _open_what_they_settle(tx: Tx, run_id: str, made: Plan) -> None:
    """A stage for the messages that do not open their own: those of reports and of the last word."""
    for again in made.messages:
        if again.anew is not None:
            machine.forget_stage(tx, run_id, names.fetch(again.anew))
            tx.execute(SQL["begin_anew"], {"run_id": run_id, "side": again.anew})
            machine.open_stage(tx, run_id, names.fetch(again.anew), [names.ONLY], sealed=False)
        if again.queue == names.REPORT_EMAIL:
            machine.open_stage(tx, run_id, names.NOTIFY, [names.ONLY])
