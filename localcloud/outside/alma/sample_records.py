"""The sample library's records, as Alma answers them."""

from typing import Any, Final
from xml.sax.saxutils import escape

import msgspec

PLACES: Final = {"STACK": "Stacks", "REF": "Reference", "MAG": "Magazin Süd", "SPEC": "Special collections"}


class Item(msgspec.Struct):
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


def item_record(one: Item) -> dict[str, Any]:
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
            "location": {"value": one.place, "desc": PLACES[one.place]},
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


def _holding_of(one: Item) -> dict[str, Any]:
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


def bib(mms: str, title: str) -> bytes:
    """A title's."""
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


def holding_record(holding: str, one: Item) -> bytes:
    """Of the first item that is there."""
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


def user(number: int) -> dict[str, Any]:
    """One reader, every other one from an external system."""
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
