"""What no message takes care of: messages that a dead process left, and runs old enough to be cleaned up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from core.alma_analytics import names
from core.alma_analytics.jobs import SQL
from core.clients.faults import Fault
from core.jobs import machine
from core.jobs.outbox import Database, Outbox
from core.messages.alma_analytics import CleanUp

FORGOTTEN_S: Final = 60.0
"""A message that waits for longer is nobody's: its handler sends it right after the commit."""
RUNS_AT_ONCE: Final = 200


@dataclass(kw_only=True)
class Swept:
    """What one sweep did."""

    sent: int = 0
    """Forgotten messages."""
    asked: list[str] = field(default_factory=list)
    """Runs to be cleaned up."""
    problems: dict[str, str] = field(default_factory=dict)
    """Runs whose messages could not be sent, with the reason."""


class Sweep:
    """One sweep. Any number of them may work at once."""

    def __init__(
        self, database: Database, outbox: Outbox, *, clean_up_after: timedelta, traceparent: str,
        now: Callable[[], datetime], time_left: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """`clean_up_after`: the end of a run."""
        self._database, self._outbox, self._after = database, outbox, clean_up_after
        self._traceparent, self._now, self._time_left = traceparent, now, time_left

    def execute(self) -> Swept:
        """Sends what was forgotten, then asks for clean-ups."""
        done = Swept()
        for run_id in self._outbox.left(older_s=FORGOTTEN_S):
            if self._time_left():
                self._flush(run_id, done)
        before = self._now() - self._after
        values = {"system": names.SYSTEM, "before": before, "stage": names.CLEAN_UP, "limit": RUNS_AT_ONCE}
        with self._database.transaction() as tx:
            old = [str(row["run_id"]) for row in tx.execute(SQL["over_since"], values).fetchall()]
        for run_id in old:
            if self._time_left() and self._ask(run_id, before):
                done.asked.append(run_id)
                self._flush(run_id, done)
        return done

    def _ask(self, run_id: str, before: datetime) -> bool:
        """Asks once a run: the stage is there from then on. Not when somebody had it go on meanwhile."""
        with self._database.transaction() as tx:
            if not machine.open_stage(tx, run_id, names.CLEAN_UP, [names.ONLY]):
                return False
            run = machine.find(tx, run_id)
            if run is None or run.finished_at is None or run.finished_at >= before:
                machine.forget_stage(tx, run_id, names.CLEAN_UP)
                return False
            self._outbox.put(
                tx, run_id=run_id, queue=names.CLEANUP, message=CleanUp(run_id=run_id),
                message_id=f"{run_id}/clean-up", traceparent=self._traceparent,
            )  # fmt: skip
            return True

    def _flush(self, run_id: str, done: Swept) -> None:
        try:
            done.sent += self._outbox.flush(run_id)
        except Fault as fault:  # the next sweep tries again
            done.problems[run_id] = str(fault)
