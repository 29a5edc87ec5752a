"""One page of a report: page to blob, next page to the queue.

Alma keeps the report's cursor, and every call moves it, answered or not. So a call is announced in the database before
it is made, and one whose answer was lost is never repeated: the report begins anew, in a new round with a cursor of its
own. A message that comes twice finds its page kept and changes nothing.

Pages come one after another, so what happens between two of them counts: statements whose answers nobody waits for
travel with the next one (pipelines).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from core.alma_analytics import names
from core.alma_analytics.ports import Container, Reports, Tx
from core.alma_analytics.work import BUSY, SQL, Open, Work, tomorrow
from core.clients.alma import Page, ReportFault, Threshold, TokenExpired
from core.clients.faults import Denied, Fault, Transient
from core.jobs import machine
from core.messages.alma_analytics import Combine, FetchPage, Report
from core.runtime.outcome import Dead, Done, Outcome, Retry

ROUNDS = 6
"""A report whose cursor is lost this often is given up; a person's retry allows as many again."""
TRIES = 8
"""So often a first page, or one that Alma would not serve just then, is asked for."""
ROW_LIMIT = 65_000
"""Analytics cuts a report here without a word: as many rows are not trusted to be all."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The page that this message may fetch."""

    report: Report
    round: int
    page: int
    token: str | None
    tries: int
    digest: str | None
    """Of the page before; None: this is the first one."""
    columns: list[str]
    """Its columns."""


