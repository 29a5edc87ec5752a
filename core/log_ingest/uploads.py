"""The uploads of one file's chunks: from a pool, few at a time, each remembered as soon as it was accepted.

Memory: at most `_UNDER_WAY` chunks per file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime

from core.clients.faults import Fault, InDoubt, Transient
from core.log_ingest.dead_letters import DeadLetters, FileLetters
from core.log_ingest.in_hand import InHand
from core.log_ingest.notices import File
from core.log_ingest.ports import Clients, Message, Object, Rules
from core.log_ingest.progress import FileProgress, MessageProgress
from core.log_ingest.rows import Chunk
from core.log_ingest.tally import Tally
from core.log_ingest.turns import Turns

_UNDER_WAY = 6
_PAUSES_S = (0.2, 0.5, 1, 2, *[5] * 16)
"""Between tries to save, each of which is several of the client's own: minutes, but never longer than the run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """What all files of a run share."""

    clients: Clients
    rules: Rules
    letters: DeadLetters
    tally: Tally
    uploads: Executor
    room: threading.Semaphore
    """One for each chunk that may wait or be under way, over all files: bounds memory."""
    late: Callable[[], bool]
    """Time to pause what is in hand."""
    turns: Turns
    """One for each file that is read and split."""
    until: float
    """No upload is tried again after this moment (monotonic)."""
    now: Callable[[], datetime]
    in_hand: InHand
    pause: Callable[[float], object]
    """Waits so many seconds."""


@dataclass(slots=True)
class Uploads:
    """One file, and what became of its chunks in this run."""

    file: File
    message: Message
    past: MessageProgress
    desk: Desk
    opened: Object
    name: str
    progress: FileProgress = field(init=False)
    letters: FileLetters = field(init=False)
    failed: Fault | None = None
    moved: bool = False
    under_way: set[Future[None]] = field(default_factory=set)
    unanswered: int = 0
    """Chunks made and not answered yet."""
    read: bool = False
    """No chunk comes after those."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def _begin(self, chunk: Chunk) -> None:
        """Uploads from the pool; waits while too many of this file's are under way."""
        while len(self.under_way) >= _UNDER_WAY:
            self._join(first_only=True)
        if self.failed is None:
            self.desk.room.acquire()
            with self.lock:
                self.unanswered += 1
            self.under_way.add(self.desk.uploads.submit(self._send_from_pool, chunk))

    def _join(self, *, first_only: bool = False) -> None:
        """Waits for uploads under way. A fault of the progress blob counts as the file's."""
        for future in list(self.under_way):
            if first_only and not future.done() and len(self.under_way) < _UNDER_WAY:
                continue
            try:
                future.result()
            except Fault as fault:
                self.failed = self.failed or fault
            self.under_way.discard(future)

    def _send_from_pool(self, chunk: Chunk) -> None:
        try:
            self._send(chunk)
        finally:
            self.desk.room.release()

    def _send(self, chunk: Chunk) -> None:
        """Uploads one chunk and remembers that it was accepted before anything else can go wrong."""
        if self.failed is not None:
            return
        rows = chunk.last - chunk.first
        try:
            sent, again = self.desk.clients.upload.send(chunk.take_body(), until=self.desk.until)
        except Fault as fault:
            self.failed = fault
            if isinstance(fault, InDoubt):
                self.desk.tally.add(rows_resent=rows)
            self.desk.tally.upload_failed()
            return
        self.moved = True
        self._remember(chunk)
        self.desk.tally.uploaded(bytes_sent=sent, rows=rows, records=chunk.records, again=again)
        with self.lock:
            self.unanswered -= 1
            ending = self.read and not self.unanswered and not self.letters.new
        if not ending:  # else it is saved together with the file's end, which is now
            self._patiently(self.progress.save)

    def _patiently(self, save: Callable[[], None]) -> None:
        """Saves, waiting for a storage that fails: rows that were accepted and not noted would be sent again."""
        for pause_s in _PAUSES_S:
            try:
                return save()
            except Transient:
                if self.desk.late():
                    raise
                self.desk.pause(pause_s)
        return save()

    def _remember(self, chunk: Chunk) -> None:
        """The chunk was accepted."""
        self.progress.accept(chunk.first, chunk.last, records=chunk.records, run=self.past.state.runs)
