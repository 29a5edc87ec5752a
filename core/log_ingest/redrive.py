"""Dead letters that come back: a message names the letter, the letter says what to read again.

The letter itself is the record of what is still owed: it changes or goes only after the rows are in. So a message that
asks for it may come twice, late, or never: nothing is lost by that, and nothing is there twice.

A letter about lines, or the rest of a file: the object is read again, and only the positions named in the letter are
sent, under the Record_Id they always had; what is dead again stays in the same letter. When the object's content is
another by now (somebody mended it), the new content is what counts: it is read whole, once, whoever announced it first.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import groupby

import msgspec

from core.clients.faults import Changed, Transient
from core.log_ingest.dead_letters import ENTRIES_PER_BLOB, DeadEntry, DeadFile, DeadMessage, FileLetters, stamp
from core.log_ingest.file_work import Begin, FileWork
from core.log_ingest.notices import File, Notice, parse
from core.log_ingest.ports import Container, Message, Object
from core.log_ingest.progress import FileProgress, MessageProgress
from core.log_ingest.rows import Chunk
from core.log_ingest.split import Batch, Clean
from core.log_ingest.uploads import Desk

_TRIES = 5  # to write a letter that others (a drop, another redrive) write at the same moment
Clock = Callable[[], datetime]


class Letter:
    """A letter of a whole message: its body is worked on as if it had just come."""

    begin: Begin | None = None
    """How its files are worked on; None: as any other."""

    def __init__(self, container: Container, name: str, now: Clock) -> None:
        self._container, self.name, self._now = container, name, now

    def settled(self) -> int:
        """All of it is in; the letter goes. Answers how many entries that were."""
        self._container.delete(self.name)
        return 1

    def still_dead(self, reason: str) -> None:
        """It was tried, and is dead for this reason."""
        kept = self._container.get(self.name)
        if kept is not None:
            letter = msgspec.json.decode(kept.body, type=DeadMessage)
            letter.attempts, letter.reason, letter.time = letter.attempts + 1, reason, stamp(self._now())
            self._container.put(self.name, msgspec.json.encode(letter))


class LetterOfFile(Letter):
    """A letter of lines, of the rest of a file, or of a file that was given up."""

    def __init__(self, container: Container, name: str, now: Clock, letter: DeadFile, positions: Iterable[int]) -> None:
        """`positions`: which entries; none: all."""
        super().__init__(container, name, now)
        self.head = letter
        chosen = set(positions)
        entries = [entry for entry in letter.entries if not chosen or entry.position in chosen]
        self._wanted = {(entry.scope, entry.position) for entry in entries}
        self.entries = {entry.position: entry for entry in entries if entry.scope == "line"}
        self.since = min((entry.position for entry in entries if entry.scope == "file"), default=None)
        """From here to the end; 0: the whole file."""
        self.rest = next((entry for entry in entries if entry.scope == "file"), None)
        self._replaced = False
        self.begin = self._begin

    @property
    def empty(self) -> bool:
        """Nothing of what was asked for is in the letter any more: it came back before."""
        return not self._wanted

    def wants(self, position: int) -> bool:
        """Whether the record is to be tried again."""
        return position in self.entries or (self.since is not None and position >= self.since)

    def _begin(
        self, file: File, message: Message, past: MessageProgress, desk: Desk, opened: Object, name: str
    ) -> FileWork:
        if self.since == 0 or name != self.name.split("/")[1]:
            return FileWork(file, message, past, desk, opened, name)
        return RedriveWork(self, file, message, past, desk, opened, name)

    def settled(self) -> int:
        """Everything wanted is in; a work of its own has said so itself."""
        return 0 if self._replaced else self.replace([], read=None)

    def still_dead(self, reason: str) -> None:
        """It could not be tried."""

        def tell(entries: list[DeadEntry]) -> list[DeadEntry]:
            for entry in entries:
                if self._is_wanted(entry):
                    entry.attempts, entry.last = entry.attempts + 1, reason
            return entries

        self._rewrite(tell)

    def replace(self, dead: list[DeadEntry], *, read: int | None) -> int:
        """What was dead again in place of what was tried; lines beyond the `read` records of the file stay.

        Answers how many entries left the letter. Entries that somebody dropped meanwhile do not come back.
        """
        gone = 0

        def exchange(entries: list[DeadEntry]) -> list[DeadEntry]:
            nonlocal gone
            gone = sum(map(self._is_wanted, entries))
            there = {entry.position for entry in entries if entry.scope == "line" and self._is_wanted(entry)}
            open_end = any(entry.scope == "file" and self._is_wanted(entry) for entry in entries)
            kept = [entry for entry in entries if not self._is_wanted(entry)]
            unread = [entry for entry in entries if entry.scope == "line" and self._is_wanted(entry)]
            unread = [entry for entry in unread if read is not None and entry.position > read]
            for entry in unread:
                entry.attempts, entry.last = entry.attempts + 1, "the file could not be read so far"
            gone -= len(unread)
            return kept + unread + [entry for entry in dead if entry.position in there or open_end]

        self._rewrite(exchange)
        self._replaced = True
        return gone

    def _is_wanted(self, entry: DeadEntry) -> bool:
        return (entry.scope, entry.position) in self._wanted

    def _rewrite(self, change: Callable[[list[DeadEntry]], list[DeadEntry]]) -> None:
        for _ in range(_TRIES):
            kept = self._container.get(self.name)
            if kept is None:
                change([])
                return
            letter = msgspec.json.decode(kept.body, type=DeadFile)
            letter.entries = sorted(change(letter.entries), key=lambda entry: entry.position)
            if not letter.entries:
                self._container.delete(self.name)
                return
            try:
                self._container.put(self.name, msgspec.json.encode(letter), etag=kept.etag)
            except Changed:
                continue
            return
        raise Transient(f"dead letter {self.name}: others write it all the time")


def bring_back(notice: Notice, container: Container, *, now: Clock) -> Letter | None:
    """The letter that a message names, its files put into `notice`; None when it names none, or one that is settled."""
    if notice.again is None:
        return None
    name = notice.again.letter
    kept = container.get(name)
    if kept is None:
        notice.ignored += 1
        return None
    try:
        if name.startswith("messages/"):
            inner = parse(msgspec.json.decode(kept.body, type=DeadMessage).body)
            if inner.again is not None:
                inner.faults.append("unknown form: a dead letter names another")
            notice.files, notice.faults, notice.ignored = inner.files, inner.faults, inner.ignored
            return Letter(container, name, now)
        head = msgspec.json.decode(kept.body, type=DeadFile)
    except msgspec.DecodeError as error:
        notice.faults.append(f"dead letter {name}: unreadable ({error})")
        return None
    letter = LetterOfFile(container, name, now, head, notice.again.positions)
    if letter.empty:
        notice.ignored += 1
        return None
    notice.files = [File(head.bucket, head.key, head.event_time)]
    return letter


class _Sent(msgspec.Struct):
    """What a row says of itself."""

    Record_Id: str
    Parts: int


class DeadAgain(FileLetters):
    """Dead entries of a redrive: the letter itself takes the last 1,000 of them, letters of their own the others."""

    def __init__(self, container: Container, letter: LetterOfFile, time: str) -> None:
        super().__init__(container, letter.name.removesuffix(".json"), letter.head, 0)
        self._letter, self._time = letter, time
        self._entries: list[DeadEntry] = []

    def add(self, entry: DeadEntry) -> None:
        """One more; damage counts only for what was to be read to the end."""
        before = self._letter.entries.get(entry.position, self._letter.rest)
        if entry.scope == "file":
            if self._letter.since is None:
                return
            before, entry.position = self._letter.rest, max(entry.position, self._letter.since)
        entry.time, entry.attempts = self._time, (before.attempts if before else 0) + 1
        if len(self._entries) == ENTRIES_PER_BLOB:
            self.flush()
        self._entries.append(entry)

    def flush(self) -> None:
        """Writes what is too much for one letter; named by position, so that writing again changes nothing."""
        body = msgspec.json.encode(msgspec.structs.replace(self._head, entries=self._entries))
        self._container.put(f"{self._folder}-{self._entries[0].position:010d}.json", body)
        self.rest()

    def rest(self) -> list[DeadEntry]:
        """Those not yet written."""
        entries, self._entries = self._entries, []
        self.recorded += len(entries)
        return entries


class RedriveWork(FileWork):
    """Reads a file again for the sake of a letter.

    Its progress is kept by position: which records go is decided by the letter, so rows cannot be numbered. A record of
    several parts counts once all of them were accepted; interrupted between them, all are sent again.
    """

    letters: DeadAgain

    def __init__(
        self, letter: LetterOfFile, file: File, message: Message, past: MessageProgress, desk: Desk, opened: Object,
        name: str,
    ) -> None:  # fmt: skip
        self._letter = letter
        self._parts: Counter[int] = Counter()
        self._sent: dict[int, list[_Sent]] = {}
        """What each chunk under way holds, by its first row."""
        self._counting = threading.Lock()
        super().__init__(file, message, past, desk, opened, name)

    def _progress(self) -> FileProgress:
        return FileProgress(self.desk.clients.progress, self.name, part_bytes=0, folder="redrives")

    def _letters(self, version: str) -> DeadAgain:
        del version  # the letter says it
        return DeadAgain(self.desk.clients.failed, self._letter, stamp(self.desk.now()))

    def _accepted(self) -> None:
        """Records are left out before they become rows."""

    def _take(self, batch: Batch | Clean) -> None:
        """Only what the letter wants and no earlier redrive brought in, in pieces without gaps."""
        batch, before = batch.batch if isinstance(batch, Clean) else batch, self.position

        def wanted(at: int) -> bool:
            position = before + at + 1
            return self._letter.wants(position) and not self.progress.accepted_before(position)

        for take, run in groupby(range(len(batch.texts)), wanted):
            if take:
                places = list(run)
                low, high = places[0], places[-1] + 1
                faults = {at - low: reason for at, reason in batch.faults.items() if low <= at < high}
                self.position = before + low
                super()._take(Batch(batch.texts[low:high], batch.lines[low:high], faults))
        self.position = before + len(batch.texts)

    def _send(self, chunk: Chunk) -> None:
        self._sent[chunk.first] = msgspec.json.decode(chunk.body, type=list[_Sent])  # the body goes with the upload
        super()._send(chunk)

    def _remember(self, chunk: Chunk) -> None:
        positions = []
        with self._counting:
            for row in self._sent.pop(chunk.first):
                position = int(row.Record_Id.rpartition("-")[2])
                self._parts[position] += row.Parts > 1
                if row.Parts == 1 or self._parts[position] == row.Parts:
                    positions.append(position)
        for first, last in _ranges(positions):
            self.progress.accept(first, last, records=last - first, run=self.past.state.runs)
        self.moved = True

    def _record(self, *, whole: bool) -> None:
        """The rows first, then the letter."""
        if self.moved:
            self._patiently(self.progress.save)
        if whole:
            gone = self._letter.replace(self.letters.rest(), read=self.position)
            self.desk.tally.add(entries_redriven=gone)


def _ranges(positions: list[int]) -> list[tuple[int, int]]:
    """Rising numbers as ranges: from, to before."""
    found: list[tuple[int, int]] = []
    for position in positions:
        if found and found[-1][1] == position:
            found[-1] = (found[-1][0], position + 1)
        else:
            found.append((position, position + 1))
    return found
