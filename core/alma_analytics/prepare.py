"""Dataset → the records that must change, in batches. Rows that say nothing new are left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.alma_analytics import names
from core.alma_analytics.ports import Container, Tx
from core.alma_analytics.work import SQL, Open, Work
from core.jobs import machine
from core.messages.alma_analytics import Change, PrepareUpdates, Rule, UpdateRecords
from core.runtime.outcome import Done, Outcome

BATCH = 50
"""Records a message: at a limit of 25 requests a second and two a record, four seconds of one worker."""


@dataclass(slots=True)
class Wanted:
    """One record, and what the run wants of it."""

    ids: tuple[str, ...]
    before: dict[str, str | None]
    """What the report says is there, for the fields of which it says something."""
    after: dict[str, str]
    reason: str = ""
    """Why it is listed and left alone."""


@dataclass(slots=True)
class Plan:
    """What a dataset asks for."""

    wanted: dict[tuple[str, ...], Wanted] = field(default_factory=dict)
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that ask for nothing, by reason."""


def prepare_updates(work: Work, datasets: Container, message: PrepareUpdates) -> Outcome:
    """Plans the run's updates and sends their batches."""
    run_id = message.run_id
    with work.database.transaction() as tx:
        opened = work.open(tx, names.UPDATE_PREP, message)
        if isinstance(opened, Open):
            machine.open_stage(tx, run_id, names.PREPARE, [names.ONLY])
            begun = machine.begin_task(tx, run_id, names.PREPARE, names.ONLY)
            found = {row["side"]: row["blob"] for row in tx.execute(SQL["get_datasets"], {"run_id": run_id}).fetchall()}
    if not isinstance(opened, Open):
        work.outbox.flush(run_id)
        return opened
    rule = opened.job.rule
    if begun is None or rule is None:
        return work.done(run_id, left="its updates are planned")
    name = found.get("joined", found["main"])
    kept = datasets.get(name)
    if kept is None:
        raise LookupError(f"dataset {name}: must be there until its run is over, it is gone; retry the run")
    made = plan(rule, kept.body)
    with work.database.transaction() as tx:
        kept_now = _keep(work, tx, opened, made)
    if not kept_now:
        return work.done(run_id, left="another delivery planned its updates")
    changed = sum(not one.reason for one in made.wanted.values())
    work.outbox.flush(run_id)
    return Done(
        counts={"in": len(made.wanted), "dead": len(made.wanted) - changed},
        summary={"run": run_id, "rows": made.rows, "records": changed, "left_out": dict(made.left_out)},
    )


def _keep(work: Work, tx: Tx, opened: Open, made: Plan) -> bool:
    """False: another delivery has kept its plan meanwhile, which is the same."""
    run_id, job = opened.run.run_id, opened.job
    todo = sorted((one for one in made.wanted.values() if not one.reason), key=lambda one: one.ids)
    refused = [one for one in made.wanted.values() if one.reason]
    state = "dry" if job.dry_run else "pending"
    counts = {"rows": made.rows, "records": len(todo), "refused": len(refused), **made.left_out}
    if not machine.finish_task(tx, run_id, names.PREPARE, names.ONLY, result=counts).moved:
        return False
    with tx.cursor() as cursor, cursor.copy(SQL["copy_records"]) as copy:
        for position, one in enumerate([*todo, *refused]):
            assert job.rule is not None  # noqa: S101 - nothing is planned without one
            before, after = msgspec.json.encode(one.before).decode(), msgspec.json.encode(one.after).decode()
            reason, batch = one.reason or None, position // BATCH
            copy.write_row(
                (run_id, position, batch, job.rule.kind, list(one.ids), before, after,
                 "refused" if reason else state, reason)
            )  # fmt: skip
    machine.count(tx, run_id, records=len(todo))
    if job.dry_run or not todo:
        work.tell(tx, run_id)
        return True
    batches = range(-(-len(todo) // BATCH))
    machine.open_stage(tx, run_id, names.UPDATE, [str(batch) for batch in batches])
    for batch in batches:
        work.send(tx, run_id, names.ALMA_UPDATE, UpdateRecords(run_id=run_id, batch=batch), f"update-{batch}")
    return True


def plan(rule: Rule, dataset: bytes) -> Plan:
    """What `rule` asks of each record of the dataset (Parquet)."""
    made = Plan()
    source = pq.ParquetFile(pa.BufferReader(dataset))
    for batch in source.iter_batches(columns=sorted(_columns(rule))):
        made.rows += len(batch)
        news = _says_something(rule, batch)
        made.left_out["the same already"] += len(batch) - len(news)
        for row in news.to_pylist():
            _add(made, rule, row)
    made.left_out = +made.left_out
    return made


def _columns(rule: Rule) -> set[str]:
    changes = [column for change in rule.set for column in (change.column, change.now) if column]
    return {*rule.ids, *changes}


def _says_something(rule: Rule, batch: Any) -> Any:
    """The rows in which some field's new value is not the one that it has, as far as the report shows it."""
    if not all(change.now for change in rule.set):
        return batch
    masks = []
    for change in rule.set:
        new = batch[change.column] if change.column else pa.scalar(change.value)
        same = pc.equal(pc.fill_null(batch[change.now], ""), pc.fill_null(new, ""))
        masks.append(pc.invert(same))
    wanted = masks[0]
    for mask in masks[1:]:
        wanted = pc.or_(wanted, mask)
    return batch.filter(wanted)


def _add(made: Plan, rule: Rule, row: dict[str, str | None]) -> None:
    ids = tuple(row[column] or "" for column in rule.ids)
    before, after = {}, {}
    for change in rule.set:
        new = _new(change, row)
        if not new:  # a report's empty cell never empties a record
            made.left_out[f'no value in "{change.column}"'] += 1
            return
        after[change.field] = new
        if change.now:
            before[change.field] = row[change.now]
    if not all(ids):
        missing = next(column for column, value in zip(rule.ids, ids, strict=True) if not value)
        made.left_out[f'no id in "{missing}"'] += 1
        return
    known = made.wanted.setdefault(ids, Wanted(ids, before, after))
    if known.after != after:
        known.reason = "two rows of the report want different values of it"


def _new(change: Change, row: dict[str, str | None]) -> str | None:
    return row[change.column] if change.column else change.value
