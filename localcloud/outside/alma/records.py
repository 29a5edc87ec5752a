"""What Alma does with an update: checks what it must have, takes what may be changed, and swaps all of that.

Documented: "Swap All" (a field that is not sent gets its default), XML only for bibs and holdings (60105), 005 compared
with `stale_version_check`, a user's mandatory fields, external_id by account type, and fields that `override` must
name. Which fields of an item or a holding are mandatory, and that a field nobody knows is dropped without a word, is
our reading.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from localcloud.outside.alma.answers import MISSING_RECORD, No
from localcloud.outside.alma.data import Kind, Library, json_bytes, json_of, xml_bytes, xml_of
from localcloud.outside.alma.fields import (
    BIB_ELEMENTS,
    HOLDING_OF_ITEM,
    ITEM_FIELDS,
    ITEM_OUTPUT,
    OVERRIDE_NAMES,
    USER_FIELDS,
    USER_OVERRIDDEN,
)


def updated(kind: Kind, ids: tuple[str, ...], stored: bytes, body: bytes, query: dict[str, str], now: float,
            library: Library) -> bytes:  # fmt: skip
    """The record as it is after the update. Raises No."""
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    if kind in {"bib", "holding"}:
        return _marc(kind, ids, xml_of(stored), _sent_xml(kind, body), query, moment)
    sent = _sent_json(body)
    record = json_of(stored)
    made = _item(record, sent, ids, library, moment) if kind == "item" else _user(record, sent, query)
    return json_bytes(made)


def belongs(kind: Kind, ids: tuple[str, ...], stored: bytes) -> bool:
    """Whether the record is under the ids that come before its own."""
    if kind in {"bib", "user"}:
        return True
    if kind == "item":
        record = json_of(stored)
        return (
            str(record.get("bib_data", {}).get("mms_id")),
            str(record.get("holding_data", {}).get("holding_id")),
        ) == (
            ids[0],
            ids[1],
        )
    return _control(_record_of(xml_of(stored)), "004") in {ids[0], ""}


def missing(kind: Kind, ids: tuple[str, ...]) -> No:
    """There is no such record: 400, as nearly everything."""
    words = {
        "bib": f"Input parameters mmsId {ids[0]} is not valid.",
        "holding": f"Holding ID not valid: {ids[-1]}",
        "item": f"Item with identifier {ids[-1]} was not found.",
        "user": f"User with identifier {ids[-1]} was not found.",
    }
    return No(400, MISSING_RECORD[kind], words[kind])


# ---- items and users: JSON


def _sent_json(body: bytes) -> dict[str, Any]:
    try:
        return json_of(body)
    except (ValueError, RecursionError) as error:
        raise No(
            400, "401652", f"General Error - An error has occurred while processing the request: {error}"
        ) from error


def _item(
    stored: dict[str, Any], sent: dict[str, Any], ids: tuple[str, ...], library: Library, now: dt.datetime
) -> dict[str, Any]:
    data, new = stored.get("item_data", {}), sent.get("item_data")
    if not isinstance(new, dict):
        raise _mandatory("item_data")
    if str(new.get("pid", ids[2])) != ids[2]:
        raise No(400, "401652", f"item_data.pid must be {ids[2]}, got {new.get('pid')}")
    for field in ("barcode", "physical_material_type"):
        if not _value(new.get(field)):
            raise _mandatory(f"item_data.{field}")
    if new["barcode"] != data.get("barcode"):
        _refuse_second_barcode(str(new["barcode"]), ids[2], library)
    known = [key for key in (*data, *ITEM_FIELDS) if key not in ITEM_OUTPUT]
    made = {**stored, "item_data": _swapped(data, new, known)}
    made["item_data"]["modification_date"] = f"{now:%Y-%m-%d}Z"
    holding = sent.get("holding_data")
    if isinstance(holding, dict):
        made["holding_data"] = _swapped(stored.get("holding_data", {}), holding, HOLDING_OF_ITEM)
    return made


def _refuse_second_barcode(barcode: str, pid: str, library: Library) -> None:
    for other in library.names("item"):
        body = library.record("item", other) if other != pid else None
        if body is not None and json_of(body).get("item_data", {}).get("barcode") == barcode:
            raise No(400, "401871", f"Barcode {barcode} already exists")


def _user(stored: dict[str, Any], sent: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    for field in ("record_type", "primary_id", "last_name", "account_type", "status"):
        if not _value(sent.get(field)):
            raise _mandatory(field)
    if str(sent["primary_id"]).lower() != str(stored.get("primary_id", "")).lower():
        raise No(400, "401863", "The primary identifier of a user cannot be changed here")
    account, external = _value(sent["account_type"]), _value(sent.get("external_id"))
    if account not in {"INTERNAL", "EXTERNAL"}:
        raise No(400, "401857", "The given user account type is illegal (must be INTERNAL/EXTERNAL).")
    if account == "INTERNAL" and external:
        raise No(400, "401853", "External Id must be empty for internal user.")
    if account == "EXTERNAL" and not external:
        raise No(400, "401854", "External Id must be given for external user.")
    override = {OVERRIDE_NAMES.get(name, name) for name in query.get("override", "").split(",")}
    kept = USER_OVERRIDDEN - override if account == "EXTERNAL" else frozenset()
    made = _swapped(stored, sent, [key for key in (*stored, *USER_FIELDS) if key not in kept])
    if not sent.get("user_role"):
        made["user_role"] = stored.get("user_role", [])
    return made


def _swapped(stored: dict[str, Any], sent: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Of what is known: as sent, or its default; all else as stored."""
    made = dict(stored)
    for key in dict.fromkeys(known):
        if key in sent:
            made[key] = sent[key]
        elif key in stored:
            made[key] = _default(stored[key])
    return made


