from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from components.packaging.archive import add, extend, unpack
from components.packaging.errors import PackageError


def test_unpacking_gives_the_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        add(archive, "core/a.py", b"1")
        add(archive, "host.json", b"{}")
    folder = unpack(tmp_path / "a.zip", tmp_path / "out" / "a")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "core/a.py",
        "host.json",
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "C:/evil"])
def test_an_entry_that_would_land_outside_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        add(archive, name, b"1")
    with pytest.raises(PackageError, match="below the package's root"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/hosts")
    with pytest.raises(PackageError, match="plain file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("head", [{}, {"a/x.py": b"x" * 900, "a/y.json.gz": b"packed", "a/ä.txt": b""}])
@pytest.mark.parametrize("files", [{}, {"host.json": b"{}", "core/a.py": b"1" * 5_000}])
def test_an_extended_zip_is_what_zipfile_would_make_of_it(
    tmp_path: Path, head: dict[str, bytes], files: dict[str, bytes]
) -> None:
    with zipfile.ZipFile(tmp_path / "head.zip", "w") as archive:
        for name, content in head.items():
            add(archive, name, content)
    shutil.copyfile(tmp_path / "head.zip", tmp_path / "wanted.zip")
    with zipfile.ZipFile(tmp_path / "wanted.zip", "a") as archive:
        for name in sorted(files):
            add(archive, name, files[name])
    extend(tmp_path / "head.zip", tmp_path / "made.zip", files)
    assert (tmp_path / "made.zip").read_bytes() == (tmp_path / "wanted.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == head | files
