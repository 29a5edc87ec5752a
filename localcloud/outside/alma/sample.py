"""The sample library: 600 items under 240 titles, their holdings, some users, two Analytics reports, and the report job
that brings the second report's notes into the items of the first. All of it made up; a seed gives the same bytes.

The reports are a day old, as Analytics always is: meanwhile some items were deleted in Alma, some had their note
changed by hand, some already have the note that the job wants.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import msgspec

from core.messages.alma_analytics import Change, Report, ReportJob, Rule
from localcloud.outside.alma.data import Library, json_bytes

AUDIT: Final = "/shared/Millrace/Reports/Shelf audit"
REMOTE: Final = "/shared/Millrace/Reports/Remote storage"
AUDIT_COLUMNS: Final = ["MMS Id", "Holding Id", "Item Id", "Barcode", "Title", "Location", "Internal Note 1"]
REMOTE_COLUMNS: Final = ["Barcode", "Target location", "Target note"]
USERS: Final = 20
_WORDS = (
    *("Geschichte der Mühlen", "Über Wasser", "Œuvres complètes", "水車の歴史", "Вода и камень", "Ιστορία του νερού"),
    *("Żywioły", "Histoire des canaux", "Ríos y molinos", "تاريخ الماء", "Water & <Stone>", "Å, Ä og Ö"),
)
_PLACES = {"STACK": "Stacks", "REF": "Reference", "MAG": "Magazin Süd", "SPEC": "Special collections"}


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    items: int = 600
    titles: int = 240
    moved: int = 200
    """Items of the second report, and of them …"""
    gone: int = 5
    changed: int = 7
    already: int = 11
    strangers: int = 9
    """Its rows of items that the first report does not have."""


FULL: Final = Size()


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the sample job comes to, counted while the sample is made."""

    rows: int
    """Of the shelf audit."""
    other_rows: int
    """Of remote storage …"""
    matched: int
    """… and those whose barcode is in both."""
    updated: int
    """Items that get their note."""
    already: int
    """The report shows that they have it: left out."""
    changed_since: int
    """Somebody else changed the note after the report was made: left alone, listed."""
    gone: int
    """Deleted since: listed."""


class _Item(msgspec.Struct):
    """One item, as the report saw it and as it is now."""

    number: int
    mms: str
    holding: str
    pid: str
    barcode: str
    title: str
    place: str
    noted: str
    """In the report."""
    note: str
    """Now."""
    target: tuple[str, str] | None = None
    """Location and note in the second report."""
    gone: bool = False


def sample_job() -> ReportJob:
    """The report job, as a person would write it."""
    return ReportJob(
        name="remote-storage",
        report=Report(path=AUDIT, limit=100, key="Barcode"),
        other=Report(path=REMOTE, limit=100, key="Barcode"),
        columns=AUDIT_COLUMNS,
        rule=Rule(
            kind="item",
            ids=["MMS Id", "Holding Id", "Item Id"],
            set=[Change(field="item_data.internal_note_1", column="other.Target note", now="Internal Note 1")],
        ),
        recipients=["librarian@example.com"],
    )


def expected(seed: int = 7, size: Size = FULL) -> Expected:
    """The figures of the sample of this seed."""
    items = list(_items(seed, size))
    matched = [one for one in items if one.target]
    wanted = [one for one in matched if one.target and one.noted != one.target[1]]
    return Expected(
        rows=len(items),
        other_rows=len(matched) + size.strangers,
        matched=len(matched),
        already=len(matched) - len(wanted),
        gone=sum(one.gone for one in wanted),
        changed_since=sum(one.note != one.noted and not one.gone for one in wanted),
        updated=sum(one.note == one.noted and not one.gone for one in wanted),
    )


