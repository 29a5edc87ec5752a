"""A table's columns from the Struct of its rows: the shape is said once, in core.messages."""

import datetime as dt

import msgspec

from components.errors import DeclarationError
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
        type_ = "datetime" if field.encode_name == "TimeGenerated" else _TYPES.get(field.type)
        if type_ is None:
            raise DeclarationError(
                f"{row.__name__}.{field.name}",
                must=f"a column must be one of {', '.join(getattr(known, '__name__', '') for known in _TYPES)}",
                got=field.type,
                change="give the row's field one of these types (a structure goes in as its JSON text)",
            )
        columns[field.encode_name] = type_
    return columns
