from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from components.packaging.archive import add, unpack
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
