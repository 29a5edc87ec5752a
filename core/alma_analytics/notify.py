"""The run's people are told, once: with a provider that takes an idempotency key, however often this is tried."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import msgspec

from core.alma_analytics import names
from core.alma_analytics.letter import Line, letter, table
from core.alma_analytics.ports import Container
from core.alma_analytics.work import BUSY, SQL, Work, utc_now
from core.clients.faults import Refused
from core.clients.mail import Mail
from core.jobs import machine
from core.messages.alma_analytics import Notify, ReportJob
from core.runtime.outcome import Dead, Done, Outcome

KEY_LIVES = timedelta(hours=23)
"""Resend keeps an idempotency key for a day: a try that old is not repeated by itself."""


class Mailer(Protocol):
    """The mail provider."""

    def send(self, mail: Mail, *, idempotency_key: str) -> str:
        """The provider's id of the letter; the same one for the same key. Raises Refused for good, Transient else."""


def notify(work: Work, reports: Container, mailer: Mailer, message: Notify) -> Outcome:
    """Writes the CSV, mails the letter, ends the run."""
    run_id = message.run_id
    with work.alone(f"notify/{run_id}") as mine:
        if not mine:
            return BUSY
        with work.database.transaction() as tx:
            run = machine.find(tx, run_id)
            if run is None:
                return Dead(f"run {run_id}: must be one that was started, there is none of that name")
            task = machine.begin_task(tx, run_id, names.NOTIFY, names.ONLY, over=True)
            stage = machine.find_stage(tx, run_id, names.NOTIFY)
            outcomes = tx.execute(SQL["outcomes"], {"run_id": run_id}).fetchall()
            rows = tx.execute(SQL["records"], {"run_id": run_id}).fetchall()
        if task is None:
            return work.done(run_id, left="its people were told")
        if task.attempt > 1 and stage and utc_now() - stage.opened_at > KEY_LIVES:
            return _close(work, run_id, refused="a first letter may have left more than a day ago; not sent again")
        job = msgspec.convert(run.params, ReportJob)
        lines = [Line(row["ids"], row["before"], row["after"], row["state"], row["reason"]) for row in rows]
        csv_ = table(lines) if lines else b""
        kept = f"{run_id}.csv"
        if csv_:
            reports.put(kept, csv_, kind="text/csv")
        try:
            sent = mailer.send(letter(run, job, outcomes, lines, csv_, kept), idempotency_key=f"{run_id}/{run.retries}")
        except Refused as fault:
            return _close(work, run_id, refused=str(fault))
        return _close(work, run_id, mail=sent)


def _close(work: Work, run_id: str, *, mail: str = "", refused: str = "") -> Done:
    with work.database.transaction() as tx:
        if refused:
            machine.fail_task(tx, run_id, names.NOTIFY, names.ONLY, refused)
        else:
            machine.finish_task(tx, run_id, names.NOTIFY, names.ONLY, result={"mail": mail})
        machine.finish(tx, run_id)
    return work.done(run_id, **({"refused": refused} if refused else {"mail": mail}))
