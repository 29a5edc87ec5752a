"""Report jobs: what people may write, everything that is wrong with it at once, and the rows they become."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from xml.parsers import expat

import msgspec
from psycopg.types.json import Jsonb

from core.alma_analytics.names import SYSTEM
from core.alma_analytics.schedule import ScheduleError, check_cron, check_zone, next_slot
from core.alma_analytics.shape import Fault, faults, shown
from core.jobs.machine import Tx
from core.messages.alma_analytics import ReportJob
from core.sql import named

SQL: Final = named("core.alma_analytics", "jobs.sql")
IDS: Final = {"bib": 1, "holding": 2, "item": 3, "user": 1}
"""Ids that name one record of a kind."""
OTHER: Final = "other."
"""How a rule names a column of the second report."""
_MARC: Final = re.compile(r"\d{3}\$[a-z0-9]|[a-z_]+")
_DOTTED: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_ADDRESS: Final = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\".]+")

Row = Mapping[str, Any]
Applied = Literal["created", "changed", "unchanged"]


class Wrong(NamedTuple):
    """One fault of a list of jobs."""

    row: int
    """From 1."""
    field: str
    """`rule.set[2].field`; empty: the row as a whole."""
    must: str
    got: str
    name: str = ""
    """The job's, if it has one."""

    def __str__(self) -> str:
        """For people: who, where, what must hold, what was got."""
        name = f" ({self.name})" if self.name else ""
        return f"row {self.row}{name}: {self.field or 'the row'} must be {self.must}, got {self.got}"


class UnderWay(NamedTuple):
    """A run that is not over."""

    run_id: str
    state: str
    created_at: datetime
    parked_until: datetime | None

    def __str__(self) -> str:
        """For people."""
        until = f" until {self.parked_until:%Y-%m-%d %H:%M}" if self.parked_until else ""
        return f"{self.run_id} is {self.state}{until}, begun {self.created_at:%Y-%m-%d %H:%M} (UTC)"


def validate(rows: Sequence[object]) -> list[Wrong]:
    """Everything wrong with the jobs of a file, in order of rows; empty: `jobs_of` will take them."""
    names = [_text(row, "name") if isinstance(row, Mapping) else "" for row in rows]
    counted = Counter(names)
    found = []
    for number, (row, name) in enumerate(zip(rows, names, strict=True), 1):
        wrong = faults(row, ReportJob)
        if isinstance(row, Mapping):
            wrong += _beyond_shape(row, {fault.field for fault in wrong})
        if name and counted[name] > 1:
            wrong.append(Fault("name", "another one than in the file's other rows", shown(name)))
        found += [Wrong(number, *fault, name) for fault in wrong]
    return found


def jobs_of(rows: Sequence[object]) -> list[ReportJob]:
    """The rows as jobs. Raises msgspec.ValidationError for what `validate` would have found."""
    return msgspec.convert(rows, list[ReportJob])


def apply(tx: Tx, job: ReportJob, now: datetime) -> Applied:
    """Creates or changes the job's row. A changed schedule begins with its next slot; the others keep theirs."""
    first = next_slot(job.schedule, job.time_zone, now) if job.schedule and job.enabled else None
    values = {"name": job.name, "job": Jsonb(msgspec.to_builtins(job)), "next_slot": first}
    row = tx.execute(SQL["apply_job"], values).fetchone()
    return "unchanged" if row is None else "created" if row["created"] else "changed"


def under_way(tx: Tx, name: str, *, but: str = "") -> UnderWay | None:
    """The job's run that is not over (not the run `but`). Until the transaction ends nobody else begins one of it, has
    one go on, or removes the job: two runs of one job would change the same records, the older one's data last.
    """
    tx.execute(SQL["lock_job"], {"name": name})
    row = tx.execute(SQL["open_run"], {"system": SYSTEM, "name": name, "but": but}).fetchone()
    return None if row is None else UnderWay(**row)


def remove(tx: Tx, name: str) -> bool:
    """The job is gone, its runs stay as they are. False: there was none."""
    return tx.execute(SQL["remove_job"], {"name": name}).fetchone() is not None


def find(tx: Tx, name: str) -> ReportJob | None:
    """The job of that name, or None."""
    row = tx.execute(SQL["find_job"], {"name": name}).fetchone()
    return None if row is None else msgspec.convert(row["job"], ReportJob)


# ---- rules between fields; `bad` are fields whose shape is wrong already, about which nothing more is said


def _beyond_shape(row: Row, bad: set[str]) -> list[Fault]:
    found = [*_schedule(row), *_reports(row), *_recipients(row), *_unlike(row.get("columns"), "columns")]
    rule = row.get("rule")
    if isinstance(rule, Mapping):
        found += [*_ids(rule), *_matched(row, rule), *_changes(row, rule)]
    return [fault for fault in found if fault.field not in bad]


