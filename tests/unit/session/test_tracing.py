"""A trace as people see it: which invocation sent which, when, for how long; whatever order the lines came in."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from localcloud.host.lines import parse_line
from localcloud.host.spec import LogLine
from localcloud.session.local import LocalCloudError
from localcloud.session.tracing import Span, find_trace, shown

TRACE, OTHER = "0af7651916cd43dd8448eb211c80319c", "0af7" + "b" * 28


def at(seconds: float) -> str:
    return f"2026-11-26T10:00:{seconds:06.3f}Z"


class Book:
    """Log files like those of the supervisor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, app: str, line: LogLine, *, older: bool = False) -> None:
        with (self.folder / f"{app}{'.1' if older else ''}.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")

    def say(self, app: str, invocation: str, moment: float, event: str, *, older: bool = False, **more: Any) -> None:
        fields = {"time": at(moment), "level": "info", "event": event, "function": "step", "invocation_id": invocation}
        self.add(app, parse_line(app, 1, json.dumps({**fields, "trace_id": TRACE, **more}), 0), older=older)

    def end(self, app: str, invocation: str, began: float, seconds: float, parent: str, **more: Any) -> None:
        told: dict[str, Any] = {
            "span_id": f"s-{invocation}",
            "parent_id": parent,
            "started": at(began),
            "seconds": seconds,
        }
        self.say(app, invocation, began + seconds, "invocation", **{**told, "outcome": "done", **more})


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def names(spans: list[Span]) -> list[tuple[int, str, str]]:
    return [(span.depth, span.app, span.invocation_id) for span in spans]


def test_who_sent_whom_over_apps_with_times(book: Book) -> None:
    ends = [
        ("scheduler", "a", 1.0, 0.5, "the-host"),
        ("fetcher", "b", 2.0, 1.0, "s-a"),
        ("fetcher", "c", 3.5, 0.25, "s-b"),
        ("notifier", "d", 2.5, 7.0, "s-a"),
    ]
    random.Random(3).shuffle(ends)
    for one in ends:
        book.end(*one)
    book.say("fetcher", "b", 2.25, "page", older=True, rows=7)
    found = find_trace(book.folder, TRACE)
    assert names(found.spans) == [(0, "scheduler", "a"), (1, "fetcher", "b"), (2, "fetcher", "c"), (1, "notifier", "d")]
    assert [(span.offset_s, span.seconds) for span in found.spans] == [(0, 0.5), (1, 1.0), (2.5, 0.25), (1.5, 7.0)]
    assert (found.started, found.seconds) == (at(1.0), 8.5)
    text = list(shown(found))
    assert text[0] == f"trace {TRACE}  {at(1.0)}  4 invocations in 3 apps, 8.500 s"
    assert text[1].split() == ["+0.000s", "0.500s", "scheduler", "step", "done"]
    assert text[3].split() == ["+1.250s", "·", "info", "page", "rows=7"]


def test_what_did_not_end_and_what_the_host_said_of_it_are_shown(book: Book) -> None:
    book.say("fetcher", "b", 2.0, "page")
    said = msgspec.structs.replace(
        parse_line("fetcher", 0, "time limit reached", 0), time=at(9.0), event="host", invocation_id="b"
    )
    book.add("fetcher", said)
    (span,) = find_trace(book.folder, TRACE).spans
    assert (span.outcome, span.seconds, [line.event for line in span.lines]) == ("no end seen", None, ["page", "host"])
    assert any("time limit reached" in line for line in shown(find_trace(book.folder, TRACE)))


def test_a_ring_of_parents_ends_and_is_shown(book: Book) -> None:
    book.end("x", "a", 1.0, 1, "s-b")
    book.end("x", "b", 2.0, 1, "s-a")
    assert {span.invocation_id for span in find_trace(book.folder, TRACE).spans} == {"a", "b"}


def test_the_beginning_of_an_id_is_enough_when_it_names_one(book: Book) -> None:
    book.end("x", "a", 1.0, 1, "")
    book.end("x", "o", 1.0, 1, "", trace_id=OTHER)
    for wanted in (TRACE, TRACE[:6].upper(), f"00-{TRACE}-b7ad6b7169203331-01"):
        assert find_trace(book.folder, wanted).trace_id == TRACE
    with pytest.raises(LocalCloudError, match=f"must name one, got 2: {TRACE}, {OTHER}"):
        find_trace(book.folder, "0af7")
    with pytest.raises(LocalCloudError, match="got no line of it"):
        find_trace(book.folder, "ffff")
    for wrong in ("", "xyz", "0" * 33):
        with pytest.raises(LocalCloudError, match="must be a trace id"):
            find_trace(book.folder, wrong)


def test_a_line_cannot_draw_on_the_terminal(book: Book) -> None:
    book.end("x", "a", 1.0, 1, "", reason="\x1b[2J\nforged")
    assert all(char.isprintable() for line in shown(find_trace(book.folder, TRACE)) for char in line)
