"""alma_analytics in a campaign: a library and a report job in; the run is driven to its end; then records, pages,
letters and the stand-in's journal are compared with what the reports want.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeVar

import msgspec

from core.alma_analytics import reading
from core.clients.faults import Transient
from core.messages.alma_analytics import Side
from localcloud.deadletters.acting import dead_letters
from localcloud.deadletters.entry import Filter
from localcloud.faults.fault import Schedule
from localcloud.faults.injector import FaultReport
from localcloud.outside.alma import journal, truth
from localcloud.outside.alma.campaign import Given, overwritten, write
from localcloud.outside.alma.settings import Settings
from localcloud.outside.mail.store import Store
from localcloud.session.alma import Alma, alma
from localcloud.session.chaos_report import Judged
from localcloud.session.local import LocalCloudError, LocalStack

T = TypeVar("T")

SYSTEM: Final = "alma_analytics"
NEVER: Final = "0 0 0 29 2 *"
SETTINGS: Final = {"almaAnalytics": {"schedule": NEVER, "sweepSchedule": NEVER, "almaPerSecond": 1000}}
RUN_S = 120
"""One round at most."""
POLL_S = 0.1
TRIES = 5
_OVER = frozenset({"done", "failed"})
_OPEN = frozenset({"pending", "sent"})
_LISTED = frozenset({"conflict", "gone", "refused"})


@contextmanager
def trial(stack: LocalStack) -> Iterator["AlmaTrial"]:
    """On a local cloud that is up."""
    with alma(stack) as system:
        yield AlmaTrial(stack, system)


class AlmaTrial:
    """A run: one report job over two reports, some ninety records."""

    def __init__(self, stack: LocalStack, system: Alma) -> None:
        self._stack, self._system = stack, system
        self._folder = stack.home / "outside" / "alma"
        self._letters = Store(stack.home / "outside" / "mail" / "messages")
        self._counted = 0
        """Requests of runs before this one, which Alma counts as this day's."""
        self._given = Given()

    def put(self, seed: int, schedule: Schedule) -> None:
        """The library, the job, and its run."""
        try:
            self._given = msgspec.convert(schedule.given, Given)
        except msgspec.ValidationError as error:
            raise LocalCloudError(f"schedule {schedule.name}: given: {error}; correct the schedule") from error
        self._counted += sum(one.counted for one in journal.read(self._folder))
        self._job = write(self._folder, seed, self._given)
        left = self._given.day_left
        self._limit(0 if left is None else self._counted + left)
        self._before = truth.snapshot(self._folder, self._job)
        self._redriven = 0
        self._system.put([msgspec.to_builtins(self._job)], f"seed {seed}")
        self._run_id = self._system.run(self._job.name, dry_run=False).run_id

    def drive(self) -> Literal["over", "moving", "still"]:
        """Until no handler runs and no message can be taken."""
        hidden = self._settled()
        state = self._run().state
        if state in _OVER and not hidden and not self._dead():
            return "over"
        return "still" if state == "parked" or not hidden else "moving"

    def mend(self) -> None:
        """A new day, dead letters sent back, a parked run resumed."""
        self._limit(0)
        with dead_letters(self._stack) as dead:
            chosen = dead.choose(Filter(system=SYSTEM))
            self._redriven += dead.act("redrive", chosen, rate=0, tell=lambda _done: None).done
        if self._run().state == "parked":
            self._system.retry(self._run_id)

    def judge(self, schedule: Schedule, report: FaultReport) -> Judged:
        """The truth about its records and rows, and the letters."""
        whole = self._system.show(self._run_id, which="all")
        run, failed = whole.run, whole.run.state == "failed"
        entries = list(journal.read(self._folder))
        found = truth.compare(
            self._job, self._before, truth.snapshot(self._folder, self._job), entries,
            listed={tuple(one.ids) for one in whole.records if one.state in _LISTED},
            rows=None if failed else self._rows(whole, "main"),
            other_rows=None if failed else self._rows(whole, "other"),
        )  # fmt: skip
        letters = [one for one in self._letters.all() if one.key.startswith(f"{self._run_id}/")]
        counts = {
            "wanted": found.wanted, "updated": found.updated, "listed": found.listed,
            "lost": 0 if failed else len(found.lost), "doubled": len(found.doubled),
            "pages": len(whole.pages), "requests": len(entries), "letters": len(letters),
            "redriven": self._redriven, "failed": int(failed),
        }  # fmt: skip
        wrong = (
            _wrong(found, failed=failed)
            + _of_run(whole, schedule)
            + _of_letters(whole, [one.subject for one in letters])
        )
        if not any(one.kind == "kill" or one.operation == "GetBib" for one in report.fired):  # each first GET was heard
            wrong += [f"a colleague's change was overwritten: bib {one}" for one in overwritten(self._folder)]
        notes = [f"failed, as it may: {run.error}"] if failed else []
        return Judged(counts=counts, notes=notes, wrong=wrong)

    def _limit(self, per_day: int) -> None:
        given = self._given
        settings = Settings(per_second=given.per_second, per_day=per_day, latency_ms=given.latency_ms)
        self._stack.require().call("PUT", "/outside/alma/settings", settings, Settings)

    def _run(self) -> reading.RunLine:
        """Through the faults."""
        (run,) = _patiently(lambda: self._system.runs(job=self._job.name, state=None, limit=2))
        return run

    def _settled(self) -> int:
        """Waits; how many messages are hidden then."""
        deadline, seen = time.monotonic() + RUN_S, 0
        while seen < 2:
            status = self._stack.status()
            busy = [f"{app.name}: {app.in_flight} at work" for app in status.apps if app.in_flight]
            busy += [f"{queue.name}: {queue.active} to take" for queue in status.queues
                     if queue.active and not queue.dead_letters]  # fmt: skip
            if time.monotonic() > deadline:
                raise LocalCloudError(f"chaos: still moving after {RUN_S} s: {', '.join(busy)}; see the logs")
            seen = 0 if status.busy or busy else seen + 1
            if not seen:
                time.sleep(POLL_S)
        return status.in_flight

    def _dead(self) -> int:
        return sum(queue.active + queue.in_flight for queue in self._stack.status().queues if queue.dead_letters)

    def _rows(self, whole: reading.Whole, side: Side) -> list[list[str | None]]:
        """What the run read, page by page."""
        pages = sorted(page.page for page in whole.pages if page.side == side)
        return [row for page in pages for row in self._system.page(self._run_id, page, side).rows()]


