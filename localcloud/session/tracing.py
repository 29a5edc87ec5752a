"""One trace out of the logs of every app: which invocation sent which, when each began and how long it took."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from localcloud.host.spec import LogLine
from localcloud.session.local import LocalCloudError
from localcloud.session.plain import plain
from localcloud.session.reading import fields_text, read_line

_ID = re.compile(r"(?:00-)?([0-9a-f]{1,32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?")
_SHOWN = 5
_WIDTH = 44  # characters of the tree's own column


class Span(msgspec.Struct, kw_only=True):
    """One invocation."""

    span_id: str
    """"" while it has not ended: only its last line says."""
    parent_id: str
    app: str
    function: str
    invocation_id: str
    started: str
    offset_s: float
    """After the trace's beginning."""
    seconds: float | None
    outcome: str
    depth: int = 0
    """In the tree: 0 begins a trace."""
    lines: list[LogLine] = []
    """Everything that it wrote, oldest first."""


class Trace(msgspec.Struct, kw_only=True):
    """`./millrace logs --trace ID --json`; spans in the order of the tree."""

    trace_id: str
    started: str
    seconds: float
    """From the first moment to the last."""
    spans: list[Span]


def find_trace(folder: Path, wanted: str) -> Trace:
    """The trace whose id is, or begins with, `wanted` (a whole traceparent will do). Raises LocalCloudError."""
    match = _ID.fullmatch(wanted.strip().lower())
    if match is None:
        raise LocalCloudError(
            f"trace {wanted!r}: must be a trace id (32 hex digits) or its beginning; see ./millrace logs"
        )
    begin, lines = match[1], list(_lines(folder))
    mine = [line for line in lines if str((line.fields or {}).get("trace_id", "")).startswith(begin)]
    found = sorted({str((line.fields or {})["trace_id"]) for line in mine})
    if not found:
        raise LocalCloudError(f"trace {wanted!r}: must be in the logs, got no line of it; ./millrace logs shows traces")
    if len(found) > 1:
        some = ", ".join(found[:_SHOWN])
        raise LocalCloudError(f"trace {wanted!r}: must name one, got {len(found)}: {some} …; write more of its id")
    invocations: dict[str, list[LogLine]] = {}
    for line in mine:
        invocations.setdefault(line.invocation_id, [])
    for line in lines:  # the host's own words about an invocation know no trace
        if line.invocation_id in invocations:
            invocations[line.invocation_id].append(line)
    return _trace(found[0], invocations)


def _lines(folder: Path) -> Iterator[LogLine]:
    """Every line that is kept, of every app, oldest first within each."""
    for file in sorted(folder.glob("*.jsonl"), key=lambda file: (file.name.split(".")[0], ".1." not in file.name)):
        for raw in file.read_bytes().splitlines():
            line = read_line(raw)
            if line is not None:
                yield line


def _trace(trace_id: str, invocations: dict[str, list[LogLine]]) -> Trace:
    spans = [_span(lines) for lines in invocations.values()]
    began = min(_moment(span.started) for span in spans)
    ends = [_moment(line.time) for span in spans for line in span.lines]
    for span in spans:
        span.offset_s = round((_moment(span.started) - began).total_seconds(), 3)
        ends.append(_moment(span.started))
    return Trace(
        trace_id=trace_id, started=min(span.started for span in spans),
        seconds=round((max(ends) - began).total_seconds(), 3), spans=_tree(spans),
    )  # fmt: skip


def _span(lines: list[LogLine]) -> Span:
    lines = sorted(lines, key=lambda line: line.time)
    last = next((line for line in reversed(lines) if line.event == "invocation"), None)
    fields = (last.fields if last else None) or {}
    named = next((line for line in lines if line.function), lines[0])
    return Span(
        span_id=str(fields.get("span_id", "")), parent_id=str(fields.get("parent_id", "")), app=named.app,
        function=named.function, invocation_id=named.invocation_id,
        started=str(fields.get("started") or lines[0].time), offset_s=0, seconds=fields.get("seconds"),
        outcome=str(fields.get("outcome", "no end seen")), lines=lines,
    )  # fmt: skip


def _tree(spans: list[Span]) -> list[Span]:
    """Children behind their parent, each by the time it began."""
    known = {span.span_id for span in spans} - {""}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.started):
        above = span.parent_id if span.parent_id in known and span.parent_id != span.span_id else ""
        children.setdefault(above, []).append(span)
    ordered: list[Span] = []
    left = [(span, 0) for span in reversed(children.pop("", []))]
    while left:
        span, span.depth = left.pop()
        ordered.append(span)
        left += [(child, span.depth + 1) for child in reversed(children.pop(span.span_id, []))]
    return ordered + [span for some in children.values() for span in some]  # a ring of parents: shown nevertheless


def shown(trace: Trace) -> Iterator[str]:
    """The tree for people, a line for each invocation and each of its lines."""
    apps = len({span.app for span in trace.spans})
    count = (
        f"{len(trace.spans)} invocation{'' if len(trace.spans) == 1 else 's'} in {apps} app{'' if apps == 1 else 's'}"
    )
    yield f"trace {trace.trace_id}  {trace.started}  {count}, {trace.seconds:.3f} s"
    for span in trace.spans:
        name = f"{'  ' * span.depth}{span.app} {span.function}"
        took = "         " if span.seconds is None else f"{span.seconds:8.3f}s"
        last = next((line for line in reversed(span.lines) if line.event == "invocation"), None)
        rest = fields_text(last, without=("outcome", "seconds")) if last else ""
        yield plain(f"{span.offset_s:+9.3f}s {took}  {name:<{_WIDTH}} {span.outcome} {rest}".rstrip())
        for line in span.lines:
            if line.event != "invocation":
                offset = (_moment(line.time) - _moment(trace.started)).total_seconds()
                said = f"{line.event} {fields_text(line)}" if line.fields else line.text
                yield plain(f"{offset:+9.3f}s            {'  ' * span.depth}  · {line.level} {said}".rstrip())


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