def _schedule(row: Row) -> Iterator[Fault]:
    for field, check in (("schedule", check_cron), ("time_zone", check_zone)):
        value = row.get(field)
        if isinstance(value, str):
            try:
                check(value)
            except ScheduleError as error:
                yield Fault(field, error.must, error.got)


def _reports(row: Row) -> Iterator[Fault]:
    second = row.get("other") is not None
    for name in ("report", "other"):
        report = row.get(name)
        if not isinstance(report, Mapping):
            continue
        path, filter_, key = report.get("path"), report.get("filter"), report.get("key")
        if isinstance(path, str) and not path.startswith("/"):
            yield Fault(f"{name}.path", "a report's full path, beginning with /", shown(path))
        if isinstance(filter_, str) and (why := _not_xml(filter_)):
            yield Fault(f"{name}.filter", "Analytics' XML filter", f"{shown(filter_)}: {why}")
        if second and key is None:
            yield Fault(f"{name}.key", "given: the column that joins the two reports", "nothing")
        if not second and key is not None:
            yield Fault(f"{name}.key", "left out without a second report (other)", shown(key))


def _recipients(row: Row) -> Iterator[Fault]:
    listed = row.get("recipients")
    if isinstance(listed, list):
        for number, one in enumerate(listed, 1):
            if isinstance(one, str) and not _ADDRESS.fullmatch(one):
                yield Fault(f"recipients[{number}]", "a mail address", shown(one))
        yield from _unlike([one.casefold() if isinstance(one, str) else one for one in listed], "recipients")


def _ids(rule: Row) -> Iterator[Fault]:
    kind, ids = _text(rule, "kind"), rule.get("ids")
    if isinstance(ids, list):
        wanted = IDS.get(kind)
        if wanted is not None and len(ids) != wanted:
            yield Fault("rule.ids", f"a list of {wanted}, as a record of kind {kind} has", shown(ids))
        yield from _unlike(ids, "rule.ids")


def _matched(row: Row, rule: Row) -> Iterator[Fault]:
    if row.get("other") is None and rule.get("matched", "both") != "both":
        yield Fault("rule.matched", "left out without a second report (other)", shown(rule["matched"]))


def _changes(row: Row, rule: Row) -> Iterator[Fault]:
    changes = rule.get("set")
    if not isinstance(changes, list):
        return
    kind = _text(rule, "kind")
    marc = kind in {"bib", "holding"}
    form, words = (_MARC, "a MARC subfield like 590$a, or an element") if marc else (_DOTTED, "a dotted path")
    for number, change in enumerate(changes, 1):
        at = f"rule.set[{number}]"
        if not isinstance(change, Mapping):
            continue
        field = _text(change, "field")
        if field and kind in IDS and not form.fullmatch(field):
            yield Fault(f"{at}.field", f"{words} of a record of kind {kind}", shown(field))
        if (change.get("column") is None) == (change.get("value") is None):
            got = "nothing" if change.get("column") is None else "both"
            yield Fault(at, "a change with either column or value", got)
        for name in ("column", "now"):
            yield from _of_other(row, rule, change.get(name), f"{at}.{name}")
    yield from _unlike([one.get("field") if isinstance(one, Mapping) else one for one in changes], "rule.set")


def _of_other(row: Row, rule: Row, column: object, at: str) -> Iterator[Fault]:
    """A column of the second report needs one, and rows that are in both."""
    if isinstance(column, str) and column.startswith(OTHER):
        if row.get("other") is None:
            yield Fault(at, "a column of the job's own report, as it has no second one", shown(column))
        elif rule.get("matched", "both") == "main_only":
            yield Fault(at, "a column of the job's own report while matched is main_only", shown(column))


def _text(row: Row, field: str) -> str:
    """A field's text; empty when it is something else, of which its shape's fault tells."""
    value = row.get(field)
    return value if isinstance(value, str) else ""


def _unlike(values: object, at: str) -> Iterator[Fault]:
    """No text twice."""
    if isinstance(values, list):
        for value, count in Counter(one for one in values if isinstance(one, str)).items():
            if count > 1:
                yield Fault(at, "without doubles", f"{shown(value)} {count} times")


class _Declares(Exception):  # noqa: N818 - said of a filter
    """It has a document type, and with it could have entities."""


def _not_xml(text: str) -> str:
    """Why a filter is none; empty when it is well-formed and declares nothing."""

    def refuse(*_: object) -> None:
        raise _Declares

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        return str(error)
    except _Declares:
        return "it must not have a document type"
    return ""
