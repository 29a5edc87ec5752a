"""What arrived, held against what was to be ingested: every record, by its id and its text. Not timed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TypedDict

import msgspec

from benchmarks.ingestion.load import Load


class Row(msgspec.Struct):
    """The columns that say which record a row is, and hold its text."""

    Key: str
    Raw_Data: str


class Event(msgspec.Struct):
    """A record's id."""

    id: str = msgspec.field(name="eventId")


class Count(TypedDict):
    """Records; `altered`: rows whose text is not the file's own."""

    records: int
    lost: int
    doubled: int
    altered: int


_rows = msgspec.json.Decoder(list[Row]).decode
_event = msgspec.json.Decoder(Event).decode


def count(load: Load, objects: dict[str, bytes], bodies: Sequence[tuple[bytes, bool]]) -> Count:
    """Reads uploads (body, whether gzip) and counts every record of `load` (`objects`: its files by key)."""
    seen: dict[str, bytearray] = {key: bytearray(load.records) for key in objects}
    texts: dict[str, list[str]] = {}
    altered = doubled = 0
    for body, packed in bodies:
        for row in _rows(zlib.decompress(body, wbits=31) if packed else body):
            file, number = map(int, _event(row.Raw_Data).id.split("-"))
            marks = seen[load.key(file)]
            doubled += marks[number]
            marks[number] = 1
            if row.Key not in texts:
                if len(texts) > load.files // 2 + 64:  # files arrive in order, more or less
                    texts.clear()
                texts[row.Key] = zlib.decompress(objects[row.Key], wbits=31).decode().split("\n")
            altered += row.Key != load.key(file) or texts[row.Key][number] != row.Raw_Data
    arrived = sum(map(sum, seen.values()))
    return Count(records=arrived, lost=load.total - arrived, doubled=doubled, altered=altered)
