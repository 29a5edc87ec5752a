"""One run: receive what can begin now, work on many files at once, settle messages, stop in time, report."""

from __future__ import annotations

import threading
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from core.clients.faults import Fault
from core.log_ingest.dead_letters import DeadLetters
from core.log_ingest.file_work import work
from core.log_ingest.in_hand import InHand
from core.log_ingest.notices import File, Notice, parse
from core.log_ingest.ports import Clients, Message, Rules
from core.log_ingest.progress import MessageProgress
from core.log_ingest.redrive import Letter, bring_back
from core.log_ingest.settle import settle
from core.log_ingest.tally import Tally
from core.log_ingest.turns import Turns
from core.log_ingest.uploads import Desk
from core.log_ingest.verdict import End, Verdict
from core.messages.log_ingest import RunSummary
from core.runtime.deadline import Deadline
from core.runtime.log import Log
from core.runtime.memory import share_heaps

_RECEIVE_MOST = 10  # SQS's own limit
_LINGER_S = 0.02
_TURNS = 2  # files read and split at a time: enough for the processor, whose cache more of them would share
_LOOK_S = 0.5  # how often the receiver looks after visibility while all hands are busy


@dataclass(slots=True)
class MessageWork:
    """A message in hand."""

    message: Message
    hidden_at: float
    """When its visibility was last set (the deadline's clock)."""
    past: MessageProgress | None = None
    notice: Notice = field(default_factory=Notice)
    waiting: int = 0
    """Files not ended yet."""
    verdicts: list[tuple[File, Verdict]] = field(default_factory=list)
    letter: Letter | None = None
    """The dead letter that the message brings back."""


