"""What a run counts, from many threads."""

from __future__ import annotations

import threading

from core.messages.log_ingest import RunSummary, Skipped

_NOTES = 100  # kept in the summary: it is logged, and a log line has limits
_OUTAGE = 8  # uploads that failed one after another, none accepted between: the other side is down


class Tally:
    """Adds up into a RunSummary. Thread-safe."""

    def __init__(self) -> None:
        self.summary = RunSummary()
        self._lock = threading.Lock()
        self._failed_in_a_row = 0

    @property
    def outage(self) -> bool:
        """Whether uploads fail one after another."""
        return self._failed_in_a_row >= _OUTAGE

    def add(self, **counts: int) -> None:
        """Adds to the summary's fields of these names."""
        with self._lock:
            for name, count in counts.items():
                setattr(self.summary, name, getattr(self.summary, name) + count)

    def uploaded(self, *, bytes_sent: int, rows: int, records: int, again: int) -> None:
        """One upload was accepted; `again`: how often it had gone unanswered before."""
        self._failed_in_a_row = 0
        self.add(uploads=1, bytes_sent=bytes_sent, rows_out=rows, records_out=records, rows_resent=rows * again)

    def upload_failed(self) -> None:
        """One upload was not accepted."""
        with self._lock:
            self._failed_in_a_row += 1

    def failure(self, reason: str) -> None:
        """Counts a failure by its kind: the first two words of the reason."""
        kind = " ".join(reason.split()[:2]).rstrip(":,")
        with self._lock:
            self.summary.failures[kind] = self.summary.failures.get(kind, 0) + 1

    def note(self, text: str) -> None:
        """Something the summary should say."""
        with self._lock:
            if len(self.summary.notes) < _NOTES:
                self.summary.notes.append(text)

    def skip(self, skipped: Skipped) -> None:
        """An object left out by the age rule: all of them are listed, for they may be fed again."""
        with self._lock:
            self.summary.skipped.append(skipped)
            self.summary.files_skipped += 1
            self.summary.records_skipped += 1

    def close(self) -> RunSummary:
        """The summary with its derived figures."""
        summary = self.summary
        summary.records_in = summary.records_out + summary.records_dead + summary.records_skipped
        return summary
