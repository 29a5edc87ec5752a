"""Pages → one dataset, as Parquet. Pages that disagree about their columns are an error that names the column."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.alma_analytics import names
from core.alma_analytics.fetch import unpacked
from core.alma_analytics.ports import Container, Tx
from core.alma_analytics.work import SQL, Open, Work
from core.jobs import machine
from core.messages.alma_analytics import Combine, CrossReference, PrepareUpdates, ReportJob
from core.runtime.outcome import Outcome

GROUP_ROWS = 50_000
"""Rows of a Parquet row group: what is in memory while pages are combined."""


class Drift(Exception):  # noqa: N818 - said of the pages
    """The report changed while it was fetched, or is not the one that the job means."""


def combine(work: Work, pages: Container, datasets: Container, message: Combine) -> Outcome:
    """All pages of a report into one dataset; with both of a run's datasets there, the next step."""
    run_id, side = message.run_id, message.side
    with work.database.transaction() as tx:
        opened = work.open(tx, names.DATA_COMBINE, message)
        if isinstance(opened, Open):
            machine.open_stage(tx, run_id, names.COMBINE, names.sides(opened.job))
            begun = machine.begin_task(tx, run_id, names.COMBINE, side)
            listed = tx.execute(SQL["pages"], {"run_id": run_id, "side": side, "round": message.round}).fetchall()
    if not isinstance(opened, Open):
        work.outbox.flush(run_id)
        return opened
    if begun is None:
        return work.done(run_id, left=f"the {side} dataset is there")
    job = opened.job
    try:
        columns = agreed(job, side, listed)
    except Drift as drift:
        with work.database.transaction() as tx:
            work.give_up(tx, run_id, str(drift))
        return work.done(run_id, failed=str(drift))
    blob = f"{run_id}/{side}.parquet"
    body = parquet(columns, (_page(pages, row["blob"]) for row in listed))
    datasets.put(blob, body, kind="application/vnd.apache.parquet")
    rows = sum(row["rows"] for row in listed)
    with work.database.transaction() as tx:
        _keep(work, tx, job, message, {"run_id": run_id, "side": side, "rows": rows, "columns": columns, "blob": blob})
    return work.done(run_id, side=side, pages=len(listed), rows=rows, bytes=len(body))


def _keep(work: Work, tx: Tx, job: ReportJob, message: Combine, dataset: Mapping[str, Any]) -> None:
    run_id = message.run_id
    tx.execute(SQL["put_dataset"], dataset)
    if not machine.finish_task(tx, run_id, names.COMBINE, message.side, result={"rows": dataset["rows"]}).stage_done:
        return
    if job.other is not None:
        work.send(tx, run_id, names.CROSS_REFERENCE, CrossReference(run_id=run_id), names.JOIN)
    elif job.rule is not None:
        work.send(tx, run_id, names.UPDATE_PREP, PrepareUpdates(run_id=run_id), names.PREPARE)
    else:
        work.tell(tx, run_id)


def agreed(job: ReportJob, side: str, pages: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns that all pages have, and that the job asks for. Raises Drift."""
    columns: list[str] = list(pages[0]["columns"])
    for page in pages[1:]:
        if list(page["columns"]) == columns:
            continue
        first = next(
            (f'"{was}" became "{now}"' for was, now in zip(columns, page["columns"], strict=False) if was != now),
            f"{len(columns)} columns became {len(page['columns'])}",
        )
        raise Drift(
            f"{side} report: every page must have the same columns, on page {page['page']} {first}; run it again"
        )
    for wanted in wanted_columns(job, side):
        if wanted not in columns:
            raise Drift(
                f'{side} report: must have column "{wanted}", got {", ".join(columns) or "none"}; '
                "correct the report or the job"
            )
    return columns


def wanted_columns(job: ReportJob, side: str) -> list[str]:
    """What a job's definition names of one of its reports."""
    rule_columns = [
        *(job.rule.ids if job.rule else ()),
        *(column for change in (job.rule.set if job.rule else ()) for column in (change.column, change.now) if column),
    ]
    if side == "other":
        named = [column.removeprefix("other.") for column in rule_columns if column.startswith("other.")]
        return [*([job.other.key] if job.other and job.other.key else []), *named]
    own = [column for column in rule_columns if not column.startswith("other.")]
    return [*(job.columns or ()), *([job.report.key] if job.report.key else []), *own]


def _page(pages: Container, name: str) -> list[list[str | None]]:
    kept = pages.get(name)
    if kept is None:
        raise LookupError(f"page {name}: must be there until its run is over, it is gone; retry the run from its fetch")
    return unpacked(kept.body).values


def parquet(columns: Sequence[str], pages: Iterable[list[list[str | None]]]) -> bytes:
    """The dataset's bytes. Every column is text, as Analytics gives it; what a value means is the job's business."""
    schema = pa.schema([(name, pa.string()) for name in columns])
    with tempfile.TemporaryFile() as file:
        with pq.ParquetWriter(file, schema, compression="snappy", use_dictionary=False) as writer:
            held: list[Any] = []
            rows = 0
            for values in pages:
                held.append(pa.record_batch([pa.array(column, pa.string()) for column in values], schema=schema))
                rows += len(held[-1])
                if rows >= GROUP_ROWS:
                    writer.write_table(pa.Table.from_batches(held, schema))
                    held, rows = [], 0
            writer.write_table(pa.Table.from_batches(held, schema))
        file.seek(0)
        return file.read()
