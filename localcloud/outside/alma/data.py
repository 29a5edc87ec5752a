"""The stand-in's data: one file a record, one CSV a report, in folders that say where they belong.

    reports/shared/Millrace/Reports/Shelf audit.csv            headings and rows; an empty cell is null
    reports/shared/Millrace/Reports/Shelf audit.behaviour.json what is odd about it (see Behaviour)
    records/bibs/MMS_ID.xml · holdings/HOLDING_ID.xml · items/PID.json · users/PRIMARY_ID.json

Every call reads the files anew, so that an edit shows at once; removing a file deletes the record.
"""

import csv
import json
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote
from xml.etree.ElementTree import Element, TreeBuilder, tostring

import msgspec
from msgspec import Meta

from core.clients.faults import Fault
from core.clients.xml_safe import parse

Kind = Literal["bib", "holding", "item", "user"]
FOLDERS: dict[Kind, tuple[str, str]] = {
    "bib": ("bibs", ".xml"),
    "holding": ("holdings", ".xml"),
    "item": ("items", ".json"),
    "user": ("users", ".json"),
}
ANALYTICS_ROWS = 65_000
"""Rows that Analytics gives at most (documented); what is beyond is missing without a word."""
MAX_RECORD_BYTES = 8 * 1024 * 1024

PageNumber = Annotated[int, Meta(ge=1)]


class Renamed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column that has another heading from a page on; such a page says its headings."""

    page: PageNumber
    column: str
    to: str


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is odd about a report."""

    headings: Literal["first", "each"] = "first"
    """Which pages say the headings: as seen of the real service the first only."""
    repeat_page: PageNumber | None = None
    """This page is served twice …"""
    repeat_times: Annotated[int, Meta(ge=0)] | None = None
    """… to so many cursors, the first that come to it; None: to each."""
    expire_at_page: PageNumber | None = None
    """The token is refused when this page is asked for …"""
    expire_times: Annotated[int, Meta(ge=0)] = 1
    """… so many times; later cursors are good. Both are counted anew when the file is written."""
    rename: Renamed | None = None
    xml: Literal["", "doctype", "bomb", "external", "parameter", "undefined"] = ""
    """An entity trick …"""
    xml_page: PageNumber = 1
    """… on this page."""
    row_limit: Annotated[int, Meta(ge=1)] = ANALYTICS_ROWS


class Report(msgspec.Struct, frozen=True):
    """A report as its file is now."""

    columns: list[str]
    rows: list[list[str]]


class Library:
    """One institution's files under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def report(self, path: str) -> Report | None:
        """None when there is no such file. Raises ValueError for one that is no CSV of equal rows."""
        file = self._report_file(path, ".csv")
        if file is None or not file.is_file():
            return None
        with file.open(newline="", encoding="utf-8-sig") as text:
            columns, *rows = list(csv.reader(text, strict=True)) or [[]]
        for number, row in enumerate(rows, 2):
            if len(row) != len(columns):
                raise ValueError(f"{file}: line {number} must have {len(columns)} cells as the first, got {len(row)}")
        return Report(columns, rows)

    def behaviour(self, path: str) -> Behaviour:
        """Nothing odd when no file says so."""
        file = self._report_file(path, ".behaviour.json")
        if file is None or not file.is_file():
            return Behaviour()
        return msgspec.json.decode(file.read_bytes(), type=Behaviour)

    def behaviour_written(self, path: str) -> int:
        """When it was written (ns); 0 when no file says anything."""
        file = self._report_file(path, ".behaviour.json")
        return file.stat().st_mtime_ns if file is not None and file.is_file() else 0

    def put_report(
        self, path: str, columns: list[str], rows: list[list[str]], behaviour: Behaviour | None = None
    ) -> None:
        """Writes a report's files."""
        file = self._report_file(path, ".csv")
        if file is None:
            raise ValueError(f"report {path!r}: must be a path below /shared or /users")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="", encoding="utf-8") as text:
            csv.writer(text, lineterminator="\n").writerows([columns, *rows])
        if behaviour is not None:
            file.with_name(f"{file.stem}.behaviour.json").write_bytes(msgspec.json.encode(behaviour))

    def _report_file(self, path: str, ending: str) -> Path | None:
        parts = path.strip("/").split("/")
        if not all(parts) or any(part in {".", ".."} or "\\" in part or "\0" in part for part in parts):
            return None
        return self.folder.joinpath("reports", *parts[:-1], parts[-1] + ending)

    def record(self, kind: Kind, name: str) -> bytes | None:
        """A record's file by its own (last) id; None when there is none."""
        try:
            return self._record_file(kind, name).read_bytes()
        except (FileNotFoundError, OSError):
            return None

    def put_record(self, kind: Kind, name: str, body: bytes) -> None:
        """Whole or not at all."""
        file = self._record_file(kind, name)
        new = file.with_name(f".{file.name}.new")
        try:
            new.write_bytes(body)
        except FileNotFoundError:
            file.parent.mkdir(parents=True)
            new.write_bytes(body)
        new.replace(file)

    def remove_record(self, kind: Kind, name: str) -> None:
        """Deletes it."""
        self._record_file(kind, name).unlink(missing_ok=True)

    def names(self, kind: Kind) -> list[str]:
        """The ids of every record of a kind."""
        folder, ending = FOLDERS[kind]
        found = (self.folder / "records" / folder).glob(f"[!.]*{ending}")
        return sorted(unquote(file.name.removesuffix(ending)) for file in found)

    def _record_file(self, kind: Kind, name: str) -> Path:
        folder, ending = FOLDERS[kind]
        safe = quote(name.lower() if kind == "user" else name, safe="@ +")
        if safe.startswith("."):
            safe = "%2E" + safe[1:]
        return self.folder / "records" / folder / f"{safe}{ending}"


def json_of(body: bytes) -> dict[str, Any]:
    """A JSON record. Raises ValueError."""
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - json's own kind
    return value


def json_bytes(record: dict[str, Any]) -> bytes:
    """A JSON record, so that a person can edit it."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1)


def xml_of(body: bytes) -> Element:
    """An XML record. Raises ValueError."""
    builder = TreeBuilder(insert_comments=True)
    try:
        parse(body, builder, max_bytes=MAX_RECORD_BYTES)
    except Fault as error:
        raise ValueError(str(error)) from error
    return builder.close()


def xml_bytes(root: Element) -> bytes:
    """A record as Alma writes it."""
    head = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return head + tostring(root, encoding="unicode").encode()
