"""Analytics reports by page, with a cursor that lives here and moves with every GET that is carried out.

As documented and as seen of the real service: the token (128 characters) comes with the first page only and stays the
same; Column0 is a constant 0; a null cell has no element; headings come with the first page; one GET too many is a 500
with 420033. The words of a bad path and of a bad token are our reading.
"""

import re
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from core.clients.faults import Fault
from core.clients.xml_safe import parse
from localcloud.outside.alma.answers import No
from localcloud.outside.alma.data import Behaviour, Library, Report
from localcloud.outside.alma.filters import Kept, kept_by

ROWSET = "urn:schemas-microsoft-com:xml-analysis:rowset"
BULK = 25
"""Rows come in bulks of 25: another limit is rounded up (documented)."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TRICKS = {
    "doctype": "<!DOCTYPE report>",
    "bomb": '<!DOCTYPE report [<!ENTITY a "millrace"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY trick "&c;&c;&c;&c;&c;&c;&c;&c;">]>',
    "external": '<!DOCTYPE report [<!ENTITY trick SYSTEM "file:///etc/passwd">]>',
    "parameter": '<!DOCTYPE report [<!ENTITY % p SYSTEM "http://127.0.0.1:9/evil.dtd"> %p;]>',
    "undefined": "",
}


@dataclass
class Cursor:
    """Where a report's reading stands."""

    path: str
    report: Report
    token: str
    used_at: float
    page: int = 0
    """Pages served."""
    at: int = 0
    """The next row."""
    ended: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A page, and what the journal keeps of it."""

    body: bytes
    cursor: str
    first: int
    rows: int


@dataclass
class Reports:
    """Every cursor of the stand-in; they do not outlive it."""

    library: Library
    clock: Callable[[], float]
    cursors: dict[str, Cursor] = field(default_factory=dict)
    expired: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By path, and when its behaviour was written."""
    repeated: Counter[tuple[str, int]] = field(default_factory=Counter)

    def page(self, query: dict[str, str], token_s: float) -> Served:
        """The first page of `path`, or the next one of `token`. Raises No."""
        limit = _limit(query.get("limit", "25"))
        token = query.get("token", "")
        cursor = self._known(token, token_s) if token else self._begin(query.get("path", ""), query.get("filter", ""))
        behaviour = self._behaviour(cursor.path)
        page = cursor.page + 1
        key = cursor.path, self.library.behaviour_written(cursor.path)
        if behaviour.expire_at_page == page and self.expired[key] < behaviour.expire_times:
            self.expired[key] += 1
            del self.cursors[cursor.token]
            raise _expired()
        return self._serve(cursor, behaviour, limit)

    def _known(self, token: str, token_s: float) -> Cursor:
        now = self.clock()
        for old in [one for one in self.cursors.values() if now - one.used_at > token_s]:
            del self.cursors[old.token]
        cursor = self.cursors.get(token)
        if cursor is None:
            raise _expired()
        if cursor.ended:
            raise No(500, "420033", "No more rows to fetch")
        cursor.used_at = now
        return cursor

    def _begin(self, path: str, filter_: str) -> Cursor:
        if not path:
            raise No(400, "GENERAL_ERROR", "Mandatory parameter is missing: path or token")
        try:
            report = self.library.report(path)
        except ValueError as error:
            raise No(500, "INTERNAL_SERVER_ERROR", str(error)) from error
        if report is None:
            raise No(400, "GENERAL_ERROR", f"Path not found ({path})")
        if filter_:
            report = _filtered(report, filter_)
        cursor = Cursor(path, report, secrets.token_hex(64).upper(), self.clock())
        self.cursors[cursor.token] = cursor
        return cursor

    def _behaviour(self, path: str) -> Behaviour:
        try:
            return self.library.behaviour(path)
        except ValueError as error:
            raise No(500, "INTERNAL_SERVER_ERROR", f"behaviour of {path}: {error}") from error

    def _serve(self, cursor: Cursor, behaviour: Behaviour, limit: int) -> Served:
        cursor.page += 1
        rows = cursor.report.rows[: behaviour.row_limit]
        first, page = cursor.at, rows[cursor.at : cursor.at + limit]
        key = cursor.path, self.library.behaviour_written(cursor.path)
        may = behaviour.repeat_times is None or self.repeated[key] < behaviour.repeat_times
        again = behaviour.repeat_page == cursor.page and not cursor.repeated and may
        if again:
            cursor.repeated = True
            self.repeated[key] += 1
            cursor.page -= 1
        else:
            cursor.at += len(page)
        cursor.ended = not again and cursor.at >= len(rows)
        number = cursor.page + again
        body = _xml(cursor, behaviour, page, number)
        return Served(body, cursor.token[:8], first, len(page))


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 25 <= int(text) <= 1000):
        raise No(400, "GENERAL_ERROR", f"limit must be between 25 and 1000 (multiples of 25), got {text[:20]}")
    return -(-int(text) // BULK) * BULK


def _expired() -> No:
    return No(400, "GENERAL_ERROR", "The resumption token is not valid or has expired")


def _filtered(report: Report, text: str) -> Report:
    found = Kept()
    try:
        parse(text.encode(), found, max_bytes=100_000)
        keep = kept_by(found.root, report.columns)
    except (Fault, ValueError) as error:
        raise No(400, "GENERAL_ERROR", f"The filter is not valid: {error}") from error
    return Report(report.columns, [row for row in report.rows if keep(row)])


def _xml(cursor: Cursor, behaviour: Behaviour, rows: list[list[str]], page: int) -> bytes:
    renamed = behaviour.rename
    columns = ["0", *cursor.report.columns]
    told = page == 1 or behaviour.headings == "each"
    if renamed and page >= renamed.page:
        told = True
        columns = [renamed.to if column == renamed.column else column for column in columns]
    token = f"<ResumptionToken>{cursor.token}</ResumptionToken>" if page == 1 and not cursor.ended else ""
    trick = behaviour.xml if behaviour.xml and page == behaviour.xml_page else ""
    parts = [
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>',
        _TRICKS.get(trick, ""),
        f"<report><QueryResult>{token}<IsFinished>{str(cursor.ended).lower()}</IsFinished><ResultXml>",
        f'<rowset:rowset xmlns:rowset="{ROWSET}" xmlns="{ROWSET}">',
        _schema(columns) if told else "",
        "<Row><Column0>&trick;</Column0></Row>" if trick and trick != "doctype" else "",
        _NOT_XML.sub("", "".join(map(_row, rows))),
        "</rowset:rowset></ResultXml></QueryResult></report>",
    ]
    return "".join(parts).encode()


def _schema(columns: list[str]) -> str:
    elements = "".join(
        f'<xsd:element name="Column{at}" type="xsd:{"string" if at else "int"}" minOccurs="{0 if at else 1}" '
        f'maxOccurs="1" saw-sql:type="{"varchar" if at else "integer"}" saw-sql:columnHeading={quoteattr(column)}/>'
        for at, column in enumerate(columns)
    )
    return (
        '<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:saw-sql="urn:saw-sql" '
        f'targetNamespace="{ROWSET}"><xsd:complexType name="Row"><xsd:sequence>{elements}</xsd:sequence>'
        "</xsd:complexType></xsd:schema>"
    )


def _row(row: list[str]) -> str:
    cells = "".join(f"<Column{at}>{escape(cell)}</Column{at}>" for at, cell in enumerate(row, 1) if cell)
    return f"<Row><Column0>0</Column0>{cells}</Row>"
