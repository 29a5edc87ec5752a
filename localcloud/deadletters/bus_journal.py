"""What a redrive of Service Bus letters must not forget: one SQLite file, on the disk before the next step is taken."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
create table if not exists copies (
    place text not null,          -- host and path of the dead-letter queue
    letter text not null,         -- the letter's id; its copy carries it as an application property
    message_id text not null,     -- the copy's own
    sent integer not null,        -- 0: the copy was about to be sent; whether it was is not known
    primary key (place, letter)
) without rowid;
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """One letter's copy that was sent, or may have been, while the letter is still there."""

    letter: str
    message_id: str
    sent: bool = False


class BusJournal:
    """Copies begun whose letters may still lie in their dead-letter queue."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def left(self, place: str) -> dict[str, Copy]:
        """By letter."""
        rows = self._db.execute("select letter, message_id, sent from copies where place = ?", (place,))
        return {row[0]: Copy(row[0], row[1], bool(row[2])) for row in rows}

    def begin(self, place: str, copies: Iterable[Copy]) -> None:
        """These are about to be sent."""
        rows = [(place, one.letter, one.message_id) for one in copies]
        self._many("insert or replace into copies values (?, ?, ?, 0)", rows)

    def sent(self, place: str, letters: Iterable[str]) -> None:
        """The service has their copies."""
        self._many("update copies set sent = 1 where place = ? and letter = ?", [(place, one) for one in letters])

    def end(self, place: str, letters: Iterable[str]) -> None:
        """They are gone, or their copies never arrived."""
        self._many("delete from copies where place = ? and letter = ?", [(place, one) for one in letters])

    def _many(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        self._db.execute("begin immediate")
        self._db.executemany(statement, rows)
        self._db.execute("commit")
