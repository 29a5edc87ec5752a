"""The migration files of a database: their order, their digests, and what may not happen to one that was applied."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.errors import DeclarationError, require

_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its path from the project's root (posix), and the SHA-256 of its content (hexadecimal)."""

    path: str
    digest: str

    @property
    def folder(self) -> str:
        """What its number counts in."""
        return self.path.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.path} {self.digest}"


class MigrationError(Exception):
    """A migration that must not or cannot be applied; a sentence for people."""


def find(who: str, root: Path, folders: Sequence[str]) -> list[Migration]:
    """Every file of the folders (from `root`), folder by folder as they are given, in each by number.

    Raises DeclarationError for a folder without files, a name that is no migration's, a number that stands twice.
    """
    found: list[Migration] = []
    for folder in folders:
        files = sorted((root / folder).glob("*.sql"))
        require(files, who, must=f"folder {folder} must hold migrations", got="no .sql file", change="add 0001_….sql")
        numbers: dict[str, str] = {}
        for file in files:
            if not _NAME.fullmatch(file.name):
                raise DeclarationError(
                    who,
                    must=f"a migration in {folder} must be named like 0001_what_it_does.sql",
                    got=file.name,
                    change="rename it",
                )
            number = file.name[:4]
            require(
                number not in numbers,
                who,
                must=f"each number in {folder} must stand once",
                got=f"{numbers.get(number)} and {file.name}",
                change="give one of them the next free number",
            )
            numbers[number] = file.name
            found.append(Migration(f"{folder}/{file.name}", digest(file.read_bytes())))
    return found


def digest(content: bytes) -> str:
    """What tells a file from its changed self; a checkout's line ends do not count."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def parse(lines: Iterable[str]) -> list[Migration]:
    """The inverse of `str(migration)`."""
    return [Migration(*line.rsplit(" ", 1)) for line in lines]


def missing(wanted: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """Those still to be applied, in order; `applied`: path → digest as it was then.

    Raises MigrationError for a file that changed since, and for a new one whose turn is over. One that was applied and
    is not here (a program that went back) is left alone.
    """
    last: dict[str, str] = {}
    for path in sorted(applied):
        last[path.rpartition("/")[0]] = path
    new = []
    for migration in wanted:
        then = applied.get(migration.path)
        if then is None:
            after = last.get(migration.folder, "")
            if migration.path < after:
                raise MigrationError(
                    f"migration {migration.path}: it must come after {after}, which was applied already, got a smaller "
                    "number; give it the next free one"
                )
            new.append(migration)
        elif then != migration.digest:
            raise MigrationError(
                f"migration {migration.path}: it must be what was applied ({then[:12]}), got {migration.digest[:12]}; "
                "put it back as it was and add a new file for the change"
            )
    return new
