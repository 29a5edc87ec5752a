"""A report job as a file has it."""

from typing import Any


def row(**changes: Any) -> dict[str, Any]:
    """A job that joins two reports and sets one field of items; `None` removes a field."""
    whole: dict[str, Any] = {
        "name": "overdue-items",
        "report": {"path": "/shared/Library/Reports/Overdue items", "key": "Barcode"},
        "other": {"path": "/shared/Library/Reports/Loans", "limit": 500, "key": "Item barcode"},
        "schedule": "30 2 * * *",
        "time_zone": "Europe/Berlin",
        "rule": {
            "kind": "item",
            "ids": ["MMS Id", "Holding Id", "Physical Item Id"],
            "set": [{"field": "item_data.internal_note_1", "column": "other.Due date", "now": "Internal note 1"}],
        },
        "recipients": ["library@example.org"],
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}
