"""A page of an Analytics report: Alma's XML around the rowset of Oracle Analytics.

Documented (https://developers.exlibrisgroup.com/blog/Working-with-Analytics-REST-APIs/): QueryResult with
ResumptionToken (first page only), IsFinished, ResultXml; columns are Column0 … ColumnN, their headings are attributes
of the rowset's schema. Seen in practice: the schema itself often comes with the first page only; Column0 is a constant
0 under the heading "0"; a null cell has no element, an empty text has an empty one; all values are text.
"""

from __future__ import annotations

import re

import msgspec

from core.clients.faults import Refused
from core.clients.xml_safe import XmlFault, guarded, local, run, too_deep

MAX_BYTES = 64 * 1024 * 1024
"""Of a page: 1,000 rows of 64 KB."""
MAX_DEPTH = 16
MAX_COLUMNS = 1_000
_COLUMN = re.compile(r"Column(\d{1,4})")


class ReportFault(Refused):
    """A report that cannot be read, and no further try will change that."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of a report."""

    columns: tuple[str, ...]
    """Headings, made distinct: Title, Title (2). Empty where the page has none and nobody said what they are."""
    rows: list[tuple[str | None, ...]]
    """One value a column; None: null."""
    finished: bool
    token: str | None
    """Only the first page of a report has one; it stays the same until the last."""


def read_page(body: bytes, known: tuple[str, ...] = ()) -> Page:
    """`known`: the report's headings, for a page that has none of its own. Raises ReportFault, or Corrupt for a page
    that is cut off.
    """
    found = _Reader()
    try:
        run(found.parser, body, max_bytes=MAX_BYTES)
    except XmlFault as error:
        raise ReportFault(str(error)) from error
    if not found.result:
        raise ReportFault(f"the answer must be a QueryResult, got {found.root or 'nothing'}")
    if found.finished not in {"true", "false"}:
        raise ReportFault(f"IsFinished must be true or false, got {found.finished!r}")
    names, columns = _columns(found, known)
    rows = [_row(row, names, number) for number, row in enumerate(found.rows, 1)]
    return Page(columns=columns, rows=rows, finished=found.finished == "true", token=found.token.strip() or None)


def _columns(found: _Reader, known: tuple[str, ...]) -> tuple[dict[str, None], tuple[str, ...]]:
    """The elements of a row in their order, and the headings."""
    if found.headings:
        names = sorted(found.headings, key=_number)
        return dict.fromkeys(names), distinct([found.headings[name] or name for name in names])
    seen = {name for row in found.rows for name in row}
    width = len(known) or 1 + max(map(_number, seen), default=-1)
    return dict.fromkeys(f"Column{at}" for at in range(width)), known


def _row(row: dict[str, str | None], names: dict[str, None], number: int) -> tuple[str | None, ...]:
    if not row.keys() <= names.keys():
        odd = min(row.keys() - names)
        raise ReportFault(f"row {number} has {odd}, and the report has only {len(names)} columns")
    return tuple(map(row.get, names))


def distinct(headings: list[str]) -> tuple[str, ...]:
    """The headings, each once: a repeated one gets the first number that is free."""
    taken = set(headings)
    seen: set[str] = set()
    made = []
    for heading in headings:
        name, number = heading, 1
        while name in seen or (number > 1 and name in taken):
            number += 1
            name = f"{heading} ({number})"
        seen.add(name)
        made.append(name)
    return tuple(made)


def _number(name: str) -> int:
    match = _COLUMN.fullmatch(name)
    if match is None or int(match[1]) >= MAX_COLUMNS:
        raise ReportFault(f"a column must be Column0 to Column{MAX_COLUMNS - 1}, got {name[:80]!r}")
    return int(match[1])


class _Reader:
    """Takes the page as it is parsed. Cells are the many, thousands a page: they come first in each handler, and the
    parser calls nothing else for them. They hold only text, so depth is counted outside of them.
    """

    __slots__ = (
        *("_depth", "_null", "_open", "_row", "_text"),
        *("finished", "headings", "parser", "result", "root", "rows", "token"),
    )

    def __init__(self) -> None:
        self.root = ""
        self.result = False
        self.token = self.finished = ""
        self.headings: dict[str, str] = {}
        self.rows: list[dict[str, str | None]] = []
        self._row: dict[str, str | None] | None = None
        self._open = self._text = ""
        """The element whose text is being read, and what there is of it."""
        self._null = False
        self._depth = 0
        self.parser = parser = guarded()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._data

    def _start(self, tag: str, attrs: dict[str, str]) -> None:
        if self._open:
            raise ReportFault(f"{self._open} must hold text, got <{local(tag)}> in it")
        if self._row is None:
            self._outside(local(tag), attrs)
            return
        self._open = local(tag) if ":" in tag else tag
        self._text = ""
        self._null = any(local(key) == "nil" and value == "true" for key, value in attrs.items()) if attrs else False

    def _outside(self, name: str, attrs: dict[str, str]) -> None:
        """An element that is no cell begins."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise too_deep(self.parser, MAX_DEPTH)
        self.root = self.root or name
        if name == "Row":
            self._row = {}
        elif name in {"ResumptionToken", "IsFinished"}:
            self._open, self._text = name, ""
        elif name == "element" and "name" in attrs:
            self._heading(attrs)
        self.result = self.result or name == "QueryResult"

    def _heading(self, attrs: dict[str, str]) -> None:
        _number(attrs["name"])
        heading = next((value for key, value in attrs.items() if local(key) == "columnHeading"), "")
        self.headings[attrs["name"]] = " ".join(heading.split())

    def _data(self, data: str) -> None:
        if self._open:
            self._text += data

    def _end(self, _tag: str) -> None:
        name, row = self._open, self._row
        if name and row is not None:
            if name in row:
                raise ReportFault(f"row {len(self.rows) + 1} has {name} twice")
            row[name] = None if self._null else self._text
            self._open = ""
            return
        self._depth -= 1
        if row is not None:
            self.rows.append(row)
            self._row = None
        elif name == "IsFinished":
            self.finished = self._text.strip().lower()
        elif name:
            self.token = self._text
        self._open = ""