def _default(value: object) -> object:
    if isinstance(value, bool):
        return False
    if isinstance(value, dict):
        return {"value": ""} if "value" in value else {}
    return [] if isinstance(value, list) else ""


def _value(field: object) -> str:
    """Of a plain field or one with a description."""
    value = field.get("value") if isinstance(field, dict) else field
    return "" if value is None else str(value).strip()


def _mandatory(field: str) -> No:
    return No(400, "401664", f"Mandatory field is missing: {field}")


# ---- bibs and holdings: XML


def _sent_xml(kind: Kind, body: bytes) -> Element:
    code = "402209" if kind == "bib" else "402211"
    try:
        root = xml_of(body)
    except ValueError as error:
        raise No(400, code, f"Given {kind} xml is invalid: {error}") from error
    if root.tag != kind or root.find("record") is None:
        raise No(400, code, f"Given {kind} xml is invalid: <{kind}> with a <record> is needed")
    return root


def _marc(
    kind: Kind, ids: tuple[str, ...], stored: Element, sent: Element, query: dict[str, str], now: dt.datetime
) -> bytes:
    new, old = _record_of(sent), _record_of(stored)
    if new.find("leader") is None:
        raise No(400, "402209" if kind == "bib" else "402211", f"Given {kind} xml is invalid: no leader")
    if kind == "holding" and not all(_subfield(new, "852", code) for code in "bc"):
        raise No(400, "402211", "Given holding xml is invalid: 852 must have a library ($b) and a location ($c)")
    version = _control(old, "005")
    if query.get("stale_version_check") == "true" and _control(new, "005") != version:
        raise No(400, "402252", "The record has been changed: a newer version exists than the one that was sent")
    _set_control(new, "001", ids[-1])
    _set_control(new, "005", f"{now:%Y%m%d%H%M%S}.{now.microsecond // 100_000}")
    stored[list(stored).index(old)] = new
    if kind == "bib":
        for name in BIB_ELEMENTS:
            _take(stored, sent, name, "true" if name == "suppress_from_publishing" else "")
        _set(stored, "title", _subfield(new, "245", "a"))
    else:
        _take(stored, sent, "suppress_from_publishing", "false")
    _set(stored, "last_modified_date", f"{now:%Y-%m-%d}Z")
    return xml_bytes(stored)


def _record_of(root: Element) -> Element:
    found = root.find("record")
    if found is None:
        raise No(500, "INTERNAL_SERVER_ERROR", f"<{root.tag}> has no <record>; correct the file")
    return found


def _control(record: Element, tag: str) -> str:
    found = record.find(f"controlfield[@tag='{tag}']")
    return (found.text or "") if found is not None else ""


def _set_control(record: Element, tag: str, value: str) -> None:
    found = record.find(f"controlfield[@tag='{tag}']")
    if found is None:
        found = Element("controlfield", {"tag": tag})
        at = sum(1 for one in record if one.tag in {"leader", "controlfield"} and (one.get("tag") or "") <= tag)
        record.insert(at, found)
    found.text = value


def _subfield(record: Element, tag: str, code: str) -> str:
    found = record.find(f"datafield[@tag='{tag}']/subfield[@code='{code}']")
    return (found.text or "").strip() if found is not None else ""


def _take(stored: Element, sent: Element, name: str, default: str) -> None:
    found, there = sent.find(name), stored.find(name)
    if found is None and there is None:
        return
    _set(stored, name, (found.text or "") if found is not None else default)


def _set(root: Element, name: str, text: str) -> None:
    found = root.find(name)
    if found is None:
        found = SubElement(root, name)
        root.remove(found)
        root.insert(list(root).index(_record_of(root)), found)
    found.text = text
