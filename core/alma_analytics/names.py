"""What alma_analytics calls its queues and the stages of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from core.messages.alma_analytics import ReportJob, Side

SYSTEM: Final = "alma_analytics"

API_FETCH: Final = "api-fetch"
DATA_COMBINE: Final = "data-combine"
CROSS_REFERENCE: Final = "cross-reference"
UPDATE_PREP: Final = "update-prep"
ALMA_UPDATE: Final = "alma-update"
REPORT_EMAIL: Final = "report-email"
CLEANUP: Final = "cleanup"
QUEUES: Final = (API_FETCH, DATA_COMBINE, CROSS_REFERENCE, UPDATE_PREP, ALMA_UPDATE, REPORT_EMAIL, CLEANUP)

ONLY: Final = "1"
"""The task of a stage that has one alone."""
COMBINE: Final = "combine"
"""Its tasks are the sides."""
JOIN: Final = "cross-reference"
PREPARE: Final = "prepare"
UPDATE: Final = "update"
"""Its tasks are batches, by number."""
NOTIFY: Final = "notify"
CLEAN_UP: Final = "clean-up"


def fetch(side: Side) -> str:
    """The stage whose tasks are a report's pages, by number."""
    return f"fetch-{side}"


def sides(job: ReportJob) -> tuple[Side, ...]:
    """The reports that a job fetches."""
    return ("main",) if job.other is None else ("main", "other")


def scheduled_run(job: str, slot: datetime) -> str:
    """The id of the run for a slot of a job's schedule: equal for every scheduler that sees the slot due."""
    return f"{job}-{slot.astimezone(UTC):%Y%m%dT%H%MZ}"


def manual_run(job: str, now: datetime) -> str:
    """The id of a run that a person asks for; twice in one second is once."""
    return f"{job}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-manual"
