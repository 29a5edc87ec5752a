"""Runs, their stages and tasks: every move there is, and whether it happened.

`tx` is a connection inside a transaction; nothing here commits. A move that was made before answers "no" and changes
nothing, so a message that comes twice, late or out of order does no harm. Every move locks its run's row first, so a
transaction should touch one run and be short: the moves of one run wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from core.sql import named

Tx = psycopg.Connection[dict[str, Any]]
RunState = Literal["running", "parked", "done", "failed"]

_SQL: Final = named("core.jobs", "queries.sql")
_REASON_CHARACTERS: Final = 2_000


class Run(msgspec.Struct, kw_only=True):
    """One execution of a job; times in UTC."""

    run_id: str
    system: str
    job: str
    slot: datetime
    """The moment of its schedule that it stands for."""
    trigger: str
    state: RunState
    params: dict[str, Any]
    """The job as it was when the run began."""
    traceparent: str
    error: str | None
    """Why it failed (the first reason), or why it is parked."""
    parked_until: datetime | None
    created_at: datetime
    finished_at: datetime | None
    requests: int
    """Sent to outside APIs."""
    counts: dict[str, int]
    retries: int
    """How often it went on after it had failed."""


class Stage(msgspec.Struct, kw_only=True):
    """A part of a run."""

    run_id: str
    stage: str
    state: Literal["open", "done"]
    sealed: bool
    """No more tasks will come."""
    round: int
    """1, and one more for each `reset_stage`."""
    tasks: int
    settled: int
    """Done and failed."""
    failed: int
    opened_at: datetime
    done_at: datetime | None


class Task(msgspec.Struct, kw_only=True):
    """A piece of work that one message asks for."""

    run_id: str
    stage: str
    task: str
    state: Literal["waiting", "running", "done", "failed"]
    attempt: int
    """How often it was begun: 1 at the first time."""
    round: int
    """Its stage's."""
    started_at: datetime | None
    finished_at: datetime | None
    requests: int
    result: dict[str, Any] | None
    reason: str | None


class Finish(NamedTuple):
    """What came of settling a task or sealing a stage."""

    moved: bool
    """It happened now, not before."""
    stage_done: bool
    """The stage ended with it. True for exactly one caller, ever (until a person has its failed tasks tried again)."""


_NOT_MOVED: Final = Finish(moved=False, stage_done=False)


def start(
    tx: Tx, *, run_id: str, system: str, job: str, slot: datetime, trigger: str, params: Mapping[str, Any],
    traceparent: str,
) -> bool:  # fmt: skip
    """Begins a run. False: it is there already, begun by somebody else or earlier."""
    values = {"run_id": run_id, "system": system, "job": job, "slot": slot, "trigger": trigger,
              "params": Jsonb(dict(params)), "traceparent": traceparent}  # fmt: skip
    return _moved(tx, "start_run", values)


def find(tx: Tx, run_id: str) -> Run | None:
    """The run, or None."""
    row = tx.execute(_SQL["find_run"], {"run_id": run_id}).fetchone()
    return None if row is None else msgspec.convert(row, Run)


def lock(tx: Tx, run_id: str) -> str | None:
    """Makes other moves of the run wait until the transaction ends. Its state; None: no such run."""
    row = tx.execute(_SQL["lock_run"], {"run_id": run_id}).fetchone()
    return None if row is None else str(row["state"])


def _lock(tx: Tx, run_id: str) -> None:
    """The same; the answer is not waited for, so that in a pipeline it travels with the move that it guards."""
    tx.execute(_SQL["lock_run"], {"run_id": run_id})


def count(tx: Tx, run_id: str, *, requests: int = 0, **counts: int) -> None:
    """Adds to the run's requests and counts: `count(tx, run_id, rows=500)`."""
    tx.execute(_SQL["count_run"], {"run_id": run_id, "requests": requests, "counts": Jsonb(counts)})


def park(tx: Tx, run_id: str, until: datetime, reason: str) -> bool:
    """Running → parked: nothing is done for it before `until`. Its own delayed message, or the sweep, resumes it."""
    return _moved(tx, "park_run", {"run_id": run_id, "until": until, "reason": _kept(reason)})


def resume(tx: Tx, run_id: str) -> bool:
    """Parked or failed → running: the error is forgotten."""
    return _moved(tx, "resume_run", {"run_id": run_id})


def fail(tx: Tx, run_id: str, reason: str) -> bool:
    """Running or parked → failed. Only the first reason stays."""
    return _moved(tx, "fail_run", {"run_id": run_id, "reason": _kept(reason)})


def finish(tx: Tx, run_id: str) -> bool:
    """Running → done."""
    return _moved(tx, "finish_run", {"run_id": run_id})


# ---- stages


def open_stage(tx: Tx, run_id: str, stage: str, tasks: Iterable[str] = (), *, sealed: bool = True) -> bool:
    """Opens a stage with its tasks. False: it was there, and is left as it is.

    `sealed=False`: more tasks may follow (`add_task`) until `seal`. A sealed stage without tasks is done at once, and
    nobody will be told so: its opener goes on with what comes after it.
    """
    names = list(dict.fromkeys(tasks))
    _lock(tx, run_id)
    values = {"run_id": run_id, "stage": stage, "tasks": len(names), "sealed": sealed}
    if not _moved(tx, "open_stage", values):
        return False
    if names:
        tx.execute(_SQL["insert_tasks"], values | {"tasks": names})
    return True


