"""A table's columns from the Struct of its rows: the shape is said once, in core.messages."""

import datetime as dt

import msgspec

from components.monitoring.log_table import ColumnType

_TYPES: dict[object, ColumnType] = {
    str: "string",
    int: "long",
    float: "real",
    bool: "boolean",
    dt.datetime: "datetime",
}


def columns_of(row: type[msgspec.Struct]) -> dict[str, ColumnType]:
    """Column → type of Azure's collection rules, in the Struct's order; `TimeGenerated` is always a datetime."""
    columns: dict[str, ColumnType] = {}
    for field in msgspec.structs.fields(row):
        columns[field.encode_name] = "datetime" if field.encode_name == "TimeGenerated" else _TYPES[field.type]
    return columns
