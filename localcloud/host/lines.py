"""Log lines of instances: JSON objects are understood, anything else is kept as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from localcloud.host.spec import LogLine

_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}


def parse_line(app: str, pid: int, text: str, now: float) -> LogLine:
    """The line `text` that process `pid` wrote at `now` (seconds since 1970)."""
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if text.startswith("{"):
        fields = _object(text)
        if fields is not None:
            return LogLine(
                time=str(fields.get("time") or time),
                app=app,
                pid=pid,
                text=text,
                level=str(fields.get("level") or "info"),
                event=str(fields.get("event") or ""),
                function=str(fields.get("function") or ""),
                invocation_id=str(fields.get("invocation_id") or ""),
                fields=fields,
            )
    level = _LEVELS.get(text.partition(" ")[0], "info")
    return LogLine(time=time, app=app, pid=pid, text=text, level=level)


def _object(text: str) -> dict[str, Any] | None:
    try:
        fields: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeEncodeError):
        return None  # a line that only looks like JSON is text
    return fields
