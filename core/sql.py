"""SQL lives in `.sql` files, each statement with a name and a comment; this reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

_NAME: Final = re.compile(r"^--\s*name:\s*(.*?)\s*$")
_WORD: Final = re.compile(r"[a-z][a-z0-9_]*")


@lru_cache(maxsize=64)
def named(package: str, file: str) -> Mapping[str, str]:
    """The statements of `file` in `package` (`"core.jobs"`, `"queries.sql"`) by name.

    A statement begins after its line `-- name: start_run`. Lines that are comments alone are left out: they are for
    people, and a `%` in them would be taken for a parameter. Raises ValueError for a name that is none or there twice,
    and for a name without a statement; FileNotFoundError.
    """
    return MappingProxyType(parse(files(package).joinpath(file).read_text("utf-8"), f"{package}/{file}"))


def parse(text: str, where: str) -> dict[str, str]:
    """The named statements of a file's text; `where` is for messages."""
    found: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if match := _NAME.match(line):
            name = match[1]
            if not _WORD.fullmatch(name) or name in found:
                raise ValueError(
                    f"{where}, line {number}: a statement's name must be a word of its own in a-z, 0-9 and _, "
                    f"got {name!r}{' a second time' if name in found else ''}; choose another"
                )
            lines = found[name] = []
        elif line.strip() and not line.lstrip().startswith("--"):
            if lines is None:
                raise ValueError(f'{where}, line {number}: a statement must follow its "-- name: …", got {line!r}')
            lines.append(line.rstrip())
    if empty := [name for name, lines in found.items() if not lines]:
        raise ValueError(f"{where}: a statement must follow each name, got none after {', '.join(empty)}")
    return {name: "\n".join(lines) for name, lines in found.items()}
