"""The judge of a run: each kind of harm is seen, and a good run is fine."""

import json
from typing import Any

import pytest

from core.messages.alma_analytics import Change, Report, ReportJob, Rule
from localcloud.outside.alma.journal import Entry
from localcloud.outside.alma.truth import Findings, Snapshot, compare

JOB = ReportJob(
    name="notes",
    report=Report(path="/a", key="K"),
    other=Report(path="/b", key="Key"),
    rule=Rule(kind="item", ids=["M", "H", "I"], set=[Change(field="note", column="other.New", now="Now")]),
    recipients=["a@example.com"],
)
ROWS = [{"M": "1", "H": "2", "I": str(n), "K": f"k{n}", "Now": "old" if n else "new"} for n in range(4)]
OTHER = [{"Key": f"k{n}", "New": "new"} for n in (0, 1, 2, 9)]


def _records(**notes: str) -> dict[str, bytes]:
    known = {"0": "new", "1": "old", "2": "old", "3": "old"} | {key[1:]: value for key, value in notes.items()}
    return {name: json.dumps({"note": note}).encode() for name, note in known.items()}


BEFORE = Snapshot(ROWS, OTHER, _records())
AFTER = Snapshot(ROWS, OTHER, _records(_1="new", _2="new"))


def _put(n: int, status: int = 200) -> Entry:
    return Entry(n=1, at=0, operation="PutItem", what=f"item 1/2/{n}", status=status)


GOOD = [_put(1), _put(2), _put(2, 500), _put(2, 0)]


def _judge(after: Snapshot = AFTER, journal: list[Entry] = GOOD, before: Snapshot = BEFORE, **more: Any) -> Findings:
    return compare(JOB, before, after, journal, **more)


def test_a_good_run() -> None:
    read = [("0", *row.values()) for row in ROWS]
    found = _judge(rows=read, other_rows=[tuple(row.values()) for row in OTHER])
    assert found == Findings(wanted=2, updated=2)
    assert found.fine


@pytest.mark.parametrize(
    ("after", "journal", "more", "harm"),
    [
        (Snapshot(ROWS, OTHER, _records(_1="new")), [_put(1)], {}, Findings(wanted=2, updated=1, lost=["1/2/2"])),
        (Snapshot(ROWS, OTHER, _records(_1="new")), [_put(1)], {"listed": {("1", "2", "2")}},
         Findings(wanted=2, updated=1, listed=1)),
        (AFTER, [*GOOD, _put(1)], {}, Findings(wanted=2, updated=2, doubled=["1/2/1"])),
        (AFTER, [*GOOD, _put(3)], {}, Findings(wanted=2, updated=2, touched=["1/2/3"])),
        (Snapshot(ROWS, OTHER, _records(_1="new", _2="odd")), GOOD, {},
         Findings(wanted=2, updated=1, wrong=["1/2/2"], lost=["1/2/2"])),
        (AFTER, GOOD, {"listed": {("1", "2", "1")}}, Findings(wanted=2, updated=1, listed=1, touched=["1/2/1"])),
        (AFTER, GOOD, {"rows": [tuple(row.values()) for row in [*ROWS[1:], ROWS[1]]]},
         Findings(wanted=2, updated=2, rows_missing=1, rows_doubled=1)),
    ],
)  # fmt: skip
def test_harms(after: Snapshot, journal: list[Entry], more: dict[str, Any], harm: Findings) -> None:
    found = _judge(after, journal, **more)
    assert found == harm
    assert found.fine == (not (found.lost or found.doubled or found.touched or found.wrong or found.rows_missing))


def test_what_somebody_else_wrote_must_stay() -> None:
    before = Snapshot(ROWS, OTHER, _records(_1="by hand"))
    assert _judge(before=before).overwritten == ["1/2/1"]
    after = Snapshot(ROWS, OTHER, _records(_1="by hand", _2="new"))
    assert _judge(after, [_put(2)], before, listed={("1", "2", "1")}).fine


def test_a_record_that_is_gone_is_listed() -> None:
    kept = {name: body for name, body in _records(_2="new").items() if name != "1"}
    gone = Snapshot(ROWS, OTHER, kept)
    assert _judge(gone, [_put(2)], listed={("1", "2", "1")}).fine
    assert _judge(gone, [_put(2)]).lost == ["1/2/1"]
