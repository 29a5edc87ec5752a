"""Which texts are JSON: against Python's own reader, and the rules where we differ on purpose."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.log_ingest.validate import clean_lines, fault, faults

_SCRAPS = [*'{}[],:"', "1", "-0", "01", "1e5", "1.", ".5", "null", "true", "NaN", "Infinity", '"a"', '"\\n"', '"\\x"',
           '"\\ud800"', "\\", " ", "\t", "é", "\x7f", "\x01", "1" * 5000]  # fmt: skip


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _is_json(text: bytes) -> bool:
    """Python's reader, told to be as strict as RFC 8259."""
    try:
        json.loads(text.decode("utf-8"), parse_constant=_refuse, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return False
    return True


@given(st.lists(st.sampled_from(_SCRAPS), min_size=1, max_size=12).map("".join))
def test_same_verdict_as_pythons_reader(text: str) -> None:
    stripped = text.strip(" \t").encode()
    assert (fault(stripped) == "") == (bool(stripped) and _is_json(stripped))


@given(
    st.lists(st.sampled_from([b"1", b"1,2", b'"a', b'b"', b"[1", b"2]", b"{}", b'{"a":1}', b"", b"]", b",", b"\xff"]))
)
def test_a_batch_gives_each_texts_own_verdict(texts: list[bytes]) -> None:
    assert faults(texts).keys() == {at for at, text in enumerate(texts) if fault(text)}


@pytest.mark.parametrize(
    "text",
    [b"1" * 5000, b"-0", b"1e999", b"[" * 1000 + b"]" * 1000, b'{"a":' * 1000 + b"1" + b"}" * 1000, b'{"a":1,"a":2}',
     b'"\\ud800"', b'"\\u0000"', '"\x7f\u2028 ü"'.encode(), b'"' + b"[" * 5000 + b'"', b"[]", b"{}", b'""', b"null"],
)  # fmt: skip
def test_json(text: bytes) -> None:
    assert fault(text) == ""
    assert faults([b"1", text, b"2"]) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 1001 + b"]" * 1001, "nesting"),
        (b'{"a":' * 1001 + b"1" + b"}" * 1001, "nesting"),
        (b"[" * 200_000, "nesting"),
        (b'{"a":NaN}', "not JSON"),
        (b"-Infinity", "not JSON"),
        (b'{"a":"\0"}', "NUL"),
        (b'{"a":"\xff"}', "invalid UTF-8 at byte 6"),
        (b'"\xed\xa0\x80"', "invalid UTF-8"),
        (b'{"a":"\t"}', "not JSON"),
        (b'{"a":1}}', "not JSON"),
        (b"[1,]", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b"1 2", "not JSON"),
        (b"", "not JSON"),
        (b'["\\ud800",]', "not JSON"),
        (b'{"\\ud800" "a"}', "not JSON"),
        (b'{"\\ud800":1]', "not JSON"),
    ],
)
def test_no_json(text: bytes, reason: str) -> None:
    assert fault(text).startswith(reason)
    assert list(faults([b"1", text, b"2"])) == [1]


def test_python_agrees_that_huge_numbers_are_infinite() -> None:
    assert math.isinf(float("1e999"))  # so a reader that converts would change the record: we do not convert


_LINES = [b"1", b'{"a":1}', b"1 2", b"{", b"}", b'{"a":', b"1}", b"", b" 1", b"1 ", b'"\xff"', b"\xef\xbb\xbf1"]


@given(st.lists(st.sampled_from(_LINES), max_size=6))
def test_clean_lines_are_exactly_the_lines(lines: list[bytes]) -> None:
    found = clean_lines(b"\n".join(lines))
    if not found:
        assert not lines or any(fault(line) or line != line.strip() for line in lines)
    else:
        assert found == len(lines)
        assert faults(lines) == {}
