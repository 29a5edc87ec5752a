"""The truth a campaign compares with: it must see what is lost, doubled or strange, and what explains it."""

import json
from typing import Any

from localcloud.outside.log_ingest_truth import Findings, Input, Row, compare, inputs

BROKEN = {"key": "b", "entries": [{"reason": "not JSON", "position": 2, "scope": "line"}]}
PUT = [
    Input(key="a", body=b"", texts={1: "one", 2: "two", 3: "three"}),
    Input(key="b", body=b"", texts={1: "four"}, broken={2}),
]
ONE, TWO, THREE, THREE_TOO, FOUR = ROWS = [
    Row("a", "one", "A-1", 1, 1),
    Row("a", "two", "A-2", 1, 1),
    Row("a", "th", "A-3", 1, 2),
    Row("a", "ree", "A-3", 2, 2),
    Row("b", "four", "B-1", 1, 1),
]


def _compare(
    rows: list[Row], *letters: dict[str, Any], unanswered: Any = (), killed: bool = False, corrupt: bool = False
) -> Findings:
    return compare(PUT, rows, letters, unanswered, killed=killed, corrupt=corrupt)


def test_all_is_well() -> None:
    found = _compare(ROWS, BROKEN)
    assert (found.records_in, found.records_out, found.rows, found.dead) == (5, 4, 5, 1)
    assert (found.lost, found.strange, found.died, found.doubled_rows) == ([], [], {}, 0)


def test_a_missing_record_a_missing_part_and_a_missing_dead_letter_are_lost() -> None:
    assert _compare(ROWS[1:], BROKEN).lost == ["a #1"]
    short = _compare([ONE, TWO, THREE, FOUR], BROKEN)
    assert short.lost == ["a #3"]
    assert "parts [1] of 2" in short.strange[0]
    assert _compare(ROWS).lost == ["b #2 (no JSON)"]


def test_a_dead_letter_explains_a_healthy_record_that_is_missing() -> None:
    rest = {"key": "a", "entries": [{"reason": "truncated gz", "scope": "file", "position": 2}]}
    assert _compare([ONE, FOUR], BROKEN, rest).died == {"truncated gz": 2}
    message = {"body": json.dumps({"Object Key": "a"}), "reason": "access denied"}
    assert _compare([FOUR], BROKEN, message).died == {"access denied": 3}


def test_doubles_are_told_apart_by_what_explains_them() -> None:
    again = [*ROWS, ONE, TWO]
    upload = json.dumps([{"Record_Id": "A-1", "Part": 1}]).encode()
    found = _compare(again, BROKEN, unanswered=[upload])
    assert (found.doubled_unanswered, found.doubled) == (1, ["A-2/1"])
    killed = _compare(again, BROKEN, unanswered=[upload], killed=True)
    assert (killed.doubled_unanswered, killed.doubled_killed, killed.doubled) == (1, 1, [])
    assert _compare([*again, ONE], BROKEN, unanswered=[upload]).doubled == ["A-1/1", "A-2/1"]


def test_a_row_that_nobody_put_or_that_differs_is_strange() -> None:
    assert "nobody's" in _compare([*ROWS, Row("a", "nobody's", "A-9", 1, 1)], BROKEN).strange[0]
    wrong = [Row("a", "0ne", "A-1", 1, 1), *ROWS]
    assert _compare(wrong, BROKEN).strange == ["A-1/1: two rows differ"]
    replaced = _compare(wrong, BROKEN, corrupt=True)
    assert (replaced.strange, replaced.replaced, replaced.doubled_corrupt) == ([], 1, 1)
    assert (replaced.records_out, replaced.lost) == (4, [])


def test_what_is_put_is_the_same_for_a_seed_and_has_what_a_campaign_needs() -> None:
    first = list(inputs(3))
    assert first == list(inputs(3))
    assert first[0].body != next(inputs(4)).body
    assert len({json.loads(text)["id"] for one in first for text in one.texts.values()}) == sum(
        len(one.texts) for one in first
    )
    assert max(len(text.encode()) for text in first[0].texts.values()) > 65_536
    assert any(one.broken for one in first)
    assert any(one.announced_again for one in first)