def write_once(folder: Path, seed: int = 7) -> bool:
    """Writes what of the sample is not there, records or reports; a person's edits stay. Answers whether it did."""
    absent = [part for part in ("records", "reports") if not (folder / part).exists()]
    if not absent:
        return False
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
    write(beside, seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part in absent:
        (beside / part).replace(folder / part)
    shutil.rmtree(beside)
    return True


def write(folder: Path, seed: int = 7, size: Size = FULL) -> None:
    """Every file of the sample."""
    library, items = Library(folder), list(_items(seed, size))
    for one in items:
        if not one.gone:
            library.put_record("item", one.pid, json_bytes(_item_record(one)))
    for mms, group in _grouped(items, "mms").items():
        library.put_record("bib", mms, _bib(mms, group[0].title))
    for holding, group in _grouped(items, "holding").items():
        library.put_record("holding", holding, _holding(holding, group[0]))
    for number in range(USERS):
        library.put_record("user", f"reader-{number:03d}", json_bytes(_user(number)))
    library.put_report(AUDIT, AUDIT_COLUMNS, [_audit_row(one) for one in items])
    library.put_report(REMOTE, REMOTE_COLUMNS, _remote_rows(items, size))


def _items(seed: int, size: Size) -> Iterator[_Item]:
    random_ = random.Random(seed)  # noqa: S311 - reproducible sample data
    moved = sorted(random_.sample(range(size.items), size.moved))
    odd = random_.sample(moved, size.gone + size.changed + size.already)
    first = size.gone + size.changed
    gone, changed, already = odd[: size.gone], odd[size.gone : first], odd[first:]
    for number in range(size.items):
        title = number * size.titles // size.items
        place = random_.choice(list(_PLACES))
        note = random_.choice(["", "", "", "Rücken lose", "Ex libris fehlt"])
        one = _Item(
            number=number,
            mms=f"99{title:06d}0101",
            holding=f"22{title * 4 + list(_PLACES).index(place):06d}0101",
            pid=f"23{number:06d}0101",
            barcode=f"B{random_.randrange(10**4):04d}{number:04d}",
            title=f"{_WORDS[title % len(_WORDS)]} {title // len(_WORDS) + 1}",
            place=place,
            noted=note,
            note=note,
        )
        if number in moved:
            shelf = f"{random_.randint(1, 40):02d}/{random_.randint(1, 200):03d}"
            one.target = ("Außenmagazin", f"Außenmagazin Regal {shelf}")
            one.gone = number in gone
            if number in already:
                one.note = one.noted = one.target[1]
            elif number in changed:
                one.note = "Von Hand geändert"
        yield one


def _grouped(items: list[_Item], field: str) -> dict[str, list[_Item]]:
    groups: dict[str, list[_Item]] = {}
    for one in items:
        groups.setdefault(getattr(one, field), []).append(one)
    return groups


def _audit_row(one: _Item) -> list[str]:
    return [one.mms, one.holding, one.pid, one.barcode, one.title, _PLACES[one.place], one.noted]


def _remote_rows(items: list[_Item], size: Size) -> list[list[str]]:
    """With some barcodes that the audit does not know, in an order of its own."""
    rows = [[one.barcode, *one.target] for one in items if one.target]
    rows += [[f"X{number:08d}", "Außenmagazin", "unbekannt"] for number in range(size.strangers)]
    return sorted(rows, key=lambda row: row[0][::-1])


def _item_record(one: _Item) -> dict[str, Any]:
    """As Alma answers it."""
    base = f"/almaws/v1/bibs/{one.mms}"
    plain = ("description", "pages", "pieces", "po_line", "year_of_issue", "enumeration_a", "enumeration_b",
             "chronology_i", "chronology_j", "inventory_number", "inventory_price", "alternative_call_number",
             "storage_location_id", "public_note", "fulfillment_note")  # fmt: skip
    notes = ("internal_note_2", "internal_note_3", "statistics_note_1", "statistics_note_2", "statistics_note_3")
    return {
        "bib_data": {
            "title": one.title,
            "author": "",
            "mms_id": one.mms,
            "bib_suppress_from_publishing": "false",
            "network_number": [f"(MILLRACE){one.mms}"],
            "link": base,
        },
        "holding_data": _holding_of(one),
        "item_data": {
            "pid": one.pid,
            "barcode": one.barcode,
            "policy": {"value": "01", "desc": "28 days"},
            "library": {"value": "MAIN", "desc": "Hauptbibliothek"},
            "location": {"value": one.place, "desc": _PLACES[one.place]},
            "requested": False,
            "creation_date": "2019-05-04Z",
            "modification_date": "2026-01-07Z",
            "base_status": {"value": "1", "desc": "Item in place"},
            "awaiting_reshelving": False,
            "physical_material_type": {"value": "BOOK", "desc": "Book"},
            "is_magnetic": False,
            "process_type": {"value": ""},
            "internal_note_1": one.note,
            **dict.fromkeys((*plain, *notes), ""),
            "physical_condition": {"value": None},
        },
        "link": f"{base}/holdings/{one.holding}/items/{one.pid}",
    }


def _holding_of(one: _Item) -> dict[str, Any]:
    return {
        "holding_id": one.holding,
        "holding_suppress_from_publishing": "false",
        "call_number_type": {"value": "8", "desc": "Other scheme"},
        "call_number": f"M {one.number % 90 + 10}.{one.number}",
        "copy_id": "1",
        "in_temp_location": False,
        "temp_library": {},
        "temp_location": {},
        "temp_policy": {"value": ""},
        "link": f"/almaws/v1/bibs/{one.mms}/holdings/{one.holding}",
    }


def _bib(mms: str, title: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><bib><mms_id>{mms}</mms_id>'
        f"<record_format>marc21</record_format><linked_record_id/><title>{escape(title)}</title>"
        "<created_by>import</created_by><created_date>2019-05-04Z</created_date>"
        "<last_modified_date>2026-01-07Z</last_modified_date><suppress_from_publishing>false</suppress_from_publishing>"
        "<suppress_from_external_search>false</suppress_from_external_search>"
        '<cataloging_level desc="Default Level">00</cataloging_level>'
        "<record><leader>00000nam a2200000 c 4500</leader>"
        f'<controlfield tag="001">{mms}</controlfield><controlfield tag="005">20260107120000.0</controlfield>'
        '<controlfield tag="008">190504s2019    xx            000 0 mul d</controlfield>'
        f'<datafield ind1="1" ind2="0" tag="245"><subfield code="a">{escape(title)}</subfield></datafield>'
        '<datafield ind1=" " ind2="1" tag="264"><subfield code="b">Mühlenverlag</subfield></datafield>'
        '<datafield ind1=" " ind2=" " tag="900"><subfield code="a">lokal</subfield></datafield></record></bib>'
    ).encode()


def _holding(holding: str, one: _Item) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><holding><holding_id>{holding}</holding_id>'
        "<created_by>import</created_by><created_date>2019-05-04Z</created_date>"
        "<last_modified_date>2026-01-07Z</last_modified_date><suppress_from_publishing>false</suppress_from_publishing>"
        "<record><leader>00000nx  a22000001n 4500</leader>"
        f'<controlfield tag="001">{holding}</controlfield><controlfield tag="004">{one.mms}</controlfield>'
        '<controlfield tag="005">20260107120000.0</controlfield>'
        '<datafield ind1="8" ind2=" " tag="852"><subfield code="b">MAIN</subfield>'
        f'<subfield code="c">{one.place}</subfield><subfield code="h">M {one.number % 90 + 10}</subfield></datafield>'
        "</record></holding>"
    ).encode()


def _user(number: int) -> dict[str, Any]:
    external = number % 2 == 1
    return {
        "record_type": {"value": "PUBLIC", "desc": "Public"},
        "primary_id": f"reader-{number:03d}",
        "first_name": "Reader",
        "last_name": f"No. {number}",
        "full_name": f"Reader No. {number}",
        "user_group": {"value": "01", "desc": "Leserinnen und Leser"},
        "preferred_language": {"value": "de", "desc": "German"},
        "account_type": {"value": "EXTERNAL" if external else "INTERNAL"},
        "external_id": "SIS" if external else "",
        "status": {"value": "ACTIVE", "desc": "Active"},
        "contact_info": {"email": [{"preferred": True, "email_address": f"reader-{number:03d}@example.com",
                                    "email_type": [{"value": "personal"}]}]},
        "user_identifier": [],
        "user_note": [],
        "user_role": [{"role_type": {"value": "200", "desc": "Patron"}}],
        "user_statistic": [],
    }  # fmt: skip
