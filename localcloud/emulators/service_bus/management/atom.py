"""Atom entries and feeds of the administration API, and the XML that clients send.

The shapes are those that the service's SDKs read and write; element names are the service's own.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

ATOM: Final = "http://www.w3.org/2005/Atom"
SB: Final = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
XSD: Final = "http://www.w3.org/2001/XMLSchema"
COUNTS: Final = "http://schemas.microsoft.com/netservices/2011/06/servicebus"


class XmlError(ValueError):
    """The body is not what was asked for."""


def parse(body: bytes) -> ET.Element:
    """The description inside an entry's content. Document types are refused: they could make a small body huge."""
    try:
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text.upper():
            raise XmlError("the body must have no document type")
        entry = ET.fromstring(text)  # noqa: S314  # without a document type there are no entities to expand
    except (UnicodeDecodeError, ET.ParseError) as error:
        raise XmlError(f"the body must be XML in UTF-8: {error}") from error
    content = entry.find(f"{{{ATOM}}}content")
    if entry.tag != f"{{{ATOM}}}entry" or content is None or len(content) != 1:
        raise XmlError("the body must be an Atom entry whose content is one description")
    return content[0]


def local(element: ET.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def child(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    """A new element in a parent. Namespaces are plain attributes: ElementTree's prefixes are global to a process."""
    element = ET.SubElement(parent, name)
    element.text = text
    return element


def description(name: str) -> ET.Element:
    """The root of a description, with the prefixes that are used in it."""
    return ET.Element(name, {"xmlns": SB, "xmlns:i": XSI, "xmlns:c": COUNTS, "xmlns:d6p1": XSD})


def moment(seconds: float) -> str:
    """A time as the service writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def entry(title: str, url: str, created: float, updated: float, described: ET.Element) -> ET.Element:
    """An Atom entry."""
    made = ET.Element("entry", {"xmlns": ATOM})
    child(made, "id", url)
    child(made, "title", title).set("type", "text")
    child(made, "published", moment(created))
    child(made, "updated", moment(updated))
    child(child(made, "author"), "name", "localhost")
    link = child(made, "link")
    link.set("rel", "self")
    link.set("href", url)
    content = child(made, "content")
    content.set("type", "application/xml")
    content.append(described)
    return made


def feed(title: str, url: str, next_url: str | None, now: float, entries: Iterable[ET.Element]) -> ET.Element:
    """A page of a list."""
    made = ET.Element("feed", {"xmlns": ATOM})
    child(made, "title", title).set("type", "text")
    child(made, "id", url)
    child(made, "updated", moment(now))
    for rel, href in (("self", url), ("next", next_url)):
        if href is not None:
            link = child(made, "link")
            link.set("rel", rel)
            link.set("href", href)
    made.extend(entries)
    return made


def error(code: int, detail: str) -> ET.Element:
    """The service's form of a refusal."""
    made = ET.Element("Error")
    ET.SubElement(made, "Code").text = str(code)
    ET.SubElement(made, "Detail").text = detail
    return made


def write(element: ET.Element) -> bytes:
    """As bytes."""
    written: bytes = ET.tostring(element, encoding="utf-8", xml_declaration=True)
    return written


def add_values(parent: ET.Element, values: dict[str, Any]) -> None:
    """A map of names to typed values."""
    for key, value in values.items():
        pair = child(parent, "KeyValueOfstringanyType")
        child(pair, "Key", key)
        kind, text = _typed(value)
        element = child(pair, "Value", text)
        element.set("i:type", f"d6p1:{kind}")


def _typed(value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return "boolean", str(value).lower()
    if isinstance(value, int):
        return ("int" if abs(value) < 2**31 else "long"), str(value)
    if isinstance(value, float):
        return "double", repr(value)
    return "string", str(value)


def values_of(parent: ET.Element | None) -> dict[str, Any]:
    """The map back. Times and durations stay text (our reading: nothing compares with them)."""
    found: dict[str, Any] = {}
    for pair in parent if parent is not None else ():
        key, value = pair.find(f"{{{SB}}}Key"), pair.find(f"{{{SB}}}Value")
        if key is None or value is None or not key.text:
            raise XmlError("a map needs a Key and a Value in each of its elements")
        kind = value.get(f"{{{XSI}}}type", "string").rpartition(":")[2]
        text = value.text or ""
        try:
            found[key.text] = _value(kind, text)
        except ValueError:
            raise XmlError(f"{key.text} must be of type {kind}, got {text!r}") from None
    return found


def _value(kind: str, text: str) -> Any:
    if kind in ("int", "long", "short", "byte", "unsignedInt", "unsignedLong"):
        return int(text)
    if kind in ("double", "float", "decimal"):
        return float(text)
    return text.lower() == "true" if kind == "boolean" else text