def _patiently(ask: Callable[[], T]) -> T:
    """The campaign's own looks meet the faults too."""
    for _ in range(TRIES):
        try:
            return ask()
        except Transient:
            time.sleep(POLL_S)
    return ask()


def _wrong(found: truth.Findings, *, failed: bool) -> list[str]:
    kinds = {
        "lost": [] if failed else found.lost, "doubled": found.doubled, "wrong": found.wrong,
        "touched": found.touched, "overwritten": found.overwritten,
    }  # fmt: skip
    wrong = [f"{kind}: {what}" for kind, all_ in kinds.items() for what in all_[:20]]
    rows = {"missing": found.rows_missing, "doubled": found.rows_doubled}
    return wrong + [f"rows {kind}: {count}" for kind, count in rows.items() if count]


def _of_run(whole: reading.Whole, schedule: Schedule) -> list[str]:
    """Its own account of itself."""
    run = whole.run
    if run.state == "failed":
        allowed = schedule.may_fail and re.search(schedule.may_fail, run.error or "")
        return [] if allowed else [f"run: failed: {run.error}"]
    wrong = [] if run.state == "done" else [f"run: {run.state}"]
    left = sum(count for state, count in whole.outcomes.items() if state in _OPEN)
    wrong += [f"run: {left} records have no outcome"] if left else []
    wrong += [f"outbox: {one.messages} messages wait for {one.queue}" for one in whole.waiting]
    return wrong


def _of_letters(whole: reading.Whole, subjects: list[str]) -> list[str]:
    """One, and it tells what came of the run."""
    if len(subjects) != 1:
        return [f"letters: must be one, got {len(subjects)}: {subjects[:3]}"]
    updated, total = whole.outcomes.get("updated", 0), sum(whole.outcomes.values())
    told = f"{updated} of {total} updated" if total else "nothing to change"
    told = "stopped" if whole.run.state == "failed" else told
    return [] if subjects[0].endswith(f": {told}") else [f"letter: must say {told!r}, says {subjects[0]!r}"]
