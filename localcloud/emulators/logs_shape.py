"""Data collection rules and what they do to rows: stream declarations, column types, limits.

Documented ("Logs Ingestion API", "Data collection rule structure"): a stream must be declared; columns the stream
does not declare are dropped; 1 MB per call, compressed and uncompressed; values over 64 KB are truncated;
TimeGenerated must reach the table. Our reading, where nothing is said: a value that cannot be read as its column's
type becomes null (numbers in strings are read, dynamic takes anything); a missing or unreadable TimeGenerated is the
time of arrival.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import msgspec

MAX_CALL_BYTES: Final = 1_048_576
MAX_FIELD_BYTES: Final = 65_536
STREAM_TYPES: Final = frozenset({"string", "int", "long", "real", "boolean", "dynamic", "datetime", "guid"})
_SQL_TYPES: Final = {"int": "integer", "long": "integer", "real": "real", "boolean": "integer"}
Row = dict[str, Any]
Reader = Callable[[Any], Any]


class Column(msgspec.Struct, frozen=True):
    """A column of a stream or a table; table types are written `dateTime` there, `datetime` in streams."""

    name: str
    type: str = "string"

    @property
    def sql_type(self) -> str:
        """SQLite's type."""
        return _SQL_TYPES.get(self.type.lower(), "text")


class Rule(msgspec.Struct, frozen=True):
    """A data collection rule: stream → its columns, and stream → [(workspace ARM id, table)]."""

    arm_id: str
    immutable_id: str
    streams: dict[str, list[Column]]
    targets: dict[str, list[tuple[str, str]]]


def read_rule(
    arm_id: str, immutable_id: str, streams: dict[str, Any], flows: list[dict[str, Any]], destinations: dict[str, Any]
) -> Rule:
    """A rule from ARM's own JSON shapes (streamDeclarations, dataFlows, destinations); ValueError for what Azure
    refuses or this cloud cannot do (a transformation other than `source`).
    """
    declared = {
        name: [Column(column["name"], column["type"].lower()) for column in declaration["columns"]]
        for name, declaration in streams.items()
    }
    for name, columns in declared.items():
        _check_stream(arm_id, name, columns)
    workspaces = {item["name"]: item["workspaceResourceId"] for item in destinations.get("logAnalytics", [])}
    targets: dict[str, list[tuple[str, str]]] = {}
    for flow in flows:
        if flow.get("transformKql", "source").strip() != "source":
            raise ValueError(
                f"rule {arm_id}: transformKql must be `source` on the local cloud, got {flow['transformKql']!r}."
            )
        for stream in flow["streams"]:
            if stream not in declared:
                raise ValueError(
                    f"rule {arm_id}: each flow's stream must be declared, got {stream}; "
                    "declare it in streamDeclarations."
                )
            output = flow.get("outputStream") or stream
            table = output.removeprefix("Custom-").removeprefix("Microsoft-")
            for destination in flow["destinations"]:
                if destination not in workspaces:
                    raise ValueError(f"rule {arm_id}: destination {destination} must be among {sorted(workspaces)}.")
                targets.setdefault(stream, []).append((workspaces[destination], table))
    return Rule(arm_id, immutable_id, declared, targets)


def _check_stream(arm_id: str, name: str, columns: list[Column]) -> None:
    for column in columns:
        if column.type not in STREAM_TYPES:
            known = ", ".join(sorted(STREAM_TYPES))
            raise ValueError(
                f"rule {arm_id}: column {name}.{column.name} must have one of the types {known}, got {column.type}."
            )
    if not any(column.name == "TimeGenerated" and column.type == "datetime" for column in columns):
        raise ValueError(
            f"rule {arm_id}: InvalidTransformOutput: stream {name} must declare TimeGenerated of type datetime, got "
            f"{[column.name for column in columns]}; declare it, or nothing sets the table's time."
        )


def readers(columns: list[Column]) -> dict[str, Reader]:
    """Column name → the function that reads a JSON value as the column's type (None when it cannot)."""
    return {column.name: _READERS[column.type.lower()] for column in columns}


def iso(seconds: float) -> str:
    """The form in which times are stored and shown: 2026-01-02T03:04:05.678900Z."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _string(value: Any) -> str | None:
    if isinstance(value, str):
        if len(value) * 4 <= MAX_FIELD_BYTES or len(encoded := value.encode()) <= MAX_FIELD_BYTES:
            return value
        return encoded[:MAX_FIELD_BYTES].decode(errors="ignore")
    if value is None:
        return None
    return _string(msgspec.json.encode(value).decode())


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _real(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return bool(value) if isinstance(value, bool | int) else None


def _moment(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)
    return aware.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _dynamic(value: Any) -> str | None:
    return None if value is None else _string(value)


_READERS: Final[dict[str, Reader]] = {
    "string": _string,
    "guid": _string,
    "int": _whole,
    "long": _whole,
    "real": _real,
    "boolean": _boolean,
    "datetime": _moment,
    "dynamic": _dynamic,
}
