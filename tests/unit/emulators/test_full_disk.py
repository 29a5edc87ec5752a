"""What a full disk may cost: the call that hit it, and lines of logs. Never an earlier call, never the next one."""

import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from localcloud.emulators import disk
from localcloud.emulators.disk import is_full
from localcloud.emulators.logs_shape import Column
from localcloud.emulators.logs_tables import Tables
from localcloud.emulators.transaction import transaction
from localcloud.host.line_file import LineFile

COLUMNS = [Column("TimeGenerated", "datetime"), Column("Text", "string")]


def limited(db: sqlite3.Connection, pages: int) -> None:
    """SQLite's own limit gives the very error that a full disk gives."""
    db.execute(f"pragma max_page_count={pages}")


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "it.sqlite", isolation_level=None)
    db.execute("create table t (x blob)")
    limited(db, 8)
    many = [(bytes(4000),)] * 100
    with pytest.raises(sqlite3.OperationalError) as caught, transaction(db):
        db.executemany("insert into t values (?)", many)
    assert is_full(caught.value)
    assert not db.in_transaction
    with transaction(db):
        db.execute("insert into t values (x'01')")
    assert db.execute("select count(*) from t").fetchone() == (1,)
    db.close()


def test_rows_of_an_upload_that_was_refused_never_appear(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.put("ws", "logs", "T_CL", COLUMNS)
    limited(tables._db, 12)
    with pytest.raises(sqlite3.OperationalError):
        tables.append("ws", "T_CL", COLUMNS, [{"Text": "x" * 4000} for _ in range(100)], now=0)
    limited(tables._db, 10_000)
    tables.append("ws", "T_CL", COLUMNS, [{"Text": "kept"}], now=0)
    assert tables.query("select Text from T_CL")[1] == [["kept"]]
    tables.close()


def test_a_line_that_finds_no_room_is_lost_and_the_next_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LineFile(tmp_path / "it.jsonl", 1000)
    file.append(b"first")
    with (tmp_path / "it.jsonl").open("ab") as half:
        half.write(b"ha")  # as much as there was room for
    whole: Callable[..., object] = Path.open

    def full(path: Path, *args: object, **kwargs: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    file.append(b"lost")
    monkeypatch.setattr(Path, "open", whole)
    file.append(b"next")
    assert (tmp_path / "it.jsonl").read_bytes() == b"first\nha\nnext\n"


def test_another_error_is_not_swallowed(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "folder" / "it.jsonl", 1000)
    (tmp_path / "folder").rmdir()
    with pytest.raises(FileNotFoundError):
        file.append(b"line")


def test_lines_are_bounded_and_the_older_ones_go(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "it.jsonl", 100)
    for number in range(100):
        file.append(b"%010d" % number)
    lines = [line for name in ("it.1.jsonl", "it.jsonl") if (tmp_path / name).exists()
             for line in (tmp_path / name).read_text().splitlines()]  # fmt: skip
    assert len(lines) < 30
    assert lines == [f"{number:010d}" for number in range(100 - len(lines), 100)]


def test_the_message_names_folder_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk.problem(tmp_path) == "" or f"got {disk.LEAST_MB}" not in disk.problem(tmp_path)
    monkeypatch.setattr(disk, "LEAST_MB", 10**9)
    assert disk.problem(tmp_path).startswith(f"disk: {tmp_path} must have 1000000000 MB free, got ")
