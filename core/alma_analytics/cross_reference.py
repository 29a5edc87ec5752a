"""Two datasets → one: the job's own rows, with the columns of the other report where their keys are equal."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.alma_analytics import names
from core.alma_analytics.ports import Container
from core.alma_analytics.work import SQL, Open, Work
from core.jobs import machine
from core.messages.alma_analytics import CrossReference, PrepareUpdates, ReportJob
from core.runtime.outcome import Outcome

GROUP_ROWS = 65_536


class NotUnique(Exception):  # noqa: N818 - said of the keys
    """Two rows of the other report have one key: which of them counts is not ours to choose."""


def cross_reference(work: Work, datasets: Container, message: CrossReference) -> Outcome:
    """Joins the run's datasets and hands on."""
    run_id = message.run_id
    with work.database.transaction() as tx:
        opened = work.open(tx, names.CROSS_REFERENCE, message)
        if isinstance(opened, Open):
            machine.open_stage(tx, run_id, names.JOIN, [names.ONLY])
            begun = machine.begin_task(tx, run_id, names.JOIN, names.ONLY)
            found = {row["side"]: row for row in tx.execute(SQL["get_datasets"], {"run_id": run_id}).fetchall()}
    if not isinstance(opened, Open):
        work.outbox.flush(run_id)
        return opened
    if begun is None:
        return work.done(run_id, left="the joined dataset is there")
    job = opened.job
    main, other = (_read(datasets, found[side]["blob"]) for side in ("main", "other"))
    blob = f"{run_id}/joined.parquet"
    try:
        body, rows, columns = join(job, main, other)
    except NotUnique as fault:
        with work.database.transaction() as tx:
            work.give_up(tx, run_id, str(fault))
        return work.done(run_id, failed=str(fault))
    datasets.put(blob, body, kind="application/vnd.apache.parquet")
    with work.database.transaction() as tx:
        tx.execute(
            SQL["put_dataset"], {"run_id": run_id, "side": "joined", "rows": rows, "columns": columns, "blob": blob}
        )
        if not machine.finish_task(tx, run_id, names.JOIN, names.ONLY, result={"rows": rows}).moved:
            pass  # another delivery did the same meanwhile, and sent what follows
        elif job.rule is not None:
            work.send(tx, run_id, names.UPDATE_PREP, PrepareUpdates(run_id=run_id), names.PREPARE)
        else:
            work.tell(tx, run_id)
    return work.done(run_id, main=found["main"]["rows"], other=found["other"]["rows"], rows=rows)


def _read(datasets: Container, name: str) -> bytes:
    kept = datasets.get(name)
    if kept is None:
        raise LookupError(f"dataset {name}: must be there until its run is over, it is gone; retry the run")
    return kept.body


def join(job: ReportJob, main: bytes, other: bytes) -> tuple[bytes, int, list[str]]:
    """The joined dataset, its rows and columns. Raises NotUnique.

    Only the keys of the whole are looked at together; rows go through group by group, so that memory holds the other
    report and one group of the job's own.
    """
    assert job.other is not None and job.other.key and job.report.key  # noqa: S101, PT018 - the job was checked as a whole
    matched = job.rule.matched if job.rule else "any"
    theirs = pq.read_table(pa.BufferReader(other)).combine_chunks()
    at = _places(
        pq.read_table(pa.BufferReader(main), columns=[job.report.key])[0], theirs[job.other.key], job.other.key
    )
    source = pq.ParquetFile(pa.BufferReader(main))
    columns = [*source.schema_arrow.names, *(f"other.{name}" for name in theirs.column_names)]
    schema = pa.schema([(name, pa.string()) for name in columns])
    rows = start = 0
    with tempfile.TemporaryFile() as file:
        with pq.ParquetWriter(file, schema, compression="snappy", use_dictionary=False) as writer:
            for batch in source.iter_batches(GROUP_ROWS):
                places = at.slice(start, len(batch))
                start += len(batch)
                joined = _joined(batch, theirs, places, matched)
                writer.write_table(pa.Table.from_arrays(joined, schema=schema))
                rows += len(joined[0])
        file.seek(0)
        return file.read(), rows, columns


def _joined(batch: Any, theirs: Any, places: Any, matched: str) -> list[Any]:
    """The columns of one group: those rows that the job's rule asks for."""
    if matched != "any":
        wanted = pc.is_valid(places) if matched == "both" else pc.is_null(places)
        batch, places = batch.filter(wanted), places.filter(wanted)
    return [*batch.columns, *theirs.take(places).columns]


def _places(keys: Any, their_keys: Any, name: str) -> Any:
    """For each row, its place in the other report; null where there is none. A missing key matches nothing."""
    there = their_keys.combine_chunks() if isinstance(their_keys, pa.ChunkedArray) else their_keys
    with ThreadPoolExecutor(1) as aside:  # half of the work each, on two cores
        checked = aside.submit(_check_unique, there.drop_null(), name)
        found = pc.index_in(keys, value_set=there, skip_nulls=True)
        checked.result()
    return found.combine_chunks()


def _check_unique(keys: Any, name: str) -> None:
    if len(pc.unique(keys)) == len(keys):
        return
    counts = keys.value_counts()
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    shown = ", ".join(str(value) for value in twice.slice(0, 3).to_pylist())
    raise NotUnique(
        f'other report: its key "{name}" must be there once each, {len(twice)} are there more often ({shown}); '
        "make the report list each once"
    )
