"""Records of Alma as documents: one field is read or written, everything else stays what it was.

Items and users are JSON; a field is a dotted path, a number in it a list's position (`user_note.0.note_text`). Bibs and
holdings are XML around MARC, because Alma documents that their update takes no JSON; a field is `590$a`, a control
field (`008`), or an element beside the record (`suppress_from_publishing`). What is not on the way to a written field
goes back as it came: JSON as its bytes, XML with its order, attributes, prefixes and comments.
"""

from __future__ import annotations

import re
from typing import Protocol
from xml.etree.ElementTree import Element, SubElement, TreeBuilder, tostring

import msgspec

from core.clients.faults import Corrupt, Refused
from core.clients.xml_safe import local, parse

MAX_BYTES = 8 * 1024 * 1024
_MARC = re.compile(r"([0-9A-Z]{3})\$([a-z0-9])")
_CONTROL = re.compile(r"00[0-9A-Z]")
_PLAIN = re.compile(r"[a-z][a-z0-9_]*")
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Object = dict[str, msgspec.Raw]


class Document(Protocol):
    """A record."""

    written: dict[str, str | None]
    """What was written since it came: field → value."""
    media_type: str

    def read(self, field: str) -> str | None:
        """The field's value as text; None: there is none. Raises Refused for a field that holds no single value."""

    def write(self, field: str, value: str | None) -> None:
        """Sets the field; None takes it away. Raises Refused for one that cannot be set."""

    def encode(self) -> bytes:
        """The record as Alma takes it."""


class JsonDocument:
    """An item or a user."""

    media_type = "application/json"

    def __init__(self, body: bytes) -> None:
        """Raises Corrupt for what is no JSON (it may be cut off), Refused for what is no object."""
        self.written: dict[str, str | None] = {}
        try:
            msgspec.json.decode(body)  # the whole of it, once: below only the way to a field is looked at
            msgspec.json.decode(body, type=_Object)
        except (msgspec.ValidationError, RecursionError) as error:
            raise Refused(f"record: must be a JSON object: {error}") from error
        except msgspec.DecodeError as error:
            raise Corrupt(f"record: must be JSON, got {len(body)} bytes that are not: {error}") from error
        self._body = body

    def encode(self) -> bytes:
        """The record as Alma takes it."""
        return self._body

    def read(self, field: str) -> str | None:
        """The field's value as text; a boolean is true or false, a number its digits."""
        value = msgspec.Raw(self._body)
        for step in _steps(field):
            inner = _inside(value, field)
            found = inner.get(step) if isinstance(inner, dict) else _at(inner, step)
            if found is None:
                return None
            value = found
        return _scalar(value, field)

    def write(self, field: str, value: str | None) -> None:
        """Sets the field; objects on its way are made, list elements are not. The kind of the value there is kept."""
        self._body = bytes(_changed(msgspec.Raw(self._body), _steps(field), value, field))
        self.written[field] = value


def _steps(field: str) -> list[str]:
    steps = field.split(".")
    if not all(steps):
        raise Refused(f"field {field!r} must be a dotted path, for example item_data.internal_note_1")
    return steps


def _inside(value: msgspec.Raw, field: str) -> _Object | list[msgspec.Raw]:
    first = bytes(value).lstrip()[:1]
    if first == b"{":
        return msgspec.json.decode(value, type=_Object)
    if first == b"[":
        return msgspec.json.decode(value, type=list[msgspec.Raw])
    raise Refused(f"field {field!r} must end where the record has a value; it goes on after {bytes(value)[:60]!r}")


def _at(values: list[msgspec.Raw], step: str) -> msgspec.Raw | None:
    return values[int(step)] if step.isascii() and step.isdigit() and int(step) < len(values) else None


def _scalar(value: msgspec.Raw, field: str) -> str | None:
    text = bytes(value).strip()
    if text[:1] in (b"{", b"["):
        raise Refused(f"field {field!r} must name one value, got {text[:60]!r}; name what is in it ({field}.value)")
    if text[:1] == b'"':
        return msgspec.json.decode(text, type=str)
    return None if text == b"null" else text.decode()


