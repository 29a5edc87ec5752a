"""Shapes of log_ingest: the row (a table's columns are derived from it) and the summary of a run."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a log file, as it stands in the table; field order is column order."""

    TimeGenerated: datetime
    """When the record was read (UTC)."""
    Bucket_Name: str
    Key: str
    """The object's key, decoded."""
    Actual_Time: str
    """The notification's event time as it was given; without one, when the object was last modified."""
    Raw_Data: str
    """The record's own text from the file, outer white space removed."""
    Record_Id: str
    """Equal for equal bucket, key, version (or ETag) and position; a saved query removes doubles by it and Part."""
    Part: int
    """From 1; a record over 65,536 bytes has several."""
    Parts: int


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """An object left out by the age rule; it may be fed again."""

    bucket: str
    key: str
    modified: str


class RunSummary(msgspec.Struct, kw_only=True):
    """What one run did. Records: `records_in = records_out + records_dead + records_skipped`."""

    started: str = ""
    ended: str = ""
    seconds: float = 0.0
    stopped: str = "empty"
    """Why it ended: empty (queue drained), deadline, outage."""
    messages_received: int = 0
    messages_deleted: int = 0
    messages_returned: int = 0
    messages_dead: int = 0
    files_done: int = 0
    files_dead: int = 0
    files_skipped: int = 0
    files_gone: int = 0
    files_repeated: int = 0
    """Already ingested earlier: the same object announced once more."""
    files_resumed: int = 0
    files_failed: int = 0
    """Kept for another run."""
    bytes_fetched: int = 0
    bytes_unpacked: int = 0
    bytes_sent: int = 0
    """After compression."""
    uploads: int = 0
    records_in: int = 0
    records_out: int = 0
    records_dead: int = 0
    """A file that is dead as a whole, or from some point on, counts one, and so does a whole message."""
    entries_redriven: int = 0
    """Entries that left the dead-letter place; those found dead again count in `records_dead` once more."""
    records_skipped: int = 0
    """One for each object left out by the age rule (it was not read)."""
    rows_out: int = 0
    """Records and their further parts."""
    parts_extra: int = 0
    rows_resent: int = 0
    """Rows of uploads whose answer never arrived, sent again: these alone may be doubled."""
    failures: dict[str, int] = {}
    """Failures by reason."""
    skipped: list[Skipped] = []
    notes: list[str] = []
