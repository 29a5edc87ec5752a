"""Analytics' filters, as far as the stand-in knows them: comparisons of one column, joined by and / or.

    <sawx:expr xsi:type="sawx:comparison" op="equal" xmlns:sawx="com.siebel.analytics.web/expression/v1.1" …>
      <sawx:expr xsi:type="sawx:sqlExpression">"Physical Items"."Barcode"</sawx:expr>
      <sawx:expr xsi:type="xsd:string">B1</sawx:expr>
    </sawx:expr>

The column is found by the last name of its SQL expression. What is not known here is refused, never ignored.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from core.clients.xml_safe import local

Row = list[str]
Keep = Callable[[Row], bool]
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "equal": operator.eq,
    "notEqual": operator.ne,
    "greater": operator.gt,
    "greaterOrEqual": operator.ge,
    "less": operator.lt,
    "lessOrEqual": operator.le,
}
_NAME = re.compile(r'"([^"]+)"\s*$')


@dataclass
class Node:
    """One sawx:expr."""

    type: str
    op: str
    text: str = ""
    inner: list["Node"] = field(default_factory=list)


class Kept:
    """Takes a filter as it is parsed."""

    def __init__(self) -> None:
        self.root = Node("", "")
        self._open = [self.root]

    def start(self, _tag: str, attrs: dict[str, str]) -> None:
        """An expression begins."""
        by_name = {local(name): value for name, value in attrs.items()}
        node = Node(local(by_name.get("type", "")), by_name.get("op", ""))
        self._open[-1].inner.append(node)
        self._open.append(node)

    def data(self, data: str) -> None:
        """Its text."""
        self._open[-1].text += data

    def end(self, _tag: str) -> None:
        """It ends."""
        self._open.pop()


def kept_by(root: Node, columns: list[str]) -> Keep:
    """Which rows a filter keeps. Raises ValueError for one that is not known."""
    (node,) = root.inner
    return _keep(node, columns)


def _keep(node: Node, columns: list[str]) -> Keep:
    if node.type == "logical" and node.op in {"and", "or"}:
        inner = [_keep(one, columns) for one in node.inner]
        join = all if node.op == "and" else any
        return lambda row: join(keep(row) for keep in inner)
    if node.type == "" and len(node.inner) == 1:
        return _keep(node.inner[0], columns)
    if node.type not in {"comparison", "list"} or len(node.inner) < 2:
        raise ValueError(f"an expression must be a comparison, a list or logical here, got {node.type!r}")
    found = _NAME.search(node.inner[0].text)
    if found is None or found[1] not in columns:
        raise ValueError(f"no column of the report is named by {node.inner[0].text.strip()!r}")
    at, values = columns.index(found[1]), [one.text.strip() for one in node.inner[1:]]
    if node.type == "list" and node.op == "in":
        return lambda row: row[at] in values
    if node.op not in _OPERATORS:
        raise ValueError(f"op must be one of {', '.join([*_OPERATORS, 'in'])} here, got {node.op!r}")
    compare = _OPERATORS[node.op]
    return lambda row: compare(row[at], values[0])
