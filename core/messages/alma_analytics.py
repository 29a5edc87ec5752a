"""What the steps of alma_analytics say to each other, and the shape of a report job.

A message carries the run and what to do next, nothing that the database knows. Every one may arrive twice or late.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Side = Literal["main", "other"]
"""A job's own report, or the second one that it is cross-referenced with."""
Kind = Literal["bib", "holding", "item", "user"]

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
Text = Annotated[str, Meta(min_length=1)]
Limit = Annotated[int, Meta(ge=25, le=1000, multiple_of=25)]


class OfRun(msgspec.Struct, frozen=True, kw_only=True):
    """What every message says: whose it is."""

    run_id: str


class FetchPage(OfRun, frozen=True, kw_only=True):
    """Queue `api-fetch`: get page `page` of one report of the run."""

    side: Side
    round: int = 1
    """A cursor that may have moved unseen is given up, and the report is begun anew: its next round."""
    page: int = 1


class Combine(OfRun, frozen=True, kw_only=True):
    """Queue `data-combine`: all pages of one report are there; make one dataset."""

    side: Side
    round: int


class CrossReference(OfRun, frozen=True, kw_only=True):
    """Queue `cross-reference`: both datasets are there; join them."""


class PrepareUpdates(OfRun, frozen=True, kw_only=True):
    """Queue `update-prep`: find the records that must change, in batches."""


class UpdateRecords(OfRun, frozen=True, kw_only=True):
    """Queue `alma-update`: bring one batch of records to what the run wants."""

    batch: int


class Notify(OfRun, frozen=True, kw_only=True):
    """Queue `report-email`: tell the job's people what came of the run."""


class CleanUp(OfRun, frozen=True, kw_only=True):
    """Queue `cleanup`: remove the blobs of a run that is over."""


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report of Alma Analytics."""

    path: Text
    """As Analytics shows it: `/shared/University/Reports/Overdue items`."""
    filter: str | None = None
    """Analytics' own XML filter."""
    limit: Limit = 1000
    """Rows a page."""
    key: Text | None = None
    """The column that joins it with the job's other report."""


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One field of a record that the job sets."""

    field: Text
    """Of an item or user: a dotted path (`item_data.internal_note_1`); of a bib or holding: `590$a`."""
    column: Text | None = None
    """The dataset's column that has the new value; either this or `value`. `other.NAME`: one of the other report."""
    value: str | None = None
    """A value that is the same for all."""
    now: Text | None = None
    """The column that shows the field's present value: rows that have the new one already are left out, and a record
    that has neither was changed by someone since and is left alone."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which records a job updates, and how."""

    kind: Kind
    ids: Annotated[list[Text], Meta(min_length=1, max_length=3)]
    """Columns of its ids: bib `[mms_id]`, holding `[mms_id, holding_id]`, item `[…, item_pid]`, user `[primary]`."""
    set: Annotated[list[Change], Meta(min_length=1)]
    matched: Literal["both", "main_only", "any"] = "both"
    """With a second report: rows whose key is in both, in the job's own only, or all of its own."""


class ReportJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report job, as a person writes it and a row keeps it."""

    name: Name
    report: Report
    other: Report | None = None
    columns: list[Text] | None = None
    """Headings that the job's own report must have; None: whatever it has."""
    schedule: Text | None = None
    """Five-field cron in `time_zone`; None: only when somebody runs it."""
    time_zone: Text = "UTC"
    rule: Rule | None = None
    """None: a report only, nothing is updated."""
    recipients: Annotated[list[Text], Meta(min_length=1)]
    dry_run: bool = False
    """Prepare everything, update nothing."""
    enabled: bool = True
