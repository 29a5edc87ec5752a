r"""Is this text one JSON value? Answered without building it, for thousands of records at once.

msgspec's scanner does the common case. It differs from the rules here in four ways, each covered: it does not check
UTF-8, refuses a lone surrogate's escape ("\ud800", fine by RFC 8259), and has a nesting limit of its own that depends
on the interpreter. Huge numbers and duplicate keys pass: nothing is converted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

MAX_NESTING = 1_000
CLEAN_BYTES = 2 * MAX_NESTING
"""A text without more bytes cannot be nested too deep."""
_WHITE = b" \t\n\r"
_scan_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_scan = msgspec.json.Decoder(msgspec.Raw).decode
_scan_lines = msgspec.json.Decoder(msgspec.Raw).decode_lines
_TOKEN = re.compile(
    rb"[ \t\n\r]*(?:(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<colon>:)"
    rb'|(?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    rb"|(?P<value>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null))"
)


def clean_lines(block: bytes) -> int:
    """How many records a block holds in which every line is exactly one JSON value of at most `CLEAN_BYTES` and nothing
    else; 0: look at each line. Lines are parted by LF alone.

    Most blocks of most files are clean: checked in a few calls, whatever the number of lines.
    """
    try:
        block.decode("utf-8")
        values = _scan_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    # two values on one line, or one over two lines, must not pass
    ends = len(block) - len(block.replace(b"\n", b""))  # a fifth of what count() takes
    whole = len(values) == ends + 1 and b"\n".join(values) == block
    return len(values) if whole and max(map(len, values)) <= CLEAN_BYTES else 0


def faults(texts: Sequence[bytes]) -> dict[int, str]:
    """Index → reason, for each text that is not exactly one JSON value (outer white space already removed)."""
    if not texts:
        return {}
    whole = b"[" + b",\n".join(texts) + b"]"
    try:
        whole.decode("utf-8")
        values = _scan_list(whole)
        # equal pieces, not only equally many: "1,2" beside a text that swallows a comma must not pass
        if len(values) == len(texts) and list(map(bytes, values)) == list(texts):
            return {at: reason for at, text in enumerate(texts) if len(text) > CLEAN_BYTES and (reason := _deep(text))}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # some text is at fault: look at each
    return {at: reason for at, text in enumerate(texts) if (reason := fault(text))}


def fault(text: bytes) -> str:
    """Why this text is not exactly one JSON value; empty when it is."""
    if b"\0" in text:
        return "NUL byte"
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"invalid UTF-8 at byte {error.start}"
    try:
        _scan(text)
    except RecursionError:
        return _grammar(text)
    except msgspec.DecodeError as error:
        return _grammar(text) and f"not JSON: {str(error).removeprefix('JSON is malformed: ')}"
    return _deep(text) if len(text) > CLEAN_BYTES else ""


def _deep(text: bytes) -> str:
    """The same for a text that is JSON for certain: only its nesting is in question."""
    if text.count(b"[") + text.count(b"{") <= MAX_NESTING:
        return ""
    return _grammar(text)


def _grammar(text: bytes) -> str:
    """RFC 8259, token by token, without recursion."""
    stack: list[int] = []
    wanted = "value"  # value, first (value or "]"), key, first key (key or "}"), colon, next (comma or closing), end
    at = 0
    while match := _TOKEN.match(text, at):
        at = match.end()
        wanted = _step(match.lastgroup or "", match.group(match.lastgroup or 0), wanted, stack)
        if wanted == "deep":
            return f"nesting over {MAX_NESTING:,} levels"
        if not wanted:
            return f"not JSON: unexpected token before byte {at}"
    if wanted == "end" and not text[at:].strip(_WHITE):
        return ""
    return f"not JSON: unexpected character or end at byte {at}"


def _step(  # noqa: PLR0911 - a transition table: one line a rule
    kind: str, token: bytes, wanted: str, stack: list[int]
) -> str:
    """What must come after this token; empty: it must not stand here."""
    if kind == "open" and wanted in {"value", "first"}:
        stack.append(token[0])
        if len(stack) > MAX_NESTING:
            return "deep"
        return "first key" if token == b"{" else "first"
    if kind == "close" and stack and wanted in {"next", "first" if token == b"]" else "first key"}:
        return _after(stack) if stack.pop() == token[0] - 2 else ""  # "[" + 2 is "]", "{" + 2 is "}"
    if kind == "comma" and wanted == "next":
        return "key" if stack[-1] == ord("{") else "value"
    if kind == "string" and wanted in {"key", "first key"}:
        return "colon"
    if kind == "colon" and wanted == "colon":
        return "value"
    if kind in {"string", "value"} and wanted in {"value", "first"}:
        return _after(stack)
    return ""


def _after(stack: list[int]) -> str:
    return "next" if stack else "end"
