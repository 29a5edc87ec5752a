"""A table's columns are the row's fields, in their order, in Azure's words."""

from datetime import datetime

import msgspec
import pytest

from components.errors import DeclarationError
from core.messages.log_ingest import Row
from stacks.columns import columns_of


def test_the_rows_of_log_ingest() -> None:
    assert columns_of(Row) == {
        "TimeGenerated": "datetime",
        "Bucket_Name": "string",
        "Key": "string",
        "Actual_Time": "string",
        "Raw_Data": "string",
        "Record_Id": "string",
        "Part": "long",
        "Parts": "long",
    }
    assert list(columns_of(Row)) == [field.name for field in msgspec.structs.fields(Row)]


def test_every_plain_type_has_azures_word() -> None:
    class Sample(msgspec.Struct):
        TimeGenerated: str
        text: str
        whole: int
        part: float
        yes: bool
        when: datetime

    assert list(columns_of(Sample).values()) == ["datetime", "string", "long", "real", "boolean", "datetime"]


def test_a_type_that_has_none_is_named() -> None:
    class Strange(msgspec.Struct):
        many: list[str]

    message = (
        r"^Strange\.many: a column must be one of str, int, float, bool, datetime, got list\[str\]; give the row's"
    )
    with pytest.raises(DeclarationError, match=message):
        columns_of(Strange)
