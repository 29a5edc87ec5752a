"""The record of message move tasks, and their one step: some messages and the task's count in one transaction."""

import sqlite3
import uuid
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

SCHEMA: Final = """
create table if not exists moves (
    id text primary key, source text not null, destination text, rate integer, status text not null,
    moved integer not null, to_move integer not null, failure text, started integer not null
);
"""
KEPT: Final = 10
"""Tasks of one source that are remembered, as ListMessageMoveTasks shows them."""


@dataclass(frozen=True, slots=True)
class MoveTask:
    """One task; `destination` None: back to where each message came from."""

    id: str
    source: str
    destination: str | None
    rate: int | None
    status: str
    moved: int
    to_move: int
    failure: str | None
    started: int


_COLUMNS: Final = ", ".join(field.name for field in fields(MoveTask))


class MoveStore:
    """Tasks and their steps in the queues' own file."""

    def __init__(
        self, db: sqlite3.Connection, now: Callable[[], int], retention_ms: Callable[[str], int | None],
        woken: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`retention_ms`: of a queue, None when there is none; `woken` is told which queue got messages."""
        self._db, self._now, self._retention_ms, self._woken = db, now, retention_ms, woken

    def put(self, task: MoveTask) -> None:
        """Records a new task and forgets the oldest ones of its source."""
        values = [getattr(task, field.name) for field in fields(MoveTask)]
        self._db.execute(f"insert into moves ({_COLUMNS}) values ({', '.join('?' * len(values))})", values)  # noqa: S608
        self._db.execute(
            "delete from moves where source = ? and rowid not in "
            "(select rowid from moves where source = ? order by rowid desc limit ?)",
            (task.source, task.source, KEPT),
        )

    def running(self) -> list[MoveTask]:
        """Tasks under way."""
        return self._select("status = 'RUNNING'")

    def latest(self, source: str, limit: int = KEPT) -> list[MoveTask]:
        """The latest of a source, the newest first."""
        return self._select("source = ? order by rowid desc limit ?", source, limit)

    def close(self, task_id: str, status: str, failure: str | None = None) -> None:
        """Ends a task."""
        self._db.execute("update moves set status = ?, failure = ? where id = ?", (status, failure, task_id))

    def step(self, task_id: str, limit: int) -> bool:
        """Moves up to `limit` visible messages; False when the task is over, which it then is in the record, too."""
        targets: set[str] = set()
        self._db.execute("begin immediate")
        try:
            more = self._step(task_id, limit, targets)
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")
        for target in targets:
            self._woken(target)
        return more

    def _step(self, task_id: str, limit: int, targets: set[str]) -> bool:
        found = self._select("id = ? and status = 'RUNNING'", task_id)
        if not found:
            return False
        (task,) = found
        now = self._now()
        rows = self._db.execute(
            "select seq, origin from messages where queue = ? and visible <= ? and expires > ? "
            "order by visible, seq limit ?",
            (task.source, now, now, min(limit, task.to_move - task.moved)),
        ).fetchall()
        if not rows:
            self.close(task_id, "COMPLETED")
            return False
        for moved, (seq, origin) in enumerate(rows):
            target = task.destination or origin
            retention = self._retention_ms(target) if target else None
            if target is None or retention is None:
                self._count(task_id, moved)
                missing = "AWS.SimpleQueueService.NonExistentQueue" if target else "CouldNotDetermineMessageSource"
                self.close(task_id, "FAILED", missing)
                return False
            self._db.execute(
                "update messages set queue = ?, id = ?, sent = ?, visible = ?, expires = ?, receives = 0, "
                "first_received = null, receipt = null, origin = null where seq = ?",
                (target, str(uuid.uuid4()), now, now, now + retention, seq),
            )
            targets.add(target)
        self._count(task_id, len(rows))
        return True

    def _count(self, task_id: str, moved: int) -> None:
        self._db.execute("update moves set moved = moved + ? where id = ?", (moved, task_id))

    def _select(self, where: str, *values: object) -> list[MoveTask]:
        rows = self._db.execute(f"select {_COLUMNS} from moves where {where}", values)  # noqa: S608  our own words
        return [MoveTask(*row) for row in rows]
