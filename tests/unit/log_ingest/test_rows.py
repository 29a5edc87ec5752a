"""Rows as bytes: the same as encoding the row's Struct, within every limit."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.log_ingest.progress import merged
from core.log_ingest.rows import Chunk, Place, RowWriter, file_id, parts
from core.messages.log_ingest import Row

PLACE = Place(
    bucket="b", key='k"ü', actual_time="2025-10-31T12:30:45Z", file_id="0123", read_at="2025-10-31T18:00:00.000Z"
)


def _write(texts: list[str], *, max_bytes: int = 10_000, max_rows: int = 0, field: int = 50) -> list[Chunk]:
    writer = RowWriter(PLACE, max_bytes=max_bytes, max_rows=max_rows, max_field_bytes=field, with_time=True)
    chunks = list(writer.add([text.encode() for text in texts], range(1, len(texts) + 1))) if texts else []
    last = writer.rest()
    return chunks if last is None else [*chunks, last]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), max_size=20), st.integers(0, 3))
def test_rows_are_what_the_struct_says(texts: list[str], max_rows: int) -> None:
    chunks = _write(texts, max_rows=max_rows, max_bytes=1500)
    rows = [row for chunk in chunks for row in msgspec.json.decode(chunk.body, type=list[Row])]
    names = [field.name for field in msgspec.structs.fields(Row)]
    assert all(list(row) == names for chunk in chunks for row in json.loads(chunk.body))
    whole: dict[str, str] = {}
    for row in rows:
        whole[row.Record_Id] = whole.get(row.Record_Id, "") + row.Raw_Data
        assert len(row.Raw_Data.encode()) <= 50
    assert list(whole.values()) == texts
    assert list(whole) == [f"0123-{number}" for number in range(1, len(texts) + 1)]
    assert sum(chunk.records for chunk in chunks) == len(texts)
    assert [chunk.first for chunk in chunks[1:]] == [chunk.last for chunk in chunks[:-1]]
    assert all(len(chunk.body) <= 1500 for chunk in chunks)
    assert all(not max_rows or chunk.last - chunk.first <= max_rows for chunk in chunks)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(_JSON, st.booleans(), st.booleans()), min_size=1, max_size=20), st.sampled_from([64, 4_000]))
def test_lines_make_the_same_rows_as_their_texts(values: list[tuple[object, bool, bool]], field: int) -> None:
    texts = [
        json.dumps(value, ensure_ascii=only_ascii, separators=(",", ":\t" if tab else ":")).encode()
        for value, only_ascii, tab in values
    ]
    bodies = []
    for lines in (False, True):
        writer = RowWriter(PLACE, max_bytes=3_000, max_rows=0, max_field_bytes=field, with_time=True)
        positions = range(1, len(texts) + 1)
        chunks = list(writer.add_lines(b"\n".join(texts), positions) if lines else writer.add(texts, positions))
        bodies.append([*chunks, writer.rest()])
    assert bodies[0] == bodies[1]


def test_rows_accepted_before_are_left_out_without_a_gap_in_any_chunk() -> None:
    before = {0, 1, 5, 6}
    writer = RowWriter(PLACE, max_bytes=10_000, max_rows=0, max_field_bytes=50, with_time=False,
                       accepted=before.__contains__)  # fmt: skip
    chunks = list(writer.add([str(number).encode() for number in range(8)], range(1, 9)))
    last = writer.rest()
    assert last is not None
    assert [(chunk.first, chunk.last) for chunk in [*chunks, last]] == [(2, 5), (7, 8)]
    assert "TimeGenerated" not in json.loads(last.body)[0]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(4, 20))
def test_parts(text: str, limit: int) -> None:
    pieces = parts(text.encode(), limit)
    assert "".join(piece.decode() for piece in pieces) == text
    assert all(len(piece) <= limit for piece in pieces)
    assert len(pieces) <= max(1, len(text.encode()) // (limit - 3) + 1)


def test_file_ids_do_not_collide_by_shifting_names() -> None:
    assert file_id("a", "bc", "v") != file_id("ab", "c", "v")
    assert file_id("a", "b", "v") == file_id("a", "b", "v")


@pytest.mark.parametrize(
    ("ranges", "wanted"),
    [([], []), ([(3, 5), (0, 3)], [(0, 5)]), ([(0, 1), (2, 3), (1, 2), (9, 10)], [(0, 3), (9, 10)])],
)
def test_ranges_merge(ranges: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> None:
    assert merged(ranges) == wanted
