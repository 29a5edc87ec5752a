"""Somebody else who works in Alma: between a caller's GET of a record and its PUT they change or delete it.

Declared as data, `meddling.json` in the stand-in's folder: a list of `{"kind", "id", "action", "field", "value"}`. Each
happens once, right after the first GET of its record; the journal tells it as an operation `Meddle`.
"""

from pathlib import Path
from typing import Literal

import msgspec

from core.clients.alma_record import Document, JsonDocument, XmlDocument
from core.messages.alma_analytics import Kind
from localcloud.outside.alma.data import Library

FILE = "meddling.json"


class Meddling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that somebody does."""

    kind: Kind
    id: str
    """The record's own (last) id."""
    action: Literal["delete", "change"]
    field: str = ""
    value: str = ""


class Meddlers:
    """What is declared and has not happened yet; a restart begins anew."""

    def __init__(self, folder: Path, library: Library) -> None:
        self._file, self._library = folder / FILE, library
        self._done: set[Meddling] = set()

    def after_get(self, kind: Kind, name: str) -> Meddling | None:
        """Does what is declared for this record; answers what was done. Raises ValueError for a file that is wrong."""
        try:
            declared = msgspec.json.decode(self._file.read_bytes(), type=list[Meddling])
        except FileNotFoundError:
            return None
        mine = (one for one in declared if (one.kind, one.id) == (kind, name) and one not in self._done)
        found = next(mine, None)
        if found is not None:
            self._done.add(found)
            self._do(found)
        return found

    def _do(self, it: Meddling) -> None:
        body = self._library.record(it.kind, it.id)
        if it.action == "delete" or body is None:
            self._library.remove_record(it.kind, it.id)
            return
        document: Document = JsonDocument(body) if it.kind in {"item", "user"} else XmlDocument(body)
        document.write(it.field, it.value)
        if isinstance(document, XmlDocument):
            document.write("005", f"{document.read('005') or ''}x")
        self._library.put_record(it.kind, it.id, document.encode())
