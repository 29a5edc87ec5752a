"""What a finished run of a report job must have done to Alma, known without its help: from the data before and after,
and the journal.

A row of the job's report says which record gets which values. Each such record was updated once, or is listed with a
reason; nobody else was touched; and the rows that the run read are the report's rows, each as often as it is there.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from core.clients.alma_record import Document, JsonDocument, XmlDocument
from core.messages.alma_analytics import Kind, ReportJob, Rule
from localcloud.outside.alma.data import ANALYTICS_ROWS, Library
from localcloud.outside.alma.journal import Entry

Key = tuple[str, ...]
"""A record's ids."""
OTHER = "other."


class Wanted(msgspec.Struct, frozen=True):
    """What a row says about one record."""

    ids: Key
    values: dict[str, str]
    """Field → new value."""
    shown: dict[str, str]
    """Field → the value that the report shows, where the job names its column."""


class Snapshot(msgspec.Struct, frozen=True):
    """The data of one moment."""

    rows: list[dict[str, str]]
    """Of the job's own report."""
    other: list[dict[str, str]]
    records: dict[str, bytes]
    """Of the rule's kind, by their own (last) id."""


class Findings(msgspec.Struct, kw_only=True):
    """What came of it. Records are named by their ids with slashes."""

    wanted: int = 0
    """Records that the job wants another value in, by its reports …"""
    updated: int = 0
    """… that have it now, by one update …"""
    listed: int = 0
    """… or are listed: gone, changed by somebody else, refused …"""
    lost: list[str] = []
    """… or neither."""
    doubled: list[str] = []
    """Updated more than once."""
    wrong: list[str] = []
    """Updated, and not to what was wanted."""
    touched: list[str] = []
    """Updated although nobody wanted it, or although it is listed as not updated."""
    overwritten: list[str] = []
    """Had a value that neither the report showed nor the job wanted, and lost it."""
    rows_missing: int = 0
    """Rows of the reports that the run did not have."""
    rows_doubled: int = 0
    """Rows that it had more often than the reports."""

    @property
    def fine(self) -> bool:
        """Nothing lost, doubled, wrong or skipped."""
        return not (self.lost or self.doubled or self.wrong or self.touched or self.overwritten
                    or self.rows_missing or self.rows_doubled)  # fmt: skip


def snapshot(folder: Path, job: ReportJob) -> Snapshot:
    """The data as they are now; taken before a run and after it."""
    library = Library(folder)
    kind = job.rule.kind if job.rule else None
    records = {name: library.record(kind, name) or b"" for name in library.names(kind)} if kind else {}
    other = _rows(library, job.other.path) if job.other else []
    return Snapshot(_rows(library, job.report.path), other, records)


def _rows(library: Library, path: str) -> list[dict[str, str]]:
    report = library.report(path)
    if report is None:
        return []
    limit = min(ANALYTICS_ROWS, library.behaviour(path).row_limit)
    return [dict(zip(report.columns, row, strict=True)) for row in report.rows[:limit]]


def wanted(before: Snapshot, job: ReportJob) -> dict[Key, Wanted]:
    """Each record that some row wants to be otherwise than its report shows."""
    rule = job.rule
    if rule is None:
        return {}
    found = {}
    for row in _matched(before, job, rule):
        ids = tuple(row[column] for column in rule.ids)
        values, shown = {}, {}
        for change in rule.set:
            values[change.field] = row.get(change.column, "") if change.column else change.value or ""
            if change.now:
                shown[change.field] = row.get(change.now, "")
        if any(values[field] != shown.get(field) for field in values):
            found[ids] = Wanted(ids, values, shown)
    return found


def _matched(before: Snapshot, job: ReportJob, rule: Rule) -> Iterable[dict[str, str]]:
    """The job's rows, with the other report's columns as `other.NAME`."""
    if job.other is None or job.report.key is None or job.other.key is None:
        yield from before.rows
        return
    others = {row[job.other.key]: row for row in reversed(before.other)}
    for row in before.rows:
        partner = others.get(row[job.report.key]) if row[job.report.key] else None
        if rule.matched == "any" or (partner is not None) == (rule.matched == "both"):
            yield row | {OTHER + name: value for name, value in (partner or {}).items()}


def compare(
    job: ReportJob,
    before: Snapshot,
    after: Snapshot,
    journal: Iterable[Entry],
    *,
    listed: Collection[Key] = (),
    rows: Sequence[Collection[str | None]] | None = None,
    other_rows: Sequence[Collection[str | None]] | None = None,
) -> Findings:
    """`journal`: of the run. `listed`: ids of records that the run names as not updated. `rows`, `other_rows`: what it
    read, a row its values in the report's order (a leading constant 0 may be there); None: not compared.
    """
    found, plan = Findings(), wanted(before, job)
    updates = _updates(journal, job.rule.kind if job.rule else "item")
    kind = job.rule.kind if job.rule else "item"
    found.wanted = len(plan)
    for ids, want in plan.items():
        _judge(want, before, after, updates[ids], kind, listed=ids in listed, found=found)
    found.touched += ["/".join(ids) for ids, times in updates.items() if times and ids not in plan]
    for read, there in ((rows, before.rows), (other_rows, before.other)):
        if read is not None:
            _count_rows(read, there, found)
    return found


def _updates(journal: Iterable[Entry], kind: Kind) -> dict[Key, int]:
    """How often each record was updated: carried out, whether the answer was heard or not."""
    times: dict[Key, int] = defaultdict(int)
    for entry in journal:
        if entry.operation == f"Put{kind.title()}" and entry.status == 200:
            times[tuple(entry.what.partition(" ")[2].split("/"))] += 1
    return times


def _judge(
    want: Wanted, before: Snapshot, after: Snapshot, times: int, kind: Kind, *, listed: bool, found: Findings
) -> None:
    name = "/".join(want.ids)
    then, now = before.records.get(want.ids[-1]), after.records.get(want.ids[-1])
    has = now is not None and all(_read(kind, now, field) == value for field, value in want.values.items())
    if times > 1:
        found.doubled.append(name)
    if times and not has:
        found.wrong.append(name)
    if times and then is not None:
        for field, shown in want.shown.items():
            if _read(kind, then, field) not in {shown, want.values[field]}:
                found.overwritten.append(name)
    if has and not listed:
        found.updated += 1
    elif listed:
        found.listed += 1
        if times:
            found.touched.append(name)
    else:
        found.lost.append(name)


def _read(kind: Kind, body: bytes, field: str) -> str:
    """An empty field and none are the same."""
    document: Document = JsonDocument(body) if kind in {"item", "user"} else XmlDocument(body)
    return document.read(field) or ""


def _count_rows(read: Sequence[Collection[str | None]], there: list[dict[str, str]], found: Findings) -> None:
    expected = Counter(tuple(row.values()) for row in there)
    width = len(there[0]) if there else 0
    got = Counter(tuple(value or "" for value in row)[-width:] for row in read)
    found.rows_missing += (expected - got).total()
    found.rows_doubled += (got - expected).total()
