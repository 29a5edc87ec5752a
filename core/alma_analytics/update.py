"""One batch of records: read, change, write, one after another, each with its own outcome.

Before a change leaves, the record is marked `sent` with what it held. A worker that dies then leaves a mark, and the
record itself tells the next one whether the change arrived. So each is changed once, or listed with its reason.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from core.alma_analytics import names
from core.alma_analytics.ports import Records, Values
from core.alma_analytics.work import BUSY, SQL, Open, Work, tomorrow
from core.clients.alma import Document, Ref, Threshold
from core.clients.faults import Changed, Denied, Gone, Refused, Transient
from core.jobs import machine
from core.messages.alma_analytics import UpdateRecords
from core.runtime.deadline import Deadline
from core.runtime.outcome import Done, Outcome, Retry

TRIES = 4
"""Of one record within one delivery."""
DELIVERIES = 10
"""Of one batch; what is open after these is given up with the last reason."""
FINISH_S = 30
"""Before the time limit: no new record."""


class Later(Exception):  # noqa: N818 - what becomes of the batch
    """The rest of the batch must wait."""

    def __init__(self, reason: str, until: datetime, *, day: bool = False) -> None:
        super().__init__(reason)
        self.until, self.day = until, day


class Taken(Exception):  # noqa: N818 - what becomes of the delivery
    """Another delivery of the batch goes on with it."""


@dataclass(slots=True)
class Record:
    """One record on its way."""

    position: int
    ref: Ref
    after: Values
    before: Values
    """What is expected there, field by field, as far as it is known."""
    sent: bool = False
    """A change of ours may be there already."""


class Update:
    """The step's work, for one message."""

    def __init__(
        self,
        work: Work,
        records: Records,
        message: UpdateRecords,
        deadline: Deadline,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._work, self._records, self._message, self._deadline = work, records, message, deadline
        self._sleep = sleep
        self._run_id, self._task = message.run_id, str(message.batch)
        self._key = {"run_id": message.run_id, "batch": message.batch}
        self._did: Counter[str] = Counter()
        self._requests = 0
        self._attempt = 0

    def execute(self) -> Outcome:
        """Brings what is open in the batch to its end."""
        with self._work.alone(f"update/{self._run_id}/{self._task}") as mine:
            if not mine:
                return BUSY
            outcome = self._execute()
        self._work.outbox.flush(self._run_id)
        return outcome

    def _execute(self) -> Outcome:
        with self._work.database.transaction() as tx:
            opened = self._work.open(tx, names.ALMA_UPDATE, self._message)
            if not isinstance(opened, Open):
                return opened
            task = machine.begin_task(tx, self._run_id, names.UPDATE, self._task)
            rows = tx.execute(SQL["open_records"], self._key).fetchall()
        if task is None:
            return Done(summary={"run": self._run_id, "left": f"batch {self._task} is settled"})
        self._attempt = task.attempt
        try:
            for row in rows:
                self._one(row, last=task.attempt >= DELIVERIES)
        except Later as later:
            return self._later(later, task.attempt)
        except (Taken, Denied) as stop:
            with self._work.database.transaction() as tx:
                self._count(tx)
            return Retry(str(stop)) if isinstance(stop, Denied) else self._done(left="another delivery goes on with it")
        with self._work.database.transaction() as tx:
            end = machine.finish_task(
                tx, self._run_id, names.UPDATE, self._task, result=dict(self._did), requests=self._requests
            )
            machine.count(tx, self._run_id, **self._did)
            if end.stage_done:
                self._work.tell(tx, self._run_id)
        return self._done()

    def _later(self, later: Later, attempt: int) -> Outcome:
        with self._work.database.transaction() as tx:
            self._count(tx)
            if later.day:
                machine.park(tx, self._run_id, later.until, str(later))
            self._send(tx, f"again-{attempt}", later.until)
        return self._done(again=str(later))

    def _count(self, tx: Any) -> None:
        machine.count(tx, self._run_id, requests=self._requests, **self._did)

    def _done(self, **more: object) -> Done:
        did = self._did
        counts = {"out": did["updated"] + did["unchanged"], "dead": did["conflict"] + did["gone"] + did["refused"]}
        summary = {"run": self._run_id, "batch": self._message.batch, "requests": self._requests, **did, **more}
        return Done(counts=counts, summary=summary)

    def _send(self, tx: Any, name: str, when: datetime) -> None:
        message = UpdateRecords(run_id=self._run_id, batch=self._message.batch)
        self._work.send(tx, self._run_id, names.ALMA_UPDATE, message, f"update-{self._task}/{name}", not_before=when)

    def _one(self, row: Mapping[str, Any], *, last: bool) -> None:
        """One record to its outcome. Raises Later, Taken, Denied."""
        if self._deadline.left() < FINISH_S:
            raise Later("the time limit is near; the rest goes on in the next call", self._work.now())
        record = Record(row["position"], Ref(row["kind"], tuple(row["ids"])), row["after"], row["before"])
        record.sent = row["state"] == "sent"
        reason = ""
        for attempt in range(1, TRIES + 1):
            try:
                return self._settle(record, *self._try(record))
            except Changed as fault:  # somebody wrote it between our reading and writing: look again
                record.sent, reason = False, str(fault)
            except Threshold as fault:
                if fault.daily:
                    raise Later(str(fault), tomorrow(self._work.now()), day=True) from fault
                reason = str(fault)
                self._sleep(min(1.0 * attempt, self._deadline.left()))
            except Transient as fault:  # no answer to a change is no harm: the record tells whether it arrived
                reason = str(fault)
                self._sleep(min(0.25 * 2**attempt, self._deadline.left()))
        if not last:
            raise Later(reason, self._work.now() + timedelta(seconds=30))
        return self._settle(record, "refused", f"given up: {reason}")

    def _try(self, record: Record) -> tuple[str, str, Values | None]:
        """Its outcome, why, and what was found there. Raises what is worth another try."""
        try:
            document = self._get(record.ref)
            found = {field: document.read(field) for field in record.after}
            if found == record.after:
                return ("updated", "", None) if record.sent else ("unchanged", "", found)
            if odd := _changed_since(record.before, found):
                return "conflict", odd, found
            self._put(record, document, found)
        except Gone as fault:
            return "gone", str(fault), None
        except Refused as fault:
            return "refused", str(fault), None
        return "updated", "", None

    def _get(self, ref: Ref) -> Document:
        self._requests += 1
        return self._records.get(ref)

    def _put(self, record: Record, document: Document, found: Values) -> None:
        self._move("mark_sent", record, before=Jsonb(dict(found)))
        record.sent, record.before = True, found
        for field, value in record.after.items():
            document.write(field, value)
        self._requests += 1
        self._records.put(record.ref, document)

    def _settle(self, record: Record, state: str, reason: str = "", found: Values | None = None) -> None:
        before = None if found is None else Jsonb(dict(found))
        self._move("settle_record", record, state=state, reason=reason or None, before=before)
        self._did[state] += 1

    def _move(self, statement: str, record: Record, **values: object) -> None:
        """The record's state, as long as the batch is ours. Raises Taken."""
        mine = {"run_id": self._run_id, "stage": names.UPDATE, "task": self._task, "attempt": self._attempt}
        with self._work.database.transaction() as tx:
            if not tx.execute(SQL[statement], {**mine, "position": record.position, **values}).rowcount:
                raise Taken


def _changed_since(before: Values, found: Values) -> str:
    """What is neither as the report said nor as it shall be: somebody changed it."""
    for field, was in before.items():
        if (found[field] or "") != (was or ""):
            return f'{field} was "{was or ""}" when the report was made and is "{found[field] or ""}" now'
    return ""
