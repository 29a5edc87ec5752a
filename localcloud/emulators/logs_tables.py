"""Log Analytics tables in one SQLite file: appended by the doors, read by SQL."""

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, Final

from localcloud.emulators.logs_shape import Column, Row, iso, readers
from localcloud.emulators.private_files import private_folder
from localcloud.emulators.transaction import transaction

QUERY_LIMIT_S: Final = 30.0
_STEPS: Final = 20_000


class Tables:
    """Tables by workspace. Within SQL a table has its Log Analytics name; a second workspace's table of the same name
    is `{workspace}_{table}`. Appending is safe from several threads.
    """

    def __init__(self, folder: Path) -> None:
        self._file = private_folder(folder) / "logs.sqlite"
        self._db = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        self._file.chmod(0o600)
        self._lock = threading.Lock()
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.execute(
            "create table if not exists _tables (workspace text, name text, sql_name text "
            "unique, primary key (workspace, name))"
        )
        self._names: dict[tuple[str, str], str] = {
            (workspace, name): sql for workspace, name, sql in self._db.execute("select * from _tables")
        }
        self._columns: dict[str, list[str]] = {sql: self._existing(sql) for sql in self._names.values()}

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def put(self, workspace: str, workspace_name: str, name: str, columns: list[Column]) -> str:
        """Makes a table or adds the columns it lacks (columns are never dropped: rows may hold them); answers its
        SQL name.
        """
        columns = [Column("TimeGenerated", "datetime"), *(c for c in columns if c.name != "TimeGenerated")]
        with self._lock:
            sql_name = self._names.get((workspace, name))
            if sql_name is None:
                taken = {other.lower() for other in self._names.values()}
                sql_name = name if name.lower() not in taken else f"{workspace_name}_{name}"
                body = ", ".join(f"{_quoted(c.name)} {c.sql_type}" for c in columns)
                with transaction(self._db):
                    self._db.execute(f"create table {_quoted(sql_name)} ({body})")
                    self._db.execute("insert into _tables values (?, ?, ?)", (workspace, name, sql_name))
                self._names[workspace, name] = sql_name
            else:
                have = {column.lower() for column in self._columns[sql_name]}
                for column in columns:
                    if column.name.lower() not in have:
                        self._db.execute(
                            f"alter table {_quoted(sql_name)} add column {_quoted(column.name)} {column.sql_type}"
                        )
            self._columns[sql_name] = self._existing(sql_name)
            return sql_name

    def has(self, workspace: str, name: str) -> bool:
        """Whether a table was put."""
        return (workspace, name) in self._names

    def remove(self, workspace: str, name: str | None = None) -> None:
        """Drops a table, or all of a workspace, with their rows."""
        with self._lock:
            for key in [k for k in self._names if k[0] == workspace and name in {None, k[1]}]:
                sql_name = self._names.pop(key)
                self._db.execute(f"drop table {_quoted(sql_name)}")
                self._db.execute("delete from _tables where sql_name = ?", (sql_name,))

    def append(self, workspace: str, name: str, columns: list[Column], rows: list[Row], now: float) -> int:
        """Adds rows, read as their columns' types; columns the table lacks are left out. One transaction."""
        sql_name = self._names[workspace, name]
        have = {column.lower() for column in self._columns[sql_name]}
        read = {key: reader for key, reader in readers(columns).items() if key.lower() in have}
        when = read.pop("TimeGenerated", None)
        arrival = iso(now)
        getters = list(read.items())
        values = [
            (
                (when(row.get("TimeGenerated")) if when else None) or arrival,
                *[reader(row.get(key)) for key, reader in getters],
            )
            for row in rows
        ]
        names = ", ".join(map(_quoted, ["TimeGenerated", *read]))
        marks = ", ".join("?" * (len(read) + 1))
        with self._lock, transaction(self._db):
            self._db.executemany(f"insert into {_quoted(sql_name)} ({names}) values ({marks})", values)  # noqa: S608
        return len(values)

    def query(self, sql: str) -> tuple[list[str], list[list[Any]]]:
        """(columns, rows) of one read-only statement; sqlite3.Error for a wrong one or one over 30 s."""
        db = sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True)
        try:
            db.execute("pragma query_only=1")
            ends = time.monotonic() + QUERY_LIMIT_S
            db.set_progress_handler(lambda: int(time.monotonic() > ends), _STEPS)
            cursor = db.execute(sql)
            columns = [item[0] for item in cursor.description or []]
            return columns, [list(row) for row in cursor.fetchall()]
        finally:
            db.close()

    def _existing(self, sql_name: str) -> list[str]:
        return [row[1] for row in self._db.execute(f"pragma table_info({_quoted(sql_name)})")]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