def _changed(value: msgspec.Raw, steps: list[str], new: str | None, field: str) -> msgspec.Raw:
    """The value with what `steps` lead to replaced; what is beside the way stays as it is."""
    if not steps:
        return _as_there(_scalar_kind(value, field), new or "")
    inner = _inside(value, field)
    step, rest = steps[0], steps[1:]
    if isinstance(inner, list):
        there = _at(inner, step)
        if there is None or (new is None and not rest):
            raise Refused(f"field {field!r} must name an element that is there: {step} of {len(inner)}")
        inner[int(step)] = _changed(there, rest, new, field)
    elif new is None and not rest:
        inner.pop(step, None)
    elif step in inner or new is not None:
        inner[step] = _changed(inner.get(step, msgspec.Raw(b"{}" if rest else b"null")), rest, new, field)
    return msgspec.Raw(msgspec.json.encode(inner))


def _scalar_kind(value: msgspec.Raw, field: str) -> bytes:
    _scalar(value, field)
    return bytes(value).strip()[:1]


def _as_there(kind: bytes, new: str) -> msgspec.Raw:
    """A boolean stays one if it can, a number too; everything else is text."""
    boolean = kind in (b"t", b"f") and new in {"true", "false"}
    number = kind in b"-0123456789" and re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", new) is not None
    return msgspec.Raw(new.encode() if boolean or number else msgspec.json.encode(new))


class XmlDocument:
    """A bib or a holding: an element around `<record>`."""

    media_type = "application/xml"

    def __init__(self, body: bytes) -> None:
        """Raises Refused for what is no such record, Corrupt for one that is cut off."""
        self.written: dict[str, str | None] = {}
        builder = TreeBuilder(insert_comments=True, insert_pis=True)
        parse(body, builder, max_bytes=MAX_BYTES)
        self._root: Element = builder.close()
        record = next((one for one in self._root if local(str(one.tag)) == "record"), None)
        if record is None:
            raise Refused(f"record: <{self._root.tag}> must have a <record>")
        self._record: Element = record

    def encode(self) -> bytes:
        """The record as Alma takes it."""
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(self._root, encoding="unicode").encode()

    def read(self, field: str) -> str | None:
        """Of a repeated field the first that has the subfield."""
        found = self._find(field)
        return None if found is None else found[1].text or ""

    def write(self, field: str, value: str | None) -> None:
        """Sets the first that is there, or adds one: a subfield to the first such field, a field in its tag's order."""
        if value is not None and (wrong := _NOT_XML.search(value)) is not None:
            raise Refused(f"field {field}: XML cannot carry the character {wrong[0]!r}; take it out of the value")
        found = self._find(field)
        if value is None:
            self._remove(found)
        else:
            (found[1] if found else self._add(field)).text = value
        self.written[field] = value

    def _find(self, field: str) -> tuple[Element, Element] | None:
        """(parent, element)."""
        marc = _MARC.fullmatch(field)
        if marc is not None:
            pairs = ((one, sub) for one in self._fields(marc[1]) for sub in one if sub.get("code") == marc[2])
            return next(pairs, None)
        if _CONTROL.fullmatch(field):
            return next(((self._record, one) for one in self._fields(field)), None)
        if _PLAIN.fullmatch(field) and field != "record":
            return next(((self._root, one) for one in self._root if local(str(one.tag)) == field), None)
        raise Refused(f"field {field!r} must be a MARC field (590$a, 008) or an element (suppress_from_publishing)")

    def _fields(self, tag: str) -> list[Element]:
        return [one for one in self._record if one.get("tag") == tag]

    def _add(self, field: str) -> Element:
        prefix = self._record.tag.removesuffix("record")
        marc = _MARC.fullmatch(field)
        if marc is not None:
            there = self._fields(marc[1])
            if there:
                return SubElement(there[0], f"{prefix}subfield", {"code": marc[2]})
            new = Element(f"{prefix}datafield", {"ind1": " ", "ind2": " ", "tag": marc[1]})
            self._insert(new, marc[1])
            return SubElement(new, f"{prefix}subfield", {"code": marc[2]})
        if _CONTROL.fullmatch(field):
            new = Element(f"{prefix}controlfield", {"tag": field})
            self._insert(new, field)
            return new
        new = Element(field)
        self._root.insert(list(self._root).index(self._record), new)
        return new

    def _insert(self, new: Element, tag: str) -> None:
        """After the last field whose tag is not higher."""
        at = 0
        for number, one in enumerate(self._record, 1):
            if local(str(one.tag)) == "leader" or (one.get("tag") or "999") <= tag:
                at = number
        self._record.insert(at, new)

    def _remove(self, found: tuple[Element, Element] | None) -> None:
        if found is None:
            return
        parent, element = found
        parent.remove(element)
        if local(str(parent.tag)) == "datafield" and len(parent) == 0:
            self._record.remove(parent)
