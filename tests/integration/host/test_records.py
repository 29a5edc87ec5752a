"""What the host makes of lines and keeps of results; no process needed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localcloud.host import results
from localcloud.host.lines import parse_line
from localcloud.host.results import Results, spoken
from localcloud.host.spec import InvocationResult


def result(number: int, **changes: Any) -> InvocationResult:
    fields: dict[str, Any] = {
        "id": str(number), "app": "a", "function": "f", "cause": "timer", "ok": True, "outcome": "done", "reason": None,
        "started": datetime(2026, 1, 1, tzinfo=UTC), "seconds": 0.1, "pid": 1, "counts": {"in": 2},
    }  # fmt: skip
    return InvocationResult(**fields | changes)


def test_a_json_line_is_understood() -> None:
    text = '{"time": "T", "level": "error", "event": "e", "function": "f", "invocation_id": "i", "more": [1]}'
    line = parse_line("a", 7, text, 0)
    assert (line.time, line.level, line.event, line.function, line.invocation_id) == ("T", "error", "e", "f", "i")
    assert line.fields is not None
    assert line.fields["more"] == [1]


@pytest.mark.parametrize("text", ["{not json", "{}x", "[1]", '"text"', "plain", "{\udcff}"])
def test_anything_else_is_text(text: str) -> None:
    line = parse_line("a", 7, text, 0)
    assert (line.text, line.fields, line.time) == (text, None, "1970-01-01T00:00:00.000Z")


def test_the_level_of_a_plain_line_is_its_first_word() -> None:
    assert parse_line("a", 7, "WARNING azure.core: slow", 0).level == "warning"


def test_results_are_added_up_and_outlive_the_host(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    kept.add(result(1))
    kept.add(result(2, ok=False, counts={"in": 1, "dead": 1}))
    assert (kept.runs["f"], kept.failures["f"], dict(kept.counts["f"])) == (2, 1, {"in": 3, "dead": 1})
    with (tmp_path / "invocations.jsonl").open("ab") as file:
        file.write(b'{"id": "half a li')  # the host was killed while it wrote
    again = Results(tmp_path)
    assert again.last("f") == result(2, ok=False, counts={"in": 1, "dead": 1})
    assert again.runs["f"] == 0  # counted since the start
    again.add(result(3))
    assert [one.id for one in Results(tmp_path).recent("f")] == ["1", "2", "3"]


def test_the_file_of_results_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_FILE_BYTES", 1000)
    kept = Results(tmp_path)
    for number in range(100):
        kept.add(result(number))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3000
    assert [one.id for one in kept.recent("f")][-1] == "99"


def test_only_wellformed_parts_of_an_invocation_line_count() -> None:
    line = {"outcome": "done", "counts": {"in": 3, "odd": "x"}, "reason": 7, "summary": {"a": 1}, "event": "invocation"}
    assert spoken(line) == {"outcome": "done", "counts": {"in": 3}, "summary": {"a": 1}}
    assert spoken(None) == {}