def find_stage(tx: Tx, run_id: str, stage: str) -> Stage | None:
    """The stage with its counters, or None."""
    row = tx.execute(_SQL["find_stage"], {"run_id": run_id, "stage": stage}).fetchone()
    return None if row is None else msgspec.convert(row, Stage)


def stages(tx: Tx, run_id: str) -> list[Stage]:
    """All stages of a run in order of opening."""
    return msgspec.convert(tx.execute(_SQL["stages"], {"run_id": run_id}).fetchall(), list[Stage])


def seal(tx: Tx, run_id: str, stage: str) -> Finish:
    """No more tasks will come; the stage is done at once when all that came are settled."""
    _lock(tx, run_id)
    return _finish(tx, "seal_stage", {"run_id": run_id, "stage": stage})


def reset_stage(tx: Tx, run_id: str, stage: str, *, round: int | None = None) -> int | None:  # noqa: A002 - the column's word
    """Begins a stage anew: its tasks are forgotten, it is unsealed and empty. Returns its new round.

    None, and nothing happens, when it is unknown, done, or (with `round`) no longer in that round: of two that want the
    same, the second one learns that it is too late.
    """
    _lock(tx, run_id)
    values = {"run_id": run_id, "stage": stage, "round": round}
    row = tx.execute(_SQL["reset_stage"], values).fetchone()
    if row is None:
        return None
    tx.execute(_SQL["forget_tasks"], values)
    return int(row["round"])


# ---- tasks


def add_task(tx: Tx, run_id: str, stage: str, task: str) -> bool:
    """One more task of an unsealed stage. False: it was there, or the stage takes no more."""
    _lock(tx, run_id)
    return _moved(tx, "add_task", {"run_id": run_id, "stage": stage, "task": task})


def begin_task(tx: Tx, run_id: str, stage: str, task: str, *, over: bool = False) -> Task | None:
    """→ running, one attempt more. None: unknown or settled, or the run is over (unless `over`: work of its end).

    A parked run is not over: look at `find(…).parked_until` first. A task that runs already is begun again, for its
    first worker may be dead; two at once must do no harm, and only one of them will settle it.
    """
    _lock(tx, run_id)
    row = tx.execute(_SQL["begin_task"], {"run_id": run_id, "stage": stage, "task": task, "over": over}).fetchone()
    return None if row is None else msgspec.convert(row, Task)


def finish_task(
    tx: Tx, run_id: str, stage: str, task: str, *, result: Mapping[str, Any] | None = None, requests: int = 0
) -> Finish:
    """→ done. `requests` count as the run's cost even when the task was settled before.

    It settles whatever the run's state: work that was done stays done.
    """
    return _settle(tx, run_id, stage, task, state="done", result=result, reason=None, requests=requests)


def fail_task(tx: Tx, run_id: str, stage: str, task: str, reason: str, *, requests: int = 0) -> Finish:
    """→ failed, for good. It counts towards its stage's end like a done one; the stage keeps how many failed."""
    return _settle(tx, run_id, stage, task, state="failed", result=None, reason=_kept(reason), requests=requests)


def tasks(tx: Tx, run_id: str, *, unsettled: bool = False) -> list[Task]:
    """The run's tasks by stage and number; `unsettled`: only those that are still to do."""
    return msgspec.convert(tx.execute(_SQL["tasks"], {"run_id": run_id, "unsettled": unsettled}).fetchall(), list[Task])


# ---- trying again


def reopen(tx: Tx, run_id: str, stage: str) -> list[str]:
    """The stage's failed tasks wait again, and the stage is open; their names. Its end will be told once more."""
    _lock(tx, run_id)
    values = {"run_id": run_id, "stage": stage}
    found = [str(row["task"]) for row in tx.execute(_SQL["reopen_tasks"], values).fetchall()]
    if found:
        tx.execute(_SQL["reopen_stage"], values)
    return found


def forget_stage(tx: Tx, run_id: str, stage: str) -> bool:
    """As if it had never been opened: what comes before it is done once more."""
    _lock(tx, run_id)
    return _moved(tx, "forget_stage", {"run_id": run_id, "stage": stage})


def _settle(
    tx: Tx, run_id: str, stage: str, task: str, *, state: str, result: Mapping[str, Any] | None, reason: str | None,
    requests: int,
) -> Finish:  # fmt: skip
    if requests:
        count(tx, run_id, requests=requests)  # locks the run's row as well
    else:
        _lock(tx, run_id)
    values = {"run_id": run_id, "stage": stage, "task": task, "state": state, "reason": reason, "requests": requests,
              "result": None if result is None else Jsonb(dict(result))}  # fmt: skip
    return _finish(tx, "settle_task", values)


def _kept(reason: str) -> str:
    """A reason as PostgreSQL can keep it: others' words may hold NUL or halves of characters, and have no end."""
    text = reason.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    return text if len(text) <= _REASON_CHARACTERS else text[:_REASON_CHARACTERS] + "…"


def _moved(tx: Tx, statement: str, values: Mapping[str, Any]) -> bool:
    return tx.execute(_SQL[statement], values).fetchone() is not None


def _finish(tx: Tx, statement: str, values: Mapping[str, Any]) -> Finish:
    row = tx.execute(_SQL[statement], values).fetchone()
    return _NOT_MOVED if row is None else Finish(moved=True, stage_done=row["state"] == "done")
