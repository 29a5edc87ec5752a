"""Structured log lines: one JSON object a line on the logger `millrace`.

On Azure the worker's own root handler carries them to Application Insights; where no handler exists
(the local host, a plain interpreter) they go to stdout.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

_logger = logging.getLogger("millrace")
_encode = msgspec.json.Encoder(enc_hook=str, order=None).encode


class _Stdout(logging.Handler):
    """Writes to whatever sys.stdout is at that moment, one whole line in one call."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stdout.write(record.getMessage() + "\n")
        sys.stdout.flush()


def now() -> str:
    """The time as lines give it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def start() -> None:
    """Makes the logger speak at INFO; adds stdout only where nobody else would carry the lines. Repeatable."""
    _logger.setLevel(logging.INFO)
    if not _logger.handlers and not logging.getLogger().handlers:
        _logger.addHandler(_Stdout())
        _logger.propagate = False


class Log:
    """Writes lines that carry the invocation's names."""

    def __init__(self, *, function: str = "", invocation_id: str = "", trace_id: str = "") -> None:
        self._names = {"function": function, "invocation_id": invocation_id, "trace_id": trace_id}

    def info(self, event: str, **fields: Any) -> None:
        """A normal step."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something a reader should know; the work goes on."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Work failed."""
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        line = {"time": now(), "level": logging.getLevelName(level).lower(), "event": event, **self._names, **fields}
        _logger.log(level, "%s", _encode(line).decode())
