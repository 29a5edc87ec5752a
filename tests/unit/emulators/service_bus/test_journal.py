"""The log: files, records, a full disk."""

import asyncio
import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.emulators.service_bus.storage.journal import MAGIC, Journal, JournalError


def written(folder: Path, records: list[bytes], **options: int) -> None:
    journal = Journal(folder, **options)
    assert list(journal.replay()) == []
    for record in records:
        journal.append(record)
        journal.flush()
    journal.close()


def read(folder: Path) -> list[bytes]:
    journal = Journal(folder)
    records = list(journal.replay())
    journal.close()
    return records


def bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.log"))


def test_a_kill_at_any_byte_leaves_the_whole_records_before_it(tmp_path: Path) -> None:
    records = [b"first", b"", b"the third " * 3]
    written(tmp_path / "whole", records)
    [file] = (tmp_path / "whole").glob("*.log")
    data = file.read_bytes()
    ends = [len(MAGIC)]
    for record in records:
        ends.append(ends[-1] + 8 + len(record))
    assert ends[-1] == len(data)
    for cut in range(len(data) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / file.name).write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends[1:])
        journal = Journal(folder)
        assert list(journal.replay()) == records[:whole]
        journal.append(b"after")
        journal.close()
        assert read(folder) == [*records[:whole], b"after"]


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(0, 200))
def test_a_newest_file_with_rubbish_at_its_end_is_cut_there(rubbish: bytes, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, [b"a" * (seed % 50), b"b"])
        [file] = folder.glob("*.log")
        with file.open("ab") as end:
            end.write(rubbish)
        assert read(folder)[:2] == [b"a" * (seed % 50), b"b"]
        assert read(folder) == read(folder)


def test_an_older_file_that_is_damaged_is_never_passed_over(tmp_path: Path) -> None:
    written(tmp_path, [b"a" * 50, b"b" * 50], segment_bytes=40)
    oldest = min(tmp_path.glob("*.log"))
    data = bytearray(oldest.read_bytes())
    data[-1] ^= 1
    oldest.write_bytes(data)
    with pytest.raises(JournalError, match="is damaged at byte 8"):
        read(tmp_path)


def test_a_folder_serves_one_process_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match="in use by another process"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "000000000001.log").write_bytes(b"something else entirely")
    with pytest.raises(JournalError, match="is no log of this version"):
        read(tmp_path)


def test_old_segments_go_and_what_lives_in_them_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1000)
    list(journal.replay())
    live = {b"%05d" % number * 20 for number in (1, 5)}
    journal.reclaim(lambda record: record if record in live else None, lambda: 200)
    for number in range(400):
        journal.append(b"%05d" % number * 20)
        journal.flush()
        assert journal.size < 2 * 200 + 7 * 1100
    journal.close()
    assert live <= set(read(tmp_path))


def test_what_is_appended_is_written_together_when_asked_for_or_soon(tmp_path: Path) -> None:
    async def scene() -> None:
        journal = Journal(tmp_path)
        list(journal.replay())
        journal.append(b"a")
        journal.append(b"b")
        assert bytes_of(tmp_path) == len(MAGIC)
        assert journal.durable() is None
        assert bytes_of(tmp_path) == len(MAGIC) + 2 * 9
        journal.append(b"c")
        async with asyncio.timeout(10):
            while bytes_of(tmp_path) != len(MAGIC) + 3 * 9:  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.001)
        journal.close()

    asyncio.run(scene())


def test_a_full_disk_is_told_and_what_was_cut_off_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        journal = Journal(tmp_path)
        list(journal.replay())
        real = os.write
        left = [5]

        def write(file: int, data: bytes) -> int:
            if not left[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            taken = real(file, data[: left[0]])
            left[0] -= taken
            return taken

        monkeypatch.setattr(os, "write", write)
        journal.append(b"first")
        waiter = journal.durable()
        assert waiter is not None
        with pytest.raises(OSError, match="No space left"):
            await waiter
        assert bytes_of(tmp_path) == len(MAGIC)
        monkeypatch.setattr(os, "write", real)
        journal.append(b"second")
        assert journal.durable() is None
        journal.close()

    asyncio.run(scene())
    assert read(tmp_path) == [b"first", b"second"]
