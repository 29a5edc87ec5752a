"""Zip files that are equal wherever they are built, and their safe unpacking."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import struct
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from components.packaging.errors import PackageError

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can say
_UNIX = 3
_END_MARK = b"PK\x05\x06"
_END = struct.Struct("<4s4H2LH")
"""The end of a zip (APPNOTE 4.3.16): mark, disks, entries (twice), bytes and place of their directory, comment."""
_LEVEL = 1  # half the time of 6 for 2 % more in a package
_PRESSED = ".gz"  # botocore's models: two thirds of a package, and deflating them again saves nothing


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """One entry: fixed time, mode 0644, deflated unless it is already."""
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = _UNIX
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(_PRESSED) else zipfile.ZIP_DEFLATED
    archive.writestr(entry, content, compresslevel=_LEVEL)


def extend(head: Path, path: Path, files: Mapping[str, bytes]) -> None:
    """The zip `head` with `files` behind its own, in order of their names.

    Byte for byte what `zipfile` makes of it, which reads and writes each of a head's thousands of entries anew.
    """
    shutil.copyfile(head, path)
    with path.open("r+b") as made:
        count, offset, directory = _directory(made)
        made.truncate(offset)
        made.seek(offset)
        with zipfile.ZipFile(made, "w") as tail:
            for name in sorted(files):
                add(tail, name, files[name])
        own_count, start, own_directory = _directory(made)
        both, count = directory + own_directory, count + own_count
        made.seek(start)
        made.write(both + _END.pack(_END_MARK, 0, 0, count, count, len(both), start, 0))


def _directory(archive: BinaryIO) -> tuple[int, int, bytes]:
    """How many entries, where their directory begins, the directory."""
    archive.seek(-_END.size, os.SEEK_END)
    _, _, _, _, count, size, offset, _ = _END.unpack(archive.read())
    archive.seek(offset)
    return count, offset, archive.read(size)


def contents_digest(hashes: Mapping[str, str]) -> str:
    """SHA-256 over the sorted `<sha256>  <name>` lines: says what is inside, whichever zlib packed it."""
    lines = (f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack into `folder`, which appears whole or not at all; a folder that exists already is taken as it is.

    Raises PackageError for an entry that would land outside, or that is no plain file.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _refuse_escapes(archive, entries)
            for parent in {draft / entry.filename for entry in entries}:
                parent.parent.mkdir(parents=True, exist_ok=True)
            for entry in entries:
                (draft / entry.filename).write_bytes(opened.read(entry))
        draft.chmod(0o755)
        settle(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def settle(draft: Path, folder: Path) -> None:
    """Give a finished folder its name; when somebody else was first, theirs (the same content) stays."""
    try:
        draft.rename(folder)
    except OSError as error:  # it was there, though whoever works with it may have taken it away by now
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST} and not folder.is_dir():
            raise


def _refuse_escapes(archive: Path, entries: Iterable[zipfile.ZipInfo]) -> None:
    for entry in entries:
        path = PurePosixPath(entry.filename)
        outside = path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in path.parts[0]
        kind = entry.external_attr >> 16
        if outside or entry.is_dir() or (stat.S_IFMT(kind) not in {0, stat.S_IFREG}):
            raise PackageError(
                who=f"package {archive.name}",
                must="every entry must be a plain file below the package's root",
                got=repr(entry.filename),
                change="build the package again; this one was not made by this project",
            )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
