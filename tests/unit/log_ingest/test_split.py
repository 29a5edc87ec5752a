"""The splitter against a plain reading of the whole text, on any boundaries; and its memory."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.log_ingest import elements, source
from core.log_ingest.split import Batch, Clean, split
from core.log_ingest.text import Damaged

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_SPACE = st.sampled_from(["", " ", "\n", "\r\n  ", "\t"])
_TEXTS = st.builds(lambda value, ascii_: json.dumps(value, ensure_ascii=ascii_), _VALUES, st.booleans())


def cut(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The body in pieces of these sizes, then in one."""
    at = 0
    for size in sizes:
        if at + size < len(body):
            yield body[at : at + size]
            at += size
    if at < len(body):
        yield body[at:]


def batches(pieces: Iterator[bytes]) -> Iterator[Batch]:
    for batch in split(pieces):
        yield batch.batch if isinstance(batch, Clean) else batch


def records(pieces: Iterator[bytes]) -> list[tuple[int, str]]:
    return [
        (line, text.decode("utf-8", "replace"))
        for batch in batches(pieces)
        for line, text in zip(batch.lines, batch.texts, strict=True)
    ]


def texts(body: bytes) -> list[str]:
    return [text for _, text in records(iter([body]))]


_SIZES = st.lists(st.integers(1, 7), max_size=60)


@given(st.lists(_TEXTS, max_size=8), st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \n\t"]), st.booleans(), _SIZES)
def test_lines(values: list[str], end: str, closed: bool, sizes: list[int]) -> None:
    body = (end.join(values) + (end if closed else "")).encode()
    if len(values) == 1 and values[0].startswith("["):
        return  # that is one top-level array
    assert [text for _, text in records(cut(body, sizes))] == values


@given(st.lists(st.sampled_from([b"1", b'"a"', b"", b"\xff", b"{bad", b"  "]), min_size=2, max_size=9),
       st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=9, max_size=9), _SIZES)  # fmt: skip
def test_line_numbers(raw: list[bytes], ends: list[bytes], sizes: list[int]) -> None:
    raw = [b"0", *raw]
    body = b"".join(line + end for line, end in zip(raw, [b"\n", *ends], strict=False))
    numbers = [number for number, line in enumerate(body.splitlines(), 1) if line.strip()]
    assert [line for line, _ in records(cut(body, sizes))] == numbers


@given(st.lists(_TEXTS, max_size=8), _SPACE, _SPACE, st.booleans(), st.sampled_from([16, 64, 1024]), _SIZES)
@settings(max_examples=300)
def test_elements(values: list[str], before: str, after: str, wrapped: bool, window: int, sizes: list[int]) -> None:
    inner = f"{before},{after}".join(values)
    body = f'{{{after}"Records"{before}: [{inner}{after}]{before}}}' if wrapped else f"{before}[{after}{inner}]{after}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "_WINDOW", window)
        assert [text for _, text in records(cut(body.encode(), sizes))] == values


@given(
    st.lists(_TEXTS, min_size=1, max_size=6), st.integers(0, 5), st.sampled_from(["NaN", "{bad}", '{"a" 1}', "\x00"])
)
def test_one_broken_element_is_one_fault(values: list[str], at: int, broken: str) -> None:
    values = [*values[:at], broken, *values[at:]]
    assert texts(f"[{','.join(values)}]".encode()) == values


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"", []),
        (b" \r\n\t\n", []),
        (b"[]", []),
        (b" [ \n ] \n", []),
        (b'{"Records": []}', []),
        (b'{"Records":[],"next":"x"}', []),
        (b'[1,[2,3],{"a":[4]}]', ["1", "[2,3]", '{"a":[4]}']),
        (b"[1,2]\n[3]\n", ["[1,2]", "[3]"]),
        (b"[1,2]\n", ["1", "2"]),
        (b"[oops\n1\n2\n", ["[oops", "1", "2"]),
        (b'[oops\n{"a":1}\n' + b'{"a":1}\n' * 40_000, ["[oops"] + ['{"a":1}'] * 40_001),
        (b'[\n{\n"a":\n1}\n]', ['{\n"a":\n1}']),
        (b"[1,,2]", ["1", "", "2"]),
        (b'{"Records": null}', ['{"Records": null}']),
        (b'{"Records": {"a": 1}}', ['{"Records": {"a": 1}}']),
        (b'{"Records":[1]}\n{"Records":[2]}\n', ['{"Records":[1]}', '{"Records":[2]}']),
        (b'{"a":1}', ['{"a":1}']),
        (b'{"records":[1]}', ['{"records":[1]}']),
        (b'"text"\n7', ['"text"', "7"]),
        (b'\xef\xbb\xbf{"a":1}\n\xef\xbb\xbf{"b":2}\n', ['{"a":1}', '{"b":2}']),
        (b'["] , \\" [", "\\\\"]', ['"] , \\" ["', '"\\\\"']),
        ('{"a":"\u2028\x85"}\n1'.encode(), ['{"a":"\u2028\x85"}', "1"]),
        (b"[1,2] trailing\n", ["1", "2", "trailing"]),
    ],
)
def test_forms(body: bytes, wanted: list[str]) -> None:
    assert texts(body) == wanted


@pytest.mark.parametrize("body", [b"[1, 2", b'{"Records":[1, 2', b'[1, 2,{"a":"b'])
def test_an_array_that_never_ends_gives_its_whole_elements(body: bytes) -> None:
    got: list[bytes] = []

    def read() -> None:
        for batch in batches(iter([body])):
            got.extend(batch.texts)

    with pytest.raises(Damaged, match="never ends"):
        read()
    assert got[:1] == [b"1"]
    assert all(text in {b"1", b"2"} for text in got)


@pytest.mark.parametrize("shape", ["lines", "elements", "string element"])
def test_memory_is_bounded(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_RECORD_BYTES", 100_000)
    monkeypatch.setattr("core.log_ingest.split.MAX_RECORD_BYTES", 100_000)
    monkeypatch.setattr("core.log_ingest.elements.MAX_RECORD_BYTES", 100_000)
    monkeypatch.setattr(elements, "_WINDOW", 10_000)
    monkeypatch.setattr("core.log_ingest.split._LOOK_BYTES", 10_000)
    held = 0
    huge = [b"x" * 5000] * 200
    frame = {
        "lines": ([b'{"a":1}\n'], huge, [b'\n{"b":2}\n']),
        "elements": ([b'[{"a":1},{"k":['], [b"[1,2,3]," * 600] * 200, [b'0]},{"b":2}]']),
        "string element": ([b'[{"a":1},"'], [b"y\\\\" * 1000] * 300, [b'",{"b":2}]']),
    }[shape]

    def pieces() -> Iterator[bytes]:
        for part in frame:
            yield from part

    got: list[tuple[bytes, str]] = []
    for batch in batches(pieces()):
        got.extend((text, batch.faults.get(at, "")) for at, text in enumerate(batch.texts))
        held = max(held, sum(map(len, batch.texts)))
    assert held < 400_000
    assert got[0] == (b'{"a":1}', "")
    assert got[-1] == (b'{"b":2}', "")
    assert len(got) == 3
    assert "record over" in got[1][1]
    assert len(got[1][0]) <= 200


def test_an_array_is_one_however_little_of_it_has_come() -> None:
    body = b"\r\n  [\n[]\r\n  ,\nnull\n]\r\n  "
    for first in range(1, len(body)):
        for second in range(1, len(body)):
            found = [text for _, text in records(cut(body, [first, second]))]
            assert found == ["[]", "null"], (first, second)