class Fetch:
    """The step's work, for one message."""

    def __init__(self, work: Work, reports: Reports, pages: Container, message: FetchPage) -> None:
        self._work, self._reports, self._pages, self._message = work, reports, pages, message
        self._run_id, self._side = message.run_id, message.side
        self._key = {"run_id": message.run_id, "side": message.side}

    def execute(self) -> Outcome:
        """Fetches the page, unless somebody did."""
        with self._work.alone(f"fetch/{self._run_id}/{self._side}") as mine:
            if not mine:
                return BUSY
            turn = self._begin()
            outcome = self._call(turn) if isinstance(turn, Turn) else turn
        self._work.outbox.flush(self._run_id)  # the turn is given back: the next page's message may be quick
        return outcome

    @property
    def _stage(self) -> str:
        return names.fetch(self._side)

    def _begin(self) -> Turn | Outcome:
        message = self._message
        with self._work.database.transaction() as tx, tx.pipeline():
            opened = self._work.open(tx, names.API_FETCH, self._message)
            if not isinstance(opened, Open):
                return opened
            report = opened.job.report if self._side == "main" else opened.job.other
            if report is None:
                return Dead(f"run {self._run_id}: its job has no second report to fetch")
            if message.page == 1:  # later pages come only of a first one
                machine.open_stage(tx, self._run_id, self._stage, [names.ONLY], sealed=False)
                tx.execute(SQL["put_fetch"], self._key)
            row = tx.execute(SQL["get_fetch"], self._key).fetchone()
            if row is None or (message.round, message.page) != (row["round"], row["next_page"]):
                return Done(summary={"run": self._run_id, "left": f"page {message.page} was dealt with before"})
            if row["calling"] and message.page > 1:
                return self._new_round(tx, "the answer to a call was lost, and with it the report's cursor")
            if machine.begin_task(tx, self._run_id, self._stage, str(message.page)) is None:
                return Done(summary={"run": self._run_id, "left": f"page {message.page} is settled"})
            tx.execute(SQL["begin_call"], self._key)
            return Turn(
                report, message.round, message.page, row["token"], row["tries"], row["digest"], row["columns"] or []
            )

    def _call(self, turn: Turn) -> Outcome:
        report = turn.report
        try:
            page = self._reports.report_page(
                path=report.path,
                limit=report.limit,
                filter=report.filter,
                token=turn.token,
                known=tuple(turn.columns),
            )
        except Fault as fault:
            return self._failed(turn, fault)
        columns = list(page.columns)
        blob = f"{self._run_id}/{self._side}/{turn.round:02}/{turn.page:05}.json.gz"
        self._pages.put(blob, packed(columns, page.rows), kind="application/gzip")
        with self._work.database.transaction() as tx, tx.pipeline():
            return self._keep(tx, turn, page, columns, blob) if self._mine(tx, turn) else self._taken(turn)

    def _mine(self, tx: Tx, turn: Turn) -> bool:
        """Whether the turn is ours still: it is lost with the connection that held it, and another may have gone on."""
        row = tx.execute(SQL["get_fetch"], self._key).fetchone()
        return row is not None and (row["round"], row["next_page"], row["calling"]) == (turn.round, turn.page, True)

    def _taken(self, turn: Turn) -> Outcome:
        return Done(summary={"run": self._run_id, "left": f"page {turn.page}: another delivery took its turn"})

    def _keep(self, tx: Tx, turn: Turn, page: Page, columns: list[str], blob: str) -> Outcome:
        at: dict[str, Any] = {**self._key, "round": turn.round, "page": turn.page}
        digest = hashlib.sha256(msgspec.json.encode(page.rows)).hexdigest()
        machine.count(tx, self._run_id, requests=1)
        if page.rows and turn.digest == digest:
            return self._new_round(tx, f"page {turn.page} repeats page {turn.page - 1}")
        tx.execute(SQL["keep_page"], {**at, "rows": len(page.rows), "columns": columns, "digest": digest, "blob": blob})
        tx.execute(SQL["next_page"], {**self._key, "token": page.token})
        machine.finish_task(tx, self._run_id, self._stage, str(turn.page), result={"rows": len(page.rows)})
        done = Done(summary={"run": self._run_id, "page": turn.page, "rows": len(page.rows), "last": page.finished})
        if not page.finished:
            machine.add_task(tx, self._run_id, self._stage, str(turn.page + 1))
            self._send(tx, FetchPage(run_id=self._run_id, side=self._side, round=turn.round, page=turn.page + 1))
            return done
        rows = tx.execute(SQL["rows_so_far"], at).fetchone()
        if rows and rows["rows"] >= ROW_LIMIT:
            self._work.give_up(
                tx, self._run_id,
                f"report {turn.report.path}: must have fewer than {ROW_LIMIT:,} rows, as Analytics cuts there, got "
                f"{rows['rows']:,}; narrow its filter",
            )  # fmt: skip
            return done
        machine.seal(tx, self._run_id, self._stage)
        ready = Combine(run_id=self._run_id, side=self._side, round=turn.round)
        self._work.send(tx, self._run_id, names.DATA_COMBINE, ready, f"combine-{self._side}")
        return done

    def _failed(self, turn: Turn, fault: Fault) -> Outcome:
        """Which of Alma's answers mean what for a cursor that moves with every call it serves."""
        place = f"report {turn.report.path}"
        reason = f"{place}, page {turn.page}: {str(fault).removeprefix(f'{place}: ')}"
        now = self._work.now()
        with self._work.database.transaction() as tx:
            if not self._mine(tx, turn):
                return self._taken(turn)
            machine.count(tx, self._run_id, requests=1)
            if isinstance(fault, ReportFault):
                self._work.give_up(tx, self._run_id, reason)
                outcome: Outcome = Done(summary={"run": self._run_id, "failed": reason})
            elif isinstance(fault, Threshold):  # refused before it was looked at: the cursor stays
                if fault.daily:
                    machine.park(tx, self._run_id, tomorrow(now), reason)
                outcome = self._again(tx, turn, reason, tomorrow(now) if fault.daily else now + timedelta(seconds=2))
            elif isinstance(fault, Denied):  # a key that a person must mend
                tx.execute(SQL["end_call"], {**self._key, "reason": reason})
                outcome = Retry(reason)
            elif turn.page > 1 and isinstance(fault, TokenExpired | Transient):
                outcome = self._new_round(tx, reason)
            elif turn.tries + 1 >= TRIES:
                self._work.give_up(tx, self._run_id, f"{reason} ({TRIES} tries)")
                outcome = Done(summary={"run": self._run_id, "failed": reason})
            else:
                outcome = self._again(tx, turn, reason, now + timedelta(seconds=min(300, 2 ** (turn.tries + 1))))
        return outcome

    def _again(self, tx: Tx, turn: Turn, reason: str, when: datetime) -> Outcome:
        """The same page, later."""
        tx.execute(SQL["end_call"], {**self._key, "reason": reason})
        self._send(tx, self._message, not_before=when, name=f"try-{turn.tries + 1}")
        return Done(summary={"run": self._run_id, "page": turn.page, "again": reason})

    def _new_round(self, tx: Tx, reason: str) -> Outcome:
        row = tx.execute(SQL["new_round"], {**self._key, "reason": reason}).fetchone()
        assert row is not None  # noqa: S101 - its row is locked
        run = machine.find(tx, self._run_id)
        if row["round"] > ROUNDS * (run.retries + 1 if run else 1):
            self._work.give_up(tx, self._run_id, f"{self._side} report, begun {ROUNDS} times: {reason}")
            return Done(summary={"run": self._run_id, "failed": reason})
        machine.reset_stage(tx, self._run_id, self._stage)
        machine.add_task(tx, self._run_id, self._stage, names.ONLY)
        self._send(tx, FetchPage(run_id=self._run_id, side=self._side, round=row["round"], page=1))
        return Done(summary={"run": self._run_id, "begun_anew": reason, "round": row["round"]})

    def _send(self, tx: Tx, message: FetchPage, *, not_before: datetime | None = None, name: str = "") -> None:
        tag = f"{message.side}/{message.round}/{message.page}" + (f"/{name}" if name else "")
        self._work.send(tx, self._run_id, names.API_FETCH, message, tag, not_before=not_before)


class StoredPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page's blob: gzipped JSON, column by column, as what combines them wants it."""

    columns: list[str]
    values: list[list[str | None]]
    """One list a column, all of one length."""


def packed(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> bytes:
    """A page as its blob keeps it: equal pages give equal bytes."""
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    return gzip.compress(msgspec.json.encode(StoredPage(columns=list(columns), values=values)), 1, mtime=0)


def unpacked(body: bytes) -> StoredPage:
    """The same, back."""
    return msgspec.json.decode(gzip.decompress(body), type=StoredPage)
