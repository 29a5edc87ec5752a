"""XML from outside, without its traps: no DOCTYPE, no entities of its own, nothing external, bounded size and depth.

Straight on expat: what a document may not have is refused where it begins, before anything is expanded. Names keep
their prefixes, so that what is written back is what came.
"""

from __future__ import annotations

from typing import Any, Protocol
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

from core.clients.faults import Corrupt, Refused

MAX_DEPTH = 64
_CUT_OFF = frozenset(
    {
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    }
)


class XmlFault(Refused):
    """A document that is not taken, and why."""


class Target(Protocol):
    """Takes the document's parts in their order. A TreeBuilder gets comments and processing instructions as well."""

    def start(self, tag: Any, attrs: Any, /) -> Any:
        """An element begins."""

    def end(self, tag: Any, /) -> Any:
        """It ends."""

    def data(self, data: Any, /) -> Any:
        """Text."""


def parse(body: bytes, target: Target, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> None:
    """Feeds the document to `target`. Raises XmlFault for one that is refused, Corrupt for one that is cut off, and
    what `target` raises.
    """
    parser = guarded()
    depth, begin, finish = 0, target.start, target.end

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > max_depth:
            raise too_deep(parser, max_depth)
        begin(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        finish(name)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = target.data
    if isinstance(target, TreeBuilder):
        parser.CommentHandler, parser.ProcessingInstructionHandler = target.comment, target.pi
    run(parser, body, max_bytes=max_bytes)


def guarded() -> expat.XMLParserType:
    """A parser that refuses what no document may have, but for its depth: whoever sets its handlers bounds that."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(what: str) -> Any:
        def handler(*_: Any) -> None:
            raise XmlFault(f"XML must have no {what}, got one at {_place(parser)}; nothing of it was expanded")

        return handler

    parser.StartDoctypeDeclHandler = refuse("DOCTYPE")
    parser.EntityDeclHandler = refuse("entity declaration")
    parser.ExternalEntityRefHandler = refuse("external entity")
    parser.SkippedEntityHandler = refuse("undeclared entity")
    return parser


def too_deep(parser: expat.XMLParserType, max_depth: int) -> XmlFault:
    """For a document that is nested deeper than `max_depth` elements."""
    return XmlFault(f"XML must be nested at most {max_depth} levels deep, got more at {_place(parser)}")


def run(parser: expat.XMLParserType, body: bytes, *, max_bytes: int) -> None:
    """Feeds the document to the parser's handlers. Raises as `parse` does, and what they raise."""
    if len(body) > max_bytes:
        raise XmlFault(f"XML must have at most {max_bytes} bytes, got {len(body)}")
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        words = expat.ErrorString(error.code)
        if words in _CUT_OFF:
            raise Corrupt(f"XML is cut off after {len(body)} bytes ({words})") from error
        raise XmlFault(f"XML must be well-formed, got {words} at line {error.lineno}, column {error.offset}") from error
    except (LookupError, ValueError) as error:  # an encoding that is none
        raise XmlFault(f"XML must name an encoding that exists: {error}") from error


def _place(parser: expat.XMLParserType) -> str:
    return f"line {parser.CurrentLineNumber}, column {parser.CurrentColumnNumber}"


def local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2] if ":" in name else name
