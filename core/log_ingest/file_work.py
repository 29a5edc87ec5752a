"""One announced object, from opening to settled: stream, split, validate, upload, record.

The calling thread reads and splits; full chunks upload from the pool while it goes on (`uploads`), the last one from
its own thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from core.clients.faults import Changed, Corrupt, Denied, Fault, Gone, Refused, Transient
from core.log_ingest.dead_letters import DeadEntry, FileLetters, excerpt
from core.log_ingest.notices import File
from core.log_ingest.ports import Message, Object
from core.log_ingest.progress import FileProgress, MessageProgress
from core.log_ingest.rows import Place, RowWriter, file_id
from core.log_ingest.split import Batch, Clean, split
from core.log_ingest.text import Damaged, unpacked, utf8
from core.log_ingest.uploads import Desk, Uploads
from core.log_ingest.validate import faults as json_faults
from core.log_ingest.verdict import End, Verdict
from core.messages.log_ingest import Skipped

_PIECE = 256 * 1024
_AHEAD = 256 * 1024


def work(file: File, message: Message, past: MessageProgress, desk: Desk, begin: Begin | None = None) -> Verdict:
    """Ingests one object. Faults become verdicts. `begin`: another way to work, for what was dead before."""
    where = f"{file.bucket}/{file.key}"
    try:
        opened = desk.clients.objects.open(file.bucket, file.key, file.version or None)
    except Fault as fault:
        return _unopened(fault, where, desk, owed=begin is not None)
    name = file_id(file.bucket, file.key, opened.version or opened.etag)
    desk.in_hand.take(name)
    try:
        if begin is None and _too_old(opened.modified, desk):
            desk.tally.skip(Skipped(bucket=file.bucket, key=file.key, modified=opened.modified.isoformat()))
            return Verdict(End.SETTLED)
        if file.etag and not file.version and opened.etag != file.etag:
            desk.tally.note(f"changed since its notification: {where}")
        return (begin or FileWork)(file, message, past, desk, opened, name).run()
    except Fault as fault:
        return Verdict(End.FAILED, str(fault), passing=isinstance(fault, Transient | Changed | Denied))
    finally:
        desk.in_hand.leave(name)
        opened.close()


def _unopened(fault: Fault, where: str, desk: Desk, *, owed: bool) -> Verdict:
    """What a file is that cannot be opened; one that is `owed` to a dead letter is not over because it is gone."""
    if isinstance(fault, Gone) and not owed:
        desk.tally.add(files_gone=1)
        desk.tally.note(f"gone: {where} ({fault})")
        return Verdict(End.SETTLED)
    if isinstance(fault, Gone | Denied):
        return Verdict(End.DEAD, f"{'gone' if isinstance(fault, Gone) else 'access denied'}: {fault}")
    end = End.DEAD if isinstance(fault, Refused) else End.FAILED
    return Verdict(end, str(fault), passing=isinstance(fault, Transient))


def _too_old(modified: datetime, desk: Desk) -> bool:
    days = desk.rules.max_age_days
    if days is None:
        return False
    return modified.astimezone(UTC).date() < desk.now().astimezone(UTC).date() - timedelta(days=days)


@dataclass(slots=True)
class FileWork(Uploads):
    """The state of one file's work in this run."""

    writer: RowWriter = field(init=False)
    position: int = 0
    fetched: int = 0
    unpacked: int = 0
    ahead: bytes = b""
    """Fetched and not read yet."""
    ended: bool = False
    """Everything is fetched."""

    def __post_init__(self) -> None:
        """Reads what earlier runs did, and lays out the columns that all rows share."""
        file, upload = self.file, self.desk.clients.upload
        version = self.opened.version or self.opened.etag
        self.progress = self._progress()
        state = self.progress.state
        state.bucket, state.key, state.version = file.bucket, file.key, version
        self.letters = self._letters(version)
        modified = self.opened.modified.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        place = Place(
            bucket=file.bucket, key=file.key, actual_time=file.event_time or modified, file_id=self.name,
            read_at=self.desk.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )  # fmt: skip
        self.writer = RowWriter(
            place, max_bytes=upload.max_bytes, max_rows=upload.max_rows, max_field_bytes=upload.max_field_bytes,
            with_time=upload.takes_time_generated, accepted=self._accepted(),
        )  # fmt: skip

    def _progress(self) -> FileProgress:
        """What earlier runs did."""
        clients = self.desk.clients
        return FileProgress(clients.progress, self.name, part_bytes=clients.upload.max_field_bytes)

    def _letters(self, version: str) -> FileLetters:
        """Where dead records go."""
        return self.desk.letters.of_file(
            self.file, file_id=self.name, version=version, message_id=self.message.id,
            recorded=self.progress.state.dead,
        )  # fmt: skip

    def _accepted(self) -> Callable[[int], bool] | None:
        """Which rows the writer leaves out."""
        return self.progress.accepted_before if self.progress.state.accepted else None

    def run(self) -> Verdict:
        """Works until the file is settled, time is up, or an upload failed for good in this run."""
        tally = self.desk.tally
        if self.progress.state.done:
            tally.add(files_repeated=1)
            return Verdict(End.SETTLED, moved=True)
        still = self.past.still(self.progress.state.run)
        if still > self.desk.rules.stall_runs:
            return Verdict(
                End.DEAD, f"no progress in {still - 1} runs; last: {self.past.state.last or 'the worker ended'}"
            )
        if self.progress.known:
            tally.add(files_resumed=1)
        try:
            self._fetch_ahead()
            with self.desk.turns.turn():
                whole = self._stream()
                last = self.writer.rest() if whole and self.failed is None else None
            with self.lock:
                self.read = True
                self.unanswered += last is not None
            if last is not None:
                self._send(last)
        except Corrupt:
            self._join()
            self._withdraw()
            raise
        finally:
            self._join()
        whole = whole and self.failed is None
        self._record(whole=whole)
        tally.add(records_dead=self.letters.new, parts_extra=self.writer.extra_parts)
        tally.add(bytes_fetched=self.fetched, bytes_unpacked=self.unpacked)
        if self.failed is not None:
            return Verdict(
                End.FAILED, str(self.failed), passing=isinstance(self.failed, Transient | Changed), moved=self.moved
            )
        if not whole:
            return Verdict(End.PAUSED, "out of time", moved=self.moved)
        tally.add(files_done=1)
        return Verdict(End.SETTLED, moved=True)

    def _record(self, *, whole: bool) -> None:
        """Writes how far this run came."""
        self._patiently(self.letters.flush)
        if whole or self.moved or self.letters.new:
            self._patiently(lambda: self.progress.save(done=whole, dead=self.letters.recorded))

    def _stream(self) -> bool:
        """Reads to the end, or to the damage; False when it stopped before: no time left, or an upload failed."""
        line = 0
        try:
            for batch in split(utf8(self._unpacked())):
                line = _last_line(batch) or line
                self._take(batch)
                if self.failed is not None or self.desk.late():
                    return False
        except Damaged as damage:
            while self.unpacked < self.desk.rules.max_object_bytes and self._read(_PIECE):
                pass  # to the end, where it shows whether the object is damaged or only what arrived of it
            self.letters.add(DeadEntry(scope="file", reason=str(damage), line=line + 1, position=self.position + 1))
            self.desk.tally.failure(str(damage))
        return True

    def _withdraw(self) -> None:
        """Rows of a corrupt read do not count: those of the right one may be numbered otherwise. All are sent again."""
        rows, records = self.progress.withdraw()
        self.desk.tally.add(rows_out=-rows, records_out=-records, rows_resent=rows)
        self._patiently(self.progress.save)

    def _unpacked(self) -> Iterator[bytes]:
        for piece in unpacked(self._read, self.desk.rules.max_object_bytes):
            self.unpacked += len(piece)
            yield piece

    def _fetch_ahead(self) -> None:
        """The beginning, of most files everything, is waited for before it is this file's turn."""
        parts: list[bytes] = []
        while self.fetched < _AHEAD and not self.ended:
            parts.append(self._fetch(self.opened.read, _AHEAD - self.fetched))
        self.ahead = b"".join(parts)

    def _read(self, size: int) -> bytes:
        if self.ahead:
            piece, self.ahead = self.ahead[:size], self.ahead[size:]
            return piece
        return b"" if self.ended else self._fetch(partial(self.desk.turns.read, self.opened.read), size)

    def _fetch(self, read: Callable[[int], bytes], size: int) -> bytes:
        piece = read(size)
        self.fetched += len(piece)
        self.ended = not piece
        return piece

    def _take(self, batch: Batch | Clean) -> None:
        """Dead records to the dead-letter place, the others to the writer."""
        first = self.position + 1
        if isinstance(batch, Clean):
            self.position += batch.count
            for chunk in self.writer.add_lines(batch.block, range(first, self.position + 1)):
                self._begin(chunk)
            return
        self.position += len(batch.texts)
        texts = batch.texts
        positions: range | list[int] = range(first, self.position + 1)
        faults = _with_known(batch) if batch.faults else json_faults(texts)
        if faults:
            for at in sorted(faults):
                self.desk.tally.failure(faults[at])
                self.letters.add(DeadEntry(
                    reason=faults[at], line=batch.lines[at], position=first + at, excerpt=excerpt(texts[at]),
                ))  # fmt: skip
            positions = [position for at, position in enumerate(positions) if at not in faults]
            texts = [text for at, text in enumerate(texts) if at not in faults]
        if texts:
            for chunk in self.writer.add(texts, positions):
                self._begin(chunk)


Begin = Callable[[File, Message, MessageProgress, Desk, Object, str], FileWork]


def _last_line(batch: Batch | Clean) -> int:
    """The number of its last record's line; 0: it has no records."""
    if isinstance(batch, Clean):
        return batch.first_line + batch.count - 1
    return batch.lines[-1] if batch.lines else 0


def _with_known(batch: Batch) -> dict[int, str]:
    """Faults of a batch of which some records are known to be dead (their texts are excerpts)."""
    alive = [at for at in range(len(batch.texts)) if at not in batch.faults]
    found = json_faults([batch.texts[at] for at in alive])
    return batch.faults | {alive[at]: reason for at, reason in found.items()}
