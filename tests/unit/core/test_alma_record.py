"""Records as documents: what is written is read, and nothing else changes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clients.alma_record import JsonDocument, XmlDocument
from core.clients.faults import Corrupt, Fault, Refused

ITEM = b"""{
  "bib_data": {"title": "\\u00dcber \\u8cc7\\u6599", "mms_id": "991", "unknown": [1, 2.50, 1e3, {"deep": null}]},
  "item_data": {"pid": "231", "barcode": "B1", "internal_note_1": "", "is_magnetic": false, "pieces": 3,
    "policy": {"value": "01", "desc": "Loan"}, "notes": [{"text": "a"}, {"text": "b"}],
    "huge": 123456789012345678901234567890}
}"""
BIB = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<bib><mms_id>991</mms_id><title>Über &amp; 資料</title><suppress_from_publishing>false</suppress_from_publishing>
<new_thing kind="x">kept</new_thing><!-- a comment --><record><leader>00000nam a2200000 a 4500</leader>
<controlfield tag="001">991</controlfield><controlfield tag="005">20240101000000.0</controlfield>
<datafield ind1="1" ind2="0" tag="245"><subfield code="a">Über</subfield>
<subfield code="b">資料 &lt;1&gt;</subfield></datafield>
<datafield ind1=" " ind2=" " tag="590"><subfield code="x">first</subfield></datafield>
<datafield ind1="9" ind2=" " tag="590"><subfield code="a">one</subfield><subfield code="a">two</subfield></datafield>
<datafield ind1=" " ind2=" " tag="900"><subfield code="a">last</subfield></datafield></record></bib>""".encode()


def test_json_fields() -> None:
    item = JsonDocument(ITEM)
    read = {"item_data.barcode": "B1", "item_data.internal_note_1": "", "item_data.is_magnetic": "false",
            "item_data.pieces": "3", "item_data.policy.value": "01", "item_data.notes.1.text": "b",
            "item_data.nothing": None, "item_data.notes.7.text": None, "bib_data.title": "Über 資料"}  # fmt: skip
    assert {field: item.read(field) for field in read} == read


def test_json_keeps_what_it_does_not_touch_as_bytes() -> None:
    item = JsonDocument(ITEM)
    item.write("item_data.internal_note_1", "Magazin Ω")
    body = item.encode()
    assert b'{"title": "\\u00dcber \\u8cc7\\u6599", "mms_id": "991", "unknown": [1, 2.50, 1e3, {"deep": null}]}' in body
    assert b"123456789012345678901234567890" in body
    assert item.written == {"item_data.internal_note_1": "Magazin Ω"}


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("item_data.is_magnetic", "true", True),
        ("item_data.is_magnetic", "perhaps", "perhaps"),
        ("item_data.pieces", "12", 12),
        ("item_data.pieces", "012", "012"),
        ("item_data.barcode", "12", "12"),
        ("item_data.notes.1.text", "c", "c"),
        ("item_data.new.inner", "x", "x"),
    ],
)
def test_json_kinds_are_kept(field: str, value: str, stored: object) -> None:
    item = JsonDocument(ITEM)
    item.write(field, value)
    found: Any = json.loads(item.encode())
    for step in field.split("."):
        found = found[int(step) if step.isdigit() else step]
    assert found == stored
    assert type(found) is type(stored)
    assert item.read(field) == value


def test_none_takes_a_field_away() -> None:
    item = JsonDocument(ITEM)
    item.write("item_data.internal_note_1", None)
    item.write("gone.away", None)
    assert item.read("item_data.internal_note_1") is None
    assert "internal_note_1" not in json.loads(item.encode())["item_data"]


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("item_data.policy", "name what is in it"),
        ("item_data", "name one value"),
        ("item_data.barcode.x", "goes on after"),
        ("item_data..x", "dotted path"),
        ("", "dotted path"),
        ("item_data.notes.9.text", "an element that is there: 9 of 2"),
    ],
)
def test_json_fields_that_cannot_be(field: str, says: str) -> None:
    with pytest.raises(Refused, match=re.escape(says)):
        JsonDocument(ITEM).write(field, "x")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", Corrupt), (b'{"a": 1', Corrupt), (b"<x/>", Corrupt), (b"[1]", Refused), (b'{"a":' * 3000, Refused)],
)
def test_no_json_record(body: bytes, kind: type[Fault]) -> None:
    with pytest.raises(kind, match="must be"):
        JsonDocument(body)


