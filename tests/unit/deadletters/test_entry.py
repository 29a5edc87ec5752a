"""The one model of a dead letter: filters, times, and what a person's screen may show of other people's text."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.deadletters.entry import Entry, Filter, moment, shown

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def entry(id_: str, **more: Any) -> Entry:
    fields: dict[str, Any] = {
        "kind": "line", "system": "log_ingest", "origin": "logs/a.json", "reason": "not JSON: x",
        "time": "2026-11-26T11:00:00.000Z", "attempts": 1, "size": 1, "excerpt": "x", **more,
    }  # fmt: skip
    return Entry(id=id_, **fields)


ENTRIES = [
    entry("aa-1"),
    entry("aa-2", reason="NUL byte", time="2026-11-26T11:59:00Z"),
    entry("bb", kind="sqs", system="other", origin="jobs", reason="received 5 times"),
    entry("cc", kind="storage", system="", origin="jobs", app="fetcher-dev-1"),
]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(), ["aa-1", "aa-2", "bb", "cc"]),
        (Filter(limit=2), ["aa-1", "aa-2"]),
        (Filter(ids=["aa"]), ["aa-1", "aa-2"]),
        (Filter(ids=["aa-2", "cc"]), ["aa-2", "cc"]),
        (Filter(kinds=["sqs", "storage"]), ["bb", "cc"]),
        (Filter(system="other"), ["bb"]),
        (Filter(origin="job"), ["bb", "cc"]),
        (Filter(app="fetcher"), ["cc"]),
        (Filter(before=NOW - timedelta(minutes=30)), ["aa-1", "bb", "cc"]),
        (Filter(since=NOW - timedelta(hours=1), before=NOW - timedelta(minutes=1)), ["aa-1", "bb", "cc"]),
        (Filter(reason="not json"), ["aa-1", "cc"]),
        (Filter(since=NOW - timedelta(minutes=30)), ["aa-2"]),
        (Filter(kinds=["line"], reason="nul", limit=5), ["aa-2"]),
        (Filter(ids=["zz"]), []),
    ],
)
def test_each_filter_narrows(wanted: Filter, ids: list[str]) -> None:
    assert [one.id for one in wanted.chosen(ENTRIES)] == ids


def test_only_nothing_said_is_everything() -> None:
    assert Filter().everything
    assert not Filter(limit=1).everything
    assert not Filter(reason="x").everything


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - timedelta(hours=2)), ("90s", NOW - timedelta(seconds=90)), ("3d", NOW - timedelta(days=3)),
        ("2026-11-26T10:00", NOW - timedelta(hours=2)), ("2026-11-26T12:00+02:00", NOW - timedelta(hours=2)),
        ("2026-11-26", NOW - timedelta(hours=12)),
    ],
)  # fmt: skip
def test_times(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2w", "-2h", "2026-13-01"])
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="must be like 2h"):
        moment(text, NOW)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain \\ 'text'", "plain \\ 'text'"),
        ("ключ ü", "ключ ü"),
        ("a\nb\x00\x1b[31m", "a\\nb\\x00\\x1b[31m"),
        (b"\xff\xfea", "\\xff\\xfea"),
        ("\u202eabc\ud800", "\\u202eabc\\ud800"),
        ("x" * 5_000, "x" * 200),
        ("to https://a/b?sv=1&sig=abc%2Fdef&x=1", "to https://a/b?sv=1&sig=…&x=1"),
        ("X-Amz-Signature=0123abcd rest", "X-Amz-Signature=… rest"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln and more", "… and more"),
        ("x" * 190 + "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln", "x" * 190 + "…"),
    ],
)
def test_what_is_shown_is_printable_bounded_and_no_secret(text: str | bytes, seen: str) -> None:
    assert shown(text) == seen
