"""The words of Service Bus' SQL: "Subscription Rule SQL Filter Syntax" and "… Action Syntax" in its documentation."""

import re
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 1024  # characters of a filter or action (quotas)
KEYWORDS: Final = frozenset(
    ("AND", "OR", "NOT", "LIKE", "ESCAPE", "IN", "IS", "NULL", "EXISTS", "TRUE", "FALSE", "SET", "REMOVE")
)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    | (?P<string>'(?:[^']|'')*')
    | (?P<bracketed>\[(?:[^\]]|\]\])*\])
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<parameter>@[^\W\d]\w*)
    | (?P<name>[^\W\d_]\w*)
    | (?P<sign><>|!=|>=|<=|[=<>+\-*/%(),.;])
    )""",
    re.VERBOSE,
)


class FilterError(Exception):
    """A filter or action that cannot be read, or that cannot be evaluated for a message."""


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: number, string, name (delimited ones too), keyword, parameter, sign or end. `text` without its quotes;
    keywords in capitals. `at` is the place in the expression, from 1.
    """

    kind: str
    text: str
    at: int


def tokens(expression: str) -> list[Token]:
    """The expression's words, with an end token."""
    if len(expression) > MAX_LENGTH:
        raise FilterError(f"an SQL expression has at most {MAX_LENGTH} characters, got {len(expression)}")
    found = []
    place, end = 0, len(expression.rstrip())
    while place < end:
        match = _TOKEN.match(expression, place)
        if match is None or match.lastgroup is None:
            at = place + len(expression[place:]) - len(expression[place:].lstrip())
            raise FilterError(
                f"no word of an SQL expression starts at character {at + 1}: {expression[at : at + 20]!r}"
            )
        found.append(_token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        place = match.end()
    found.append(Token("end", "the end", end + 1))
    return found


def _token(kind: str, text: str, at: int) -> Token:
    if kind == "string":
        return Token("string", text[1:-1].replace("''", "'"), at)
    if kind == "bracketed":
        return Token("name", text[1:-1].replace("]]", "]"), at)
    if kind == "quoted":
        return Token("name", text[1:-1].replace('""', '"'), at)
    if kind == "name" and text.upper() in KEYWORDS:
        return Token("keyword", text.upper(), at)
    return Token(kind, text, at)