def test_a_record_that_is_cut_off_is_never_lasting() -> None:
    for length in range(0, len(ITEM) - 1, 5):
        with pytest.raises(Corrupt):
            JsonDocument(ITEM[:length])


def test_marc_fields() -> None:
    bib = XmlDocument(BIB)
    read = {"245$a": "Über", "245$b": "資料 <1>", "590$a": "one", "590$x": "first", "005": "20240101000000.0",
            "suppress_from_publishing": "false", "title": "Über & 資料", "591$a": None, "missing": None}  # fmt: skip
    assert {field: bib.read(field) for field in read} == read


def test_xml_goes_back_as_it_came() -> None:
    """But for the declaration, and what XML itself does not tell apart."""
    came = BIB.partition(b"?>\n")[2]
    assert XmlDocument(BIB).encode().partition(b"?>\n")[2] == came
    prefixed = b'<m:bib xmlns:m="u"><?keep this?><m:record xmlns="v"><a b="&#10;c"/>tail</m:record></m:bib>'
    assert XmlDocument(prefixed).encode().partition(b"?>\n")[2].replace(b" />", b"/>") == prefixed


def test_marc_fields_are_added_in_their_tag_s_order() -> None:
    bib = XmlDocument(BIB)
    bib.write("650$a", "new")
    bib.write("590$z", "more")
    bib.write("008", "x")
    bib.write("brief_level", "10")
    text = bib.encode().decode()
    assert re.findall(r'tag="(\d+)"', text) == ["001", "005", "008", "245", "590", "590", "650", "900"]
    assert '<subfield code="x">first</subfield><subfield code="z">more</subfield>' in text
    assert text.index("<brief_level>10</brief_level>") < text.index("<record>")


def test_none_takes_a_subfield_away_and_an_empty_field_with_it() -> None:
    bib = XmlDocument(BIB)
    bib.write("900$a", None)
    bib.write("590$a", None)
    bib.write("777$a", None)
    text = bib.encode().decode()
    assert 'tag="900"' not in text
    assert ">two<" in text
    assert ">one<" not in text


@pytest.mark.parametrize("field", ["590", "59$a", "590$A", "590$", "record", "$a", "item_data.x", "", "<b>"])
def test_xml_fields_that_cannot_be(field: str) -> None:
    with pytest.raises(Refused, match="must be a MARC field"):
        XmlDocument(BIB).read(field)


@pytest.mark.parametrize("value", ["\x00", "a\x0bb", "\r", "\ufffe"])
def test_what_xml_cannot_carry_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="cannot carry"):
        XmlDocument(BIB).write("590$a", value)


def test_bad_xml_records() -> None:
    with pytest.raises(Refused, match="must have a <record>"):
        XmlDocument(b"<bib/>")
    with pytest.raises(Refused, match="no DOCTYPE"):
        XmlDocument(b"<!DOCTYPE bib><bib><record/></bib>")
    with pytest.raises(Corrupt):
        XmlDocument(BIB[:300])


KEYS = st.text("abcdefgh_é資", min_size=1, max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, JSON, max_size=4), st.lists(KEYS, min_size=1, max_size=3), st.text(max_size=12))
def test_json_write_then_read_and_nothing_else(record: dict[str, Any], path: list[str], value: str) -> None:
    document, field = JsonDocument(json.dumps(record).encode()), ".".join(path)
    try:
        document.write(field, value)
    except Refused:
        return
    assert document.read(field) == value
    after = json.loads(document.encode())
    expected, inner = record, record
    for step in path[:-1]:
        inner = inner.setdefault(step, {})
    found = after
    for step in path[:-1]:
        found = found[step]
    inner[path[-1]] = found[path[-1]]
    assert after == expected
    assert list(after)[: len(record)] == list(record)


FIELDS = st.sampled_from(["245$a", "590$a", "590$q", "651$a", "008", "suppress_from_publishing", "brief_level"])
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20)


@given(FIELDS, VALUES)
def test_xml_write_then_read_and_nothing_else(field: str, value: str) -> None:
    bib = XmlDocument(BIB)
    bib.write(field, value)
    again = XmlDocument(bib.encode())
    assert again.read(field) == bib.read(field) == value
    others = [one for one in ("245$b", "590$x", "900$a", "005", "mms_id", "title", "new_thing") if one != field]
    assert [again.read(one) for one in others] == [XmlDocument(BIB).read(one) for one in others]
    before = bib.encode()
    bib.write(field, "another")
    bib.write(field, value)
    assert bib.encode() == before