class Run:
    """Works until the queue is empty or time is up. Use once."""

    def __init__(
        self,
        clients: Clients,
        rules: Rules,
        deadline: Deadline,
        log: Log,
        *,
        name: str = "run",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`name`: tells this run from others in the kept summary (the invocation's id)."""
        self._clients = clients
        self._rules = rules
        self._deadline = deadline
        self._log = log
        self._name = name
        self._id = uuid.uuid4().hex
        self._now = now
        self._sleep = sleep
        self._tally = Tally()
        self._changed = threading.Condition()
        self._in_hand: dict[str, MessageWork] = {}
        """By receipt: one message may be delivered twice."""
        self._files = 0
        """Files begun or about to begin, and messages not read yet."""
        self._stopping = False
        self._letters = DeadLetters(clients.failed, now=now)

    def execute(self) -> RunSummary:
        """The whole run. Raises Fault when not even the first receive was possible."""
        share_heaps()
        started = self._now()
        limit = min(self._rules.safe_s, self._deadline.limit_s)
        with (
            ThreadPoolExecutor(self._rules.files_at_once, "file") as pool,
            ThreadPoolExecutor(self._rules.uploads_at_once, "upload") as uploads,
        ):
            desk = Desk(
                clients=self._clients, rules=self._rules, letters=self._letters, tally=self._tally, uploads=uploads,
                room=threading.Semaphore(self._rules.uploads_at_once + self._rules.uploads_at_once // 4),
                late=lambda: self._deadline.passed(self._rules.finish_s),
                turns=Turns(_TURNS),
                until=self._deadline.started + min(self._rules.finish_s, self._deadline.limit_s), now=self._now,
                in_hand=InHand(), pause=self._sleep,
            )  # fmt: skip
            for call in self._clients.early:
                uploads.submit(call)
            try:
                self._receive(pool, desk, limit)
            finally:
                self._stopping = True
                self._finish()
        return self._report(started)

    def _receive(self, pool: ThreadPoolExecutor, desk: Desk, limit: float) -> None:
        summary = self._tally.summary
        while True:
            self._keep_hidden()
            free = self._room(_RECEIVE_MOST)  # may wait: the time is looked at after it
            before = self._files
            if self._deadline.passed(limit):
                summary.stopped = "deadline"
                return
            if self._tally.outage:
                summary.stopped = "outage"
                return
            if free <= 0:
                self._wait_for_change(before)
                continue
            busy = bool(self._in_hand)
            wait = 0 if busy else int(min(self._rules.receive_wait_s, self._deadline.left(limit)))
            messages = self._receive_some(min(free, _RECEIVE_MOST), wait)
            for message in messages:
                self._begin(message, pool, desk)
            if not messages and not busy:
                return
            if not messages:
                self._wait_for_change(before)

    def _receive_some(self, count: int, wait_s: int) -> list[Message]:
        try:
            got = list(self._clients.queue.receive(count, wait_s=wait_s, visibility_s=self._rules.visibility_s))
        except Fault as fault:
            if not self._tally.summary.messages_received:
                raise
            self._tally.note(f"receive: {fault}")
            self._tally.failure("receive")
            return []
        self._tally.add(messages_received=len(got))
        return got

    def _begin(self, message: Message, pool: ThreadPoolExecutor, desk: Desk) -> None:
        one = MessageWork(message, self._deadline.clock())
        with self._changed:
            self._in_hand[message.receipt] = one
            self._files += 1
        pool.submit(self._open, one, pool, desk)

    def _open(self, one: MessageWork, pool: ThreadPoolExecutor, desk: Desk) -> None:
        """Reads a message and begins its files; the first in this thread."""
        message = one.message
        try:
            one.past = MessageProgress(self._clients.progress, message.id, receives=message.receives, run=self._id)
            one.notice = parse(message.body)
            one.letter = bring_back(one.notice, self._clients.failed, now=self._now)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must be let go or the run never ends
            self._log.warning("message", message_id=message.id, reason=f"{type(error).__name__}: {error}")
            self._tally.failure(str(error))
            self._give_back(one)
            return
        one.waiting = len(one.notice.files)
        if not one.waiting:
            self._settle(one)
            return
        with self._changed:
            self._files += one.waiting - 1
        for file in one.notice.files[1:]:
            pool.submit(self._work, one, file, desk)
        self._work(one, one.notice.files[0], desk)

    def _work(self, one: MessageWork, file: File, desk: Desk) -> None:
        """One file to its verdict; the message's last one settles it."""
        if self._stopping:
            verdict = Verdict(End.PAUSED, "not begun", passing=True)
        else:
            try:
                assert one.past is not None  # noqa: S101 - set before any file begins
                verdict = work(file, one.message, one.past, desk, one.letter.begin if one.letter else None)
            except Exception as error:  # noqa: BLE001 - one file's bug must not take the others down; logged, counted, kept
                self._log.error("file", bucket=file.bucket, key=file.key, error=traceback.format_exc())
                verdict = Verdict(End.FAILED, f"{type(error).__name__}: {error}")
        if verdict.end is End.FAILED:
            self._log.warning("file", bucket=file.bucket, key=file.key, reason=verdict.reason)
            self._tally.add(files_failed=1)
            self._tally.failure(verdict.reason)
        with self._changed:
            one.verdicts.append((file, verdict))
            one.waiting -= 1
            last = one.waiting == 0
            if not last:
                self._files -= 1
                if self._files % _RECEIVE_MOST == 0:  # each waking of the receiver takes the processor from a file
                    self._changed.notify_all()
        if last:
            self._settle(one)

    def _settle(self, one: MessageWork) -> None:
        """Delete, dead-letter or give back; a fault there leaves the message to its visibility."""
        try:
            assert one.past is not None  # noqa: S101 - read before
            settle(
                one.message, one.notice, one.verdicts, one.past,
                clients=self._clients, rules=self._rules, letters=self._letters, tally=self._tally, log=self._log,
                letter=one.letter,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - the message stays in the queue; logged
            self._log.error("message", message_id=one.message.id, error=f"{type(error).__name__}: {error}")
            self._tally.failure("settle")
        finally:
            self._leave(one)

    def _give_back(self, one: MessageWork) -> None:
        """A message of which nothing could be begun; should even this fail, it comes back by itself."""
        try:
            self._clients.queue.hide(one.message, self._rules.retry_s)
            self._tally.add(messages_returned=1)
        except Fault as fault:
            self._log.warning("message", message_id=one.message.id, reason=str(fault))
        finally:
            self._leave(one)

    def _leave(self, one: MessageWork) -> None:
        with self._changed:
            self._in_hand.pop(one.message.receipt, None)
            self._files -= 1
            self._changed.notify_all()

    def _room(self, wanted: int) -> int:
        """How many files can begin now; waits a little for `wanted`, since a call that fetches one message costs as
        much as one that fetches ten.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._rules.files_at_once - self._files >= wanted or not self._files, _LINGER_S
            )
            return self._rules.files_at_once - self._files

    def _wait_for_change(self, before: int) -> None:
        """Until fewer or more files are in hand than `before` (seen earlier, so that no change is slept through)."""
        with self._changed:
            self._changed.wait_for(lambda: self._files != before or not self._files, timeout=_LOOK_S)

    def _finish(self) -> None:
        """Waits for what is in hand, keeping it invisible."""
        while True:
            with self._changed:
                if not self._in_hand:
                    return
                before = self._files
            self._keep_hidden()
            self._wait_for_change(before)

    def _keep_hidden(self) -> None:
        """Extends the visibility of messages that are worked on for long."""
        now = self._deadline.clock()
        with self._changed:
            old = [one for one in self._in_hand.values() if now - one.hidden_at > self._rules.visibility_s / 2]
        for one in old:
            try:
                self._clients.queue.hide(one.message, self._rules.visibility_s)
                one.hidden_at = now
            except Fault as fault:
                self._log.warning("message", message_id=one.message.id, reason=str(fault))

    def _report(self, started: datetime) -> RunSummary:
        """Closes the summary; kept as a blob when there was anything to do."""
        summary = self._tally.close()
        ended = self._now()
        summary.started, summary.ended = (moment.isoformat(timespec="milliseconds") for moment in (started, ended))
        summary.seconds = round(self._deadline.elapsed(), 3)
        if summary.messages_received:
            name = f"runs/{started:%Y/%m/%d/%H%M%S}-{self._name}.json"
            try:
                self._clients.progress.put(name, msgspec.json.encode(summary))
            except Fault as fault:
                self._log.warning("summary", reason=str(fault))
        return summary
