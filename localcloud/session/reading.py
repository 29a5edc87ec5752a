"""Reads the log lines that the supervisor's logbook keeps, while it may be writing them."""

import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from localcloud.host.spec import LogLine
from localcloud.session.plain import plain

POLL_S = 0.2
KNOWN = {
    *("time", "level", "event", "function", "invocation_id", "message"),
    *("trace_id", "span_id", "parent_id", "started"),
}
_TRACE_DIGITS = 8  # of a trace's id: enough to ask for it


def is_idle(line: LogLine) -> bool:
    """Whether the line says only that a run found nothing to do."""
    fields = line.fields or {}
    counts = fields.get("counts")
    quiet = isinstance(counts, dict) and not any(counts.values())
    return line.event == "invocation" and fields.get("outcome") == "done" and quiet


def last_lines(folder: Path, app: str, count: int, *, idle: bool) -> list[LogLine]:
    """The last lines of every app whose name begins with `app`, oldest first; without idle runs unless asked."""
    found: list[LogLine] = []
    for file in sorted(folder.glob(f"{app}*.jsonl")):
        lines = (line for raw in file.read_bytes().splitlines() if (line := read_line(raw)))
        found += [line for line in lines if idle or not is_idle(line)][-count:]
    return sorted(found, key=lambda line: line.time)[-count:] if count else []


def follow_lines(folder: Path, app: str) -> Iterator[LogLine]:
    """Lines as they come, until the caller stops."""
    ends = {file: file.stat().st_size for file in folder.glob(f"{app}*.jsonl")}
    while True:
        for file in folder.glob(f"{app}*.jsonl"):
            start, size = ends.get(file, 0), file.stat().st_size
            with file.open("rb") as opened:
                opened.seek(start if size >= start else 0)
                for raw in opened:
                    if not raw.endswith(b"\n"):
                        break
                    start += len(raw)
                    line = read_line(raw)
                    if line:
                        yield line
            ends[file] = start if size >= start else 0
        time.sleep(POLL_S)


def one_line(line: LogLine) -> str:
    """A line for people: time, app, level, event, the rest as key=value."""
    fields = line.fields or {}
    head = f"{line.time[:23]} {line.app} {line.level:<7}"
    if not fields:
        return plain(f"{head} {line.text}")
    trace = f" trace={str(fields['trace_id'])[:_TRACE_DIGITS]}" if fields.get("trace_id") else ""
    said = f"{line.event or fields.get('message', '')} {fields_text(line)}"
    return plain(f"{head} {line.function or '-'} {said}{trace if line.event == 'invocation' else ''}")


def fields_text(line: LogLine, *, without: Collection[str] = ()) -> str:
    """What a line says besides its names: key=value."""
    found = {key: value for key, value in (line.fields or {}).items() if key not in KNOWN and key not in without}
    return " ".join(f"{key}={_short(value)}" for key, value in found.items() if value is not None)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else text[:200] + "…"


def read_line(raw: bytes) -> LogLine | None:
    """A line of a logbook, None for half of one."""
    try:
        return msgspec.json.decode(raw, type=LogLine)
    except msgspec.MsgspecError:
        return None  # the last line may be half-written
