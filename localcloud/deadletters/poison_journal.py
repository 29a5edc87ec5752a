"""What a move of poison messages must not forget: one SQLite file, every step on the disk before the next is taken."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
create table if not exists moves (
    number integer primary key autoincrement,
    account text not null,
    queue text not null,
    poison_id text not null,
    poison_receipt text not null,
    copy_id text,        -- null: the copy was about to be made; whether it was is not known
    copy_receipt text,
    gone_at integer not null  -- seconds since the epoch: a copy that nobody releases is gone by then, unseen
);
create table if not exists holds (account text not null, queue text not null, id text not null, receipt text not null);
"""


@dataclass(frozen=True, slots=True)
class Move:
    """One message on its way."""

    number: int
    account: str
    queue: str
    poison_id: str
    poison_receipt: str
    copy_id: str | None
    copy_receipt: str | None


class Journal:
    """Moves begun and not ended, and messages held meanwhile."""

    def __init__(self, file: Path) -> None:
        file.touch(mode=0o600, exist_ok=True)
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def begin(self, account: str, queue: str, poison: tuple[str, str], gone_at: int) -> int:
        """A copy of this poison message (id, receipt) is about to be made."""
        made = self._db.execute(
            "insert into moves (account, queue, poison_id, poison_receipt, gone_at) values (?, ?, ?, ?, ?)",
            (account, queue, *poison, gone_at),
        )
        return int(made.lastrowid or 0)

    def copied(self, number: int, copy: tuple[str, str]) -> None:
        """The copy is there, unseen: its id and receipt."""
        self._db.execute("update moves set copy_id = ?, copy_receipt = ? where number = ?", (*copy, number))

    def end(self, number: int) -> None:
        """Released, or given up."""
        self._db.execute("delete from moves where number = ?", (number,))

    def open(self) -> list[Move]:
        """Moves whose copy is known."""
        rows = self._db.execute(
            "select number, account, queue, poison_id, poison_receipt, copy_id, copy_receipt from moves "
            "where copy_id is not null order by number"
        )
        return [Move(*row) for row in rows]

    def unseen(self, account: str, queue: str, now: int) -> int:
        """Copies of killed moves that may lie in a queue until they are gone; nobody will ever receive them."""
        self._db.execute("delete from moves where copy_id is null and gone_at < ?", (now,))
        where = "copy_id is null and account = ? and queue = ?"
        return int(self._db.execute(f"select count(*) from moves where {where}", (account, queue)).fetchone()[0])  # noqa: S608

    def hold(self, account: str, queue: str, messages: Sequence[tuple[str, str]]) -> None:
        """Poison messages (id, receipt) are in hand."""
        self._db.execute("begin")
        self._db.executemany(
            "insert into holds values (?, ?, ?, ?)", [(account, queue, *message) for message in messages]
        )
        self._db.execute("commit")

    def held(self) -> list[tuple[str, str, str, str]]:
        """Account, queue, id, receipt of what is in hand."""
        return list(self._db.execute("select account, queue, id, receipt from holds"))

    def clear_holds(self) -> None:
        """All were given back."""
        self._db.execute("delete from holds")
