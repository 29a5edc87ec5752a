"""A finished run as a letter: what changed, what did not and why, as a table; every record in the CSV with it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from core.clients.mail import Attachment, Mail
from core.jobs.machine import Run
from core.messages.alma_analytics import ReportJob

SHOWN = 25
"""Records in the letter itself."""
ATTACHED_BYTES = 10_000_000
"""A larger CSV stays where it is kept; mail providers refuse letters of a few tens of megabytes."""
WORDS = {
    "updated": "updated",
    "unchanged": "had the value already",
    "conflict": "changed by someone since the report, left alone",
    "gone": "no longer in Alma",
    "refused": "refused",
    "dry": "would be updated (dry run)",
    "pending": "not reached",
    "sent": "not known",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One record and its outcome."""

    ids: Sequence[str]
    before: Mapping[str, str | None]
    after: Mapping[str, str | None]
    state: str
    reason: str | None


def letter(
    run: Run, job: ReportJob, outcomes: Sequence[Mapping[str, Any]], lines: Sequence[Line], csv_: bytes, kept: str
) -> Mail:
    """The letter of a run. `kept`: where the whole CSV lies."""
    totals: dict[str, int] = {}
    for one in outcomes:
        totals[one["state"]] = totals.get(one["state"], 0) + one["records"]
    subject = f"[Alma] {job.name}: {_headline(run, totals)}"
    facts = [
        ("Run", run.run_id),
        ("Scheduled for", f"{run.slot:%Y-%m-%d %H:%M} UTC ({run.trigger})"),
        ("Reports", ", ".join(report.path for report in (job.report, job.other) if report)),
        ("Requests to Alma", str(run.requests)),
        *([("Stopped", run.error)] if run.error else []),
    ]
    table = [(WORDS.get(one["state"], one["state"]), one["reason"], str(one["records"])) for one in outcomes]
    attachments = []
    if csv_ and len(csv_) <= ATTACHED_BYTES:
        attachments.append(Attachment(filename=f"{run.run_id}.csv", content=csv_, content_type="text/csv"))
    elif csv_:
        facts.append(("All records", f"{len(csv_):,} bytes, too large to attach: {kept}"))
    return Mail(
        to=tuple(job.recipients),
        subject=subject,
        html=_html(subject, facts, table, lines),
        text=_text(subject, facts, table),
        attachments=tuple(attachments),
    )


def _headline(run: Run, totals: Mapping[str, int]) -> str:
    if run.error:
        return "stopped"
    if "dry" in totals:
        return f"dry run, {totals['dry']} would change"
    wanted = sum(totals.values())
    return f"{totals.get('updated', 0)} of {wanted} updated" if wanted else "nothing to change"


def table(lines: Iterable[Line]) -> bytes:
    """Every record as CSV (UTF-8 with a mark, so that spreadsheets read it as such)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["record", "field", "before", "after", "outcome", "reason"])
    for line in lines:
        for field, after in line.after.items():
            cells = [
                "/".join(line.ids),
                field,
                line.before.get(field) or "",
                after or "",
                line.state,
                line.reason or "",
            ]
            writer.writerow([_inert(cell) for cell in cells])
    return text.getvalue().encode("utf-8-sig")


def _inert(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula is shown instead (OWASP, CSV injection)."""
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _text(subject: str, facts: Sequence[tuple[str, str]], table_: Sequence[Sequence[str]]) -> str:
    lines = [subject, "", *(f"{name}: {value}" for name, value in facts), ""]
    lines += [f"{count:>7}  {what}{f' ({why})' if why else ''}" for what, why, count in table_]
    return "\n".join(lines) + "\n"


def _html(
    subject: str, facts: Sequence[tuple[str, str]], outcomes: Sequence[Sequence[str]], lines: Sequence[Line]
) -> str:
    changes = [
        ("/".join(line.ids), field, line.before.get(field) or "", after or "", WORDS.get(line.state, line.state),
         line.reason or "")
        for line in lines[:SHOWN] for field, after in line.after.items()
    ]  # fmt: skip
    parts = [
        f"<h2>{escape(subject)}</h2>",
        _rows((), facts),
        _rows(("Outcome", "Reason", "Records"), outcomes) if outcomes else "",
        f"<h3>The first {len(lines[:SHOWN])} of {len(lines)} records</h3>" if len(lines) > SHOWN else "",
        _rows(("Record", "Field", "Before", "After", "Outcome", "Reason"), changes) if changes else "",
    ]
    style = "font-family:sans-serif;font-size:14px"
    return f'<html><body style="{style}">{"".join(parts)}</body></html>'


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cell = 'style="border:1px solid #ccc;padding:3px 8px;text-align:left"'
    top = "<tr>" + "".join(f"<th {cell}>{escape(name)}</th>" for name in head) + "</tr>" if head else ""
    body = "".join("<tr>" + "".join(f"<td {cell}>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f'<table style="border-collapse:collapse;margin:8px 0">{top}{body}</table>'
