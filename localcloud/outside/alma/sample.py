"""The sample library: 600 items under 240 titles, their holdings, some users, two Analytics reports, and the report job
that brings the second report's notes into the items of the first. All of it made up; a seed gives the same bytes.

The reports are a day old, as Analytics always is: meanwhile some items were deleted in Alma, some had their note
changed by hand, some already have the note that the job wants.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from core.messages.alma_analytics import Change, Report, ReportJob, Rule
from localcloud.outside.alma.data import Library, json_bytes
from localcloud.outside.alma.sample_records import PLACES, Item, bib, holding_record, item_record, user

AUDIT: Final = "/shared/Millrace/Reports/Shelf audit"
REMOTE: Final = "/shared/Millrace/Reports/Remote storage"
AUDIT_COLUMNS: Final = ["MMS Id", "Holding Id", "Item Id", "Barcode", "Title", "Location", "Internal Note 1"]
REMOTE_COLUMNS: Final = ["Barcode", "Target location", "Target note"]
USERS: Final = 20
_WORDS = (
    *("Geschichte der Mühlen", "Über Wasser", "Œuvres complètes", "水車の歴史", "Вода и камень", "Ιστορία του νερού"),
    *("Żywioły", "Histoire des canaux", "Ríos y molinos", "تاريخ الماء", "Water & <Stone>", "Å, Ä og Ö"),
)


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    items: int = 600
    titles: int = 240
    moved: int = 200
    """Items of the second report, and of them …"""
    gone: int = 5
    changed: int = 7
    already: int = 11
    strangers: int = 9
    """Its rows of items that the first report does not have."""


FULL: Final = Size()


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the sample job comes to, counted while the sample is made."""

    rows: int
    """Of the shelf audit."""
    other_rows: int
    """Of remote storage …"""
    matched: int
    """… and those whose barcode is in both."""
    updated: int
    """Items that get their note."""
    already: int
    """The report shows that they have it: left out."""
    changed_since: int
    """Somebody else changed the note after the report was made: left alone, listed."""
    gone: int
    """Deleted since: listed."""


def sample_job() -> ReportJob:
    """The report job, as a person would write it."""
    return ReportJob(
        name="remote-storage",
        report=Report(path=AUDIT, limit=100, key="Barcode"),
        other=Report(path=REMOTE, limit=100, key="Barcode"),
        columns=AUDIT_COLUMNS,
        rule=Rule(
            kind="item",
            ids=["MMS Id", "Holding Id", "Item Id"],
            set=[Change(field="item_data.internal_note_1", column="other.Target note", now="Internal Note 1")],
        ),
        recipients=["librarian@example.com"],
    )


def expected(seed: int = 7, size: Size = FULL) -> Expected:
    """The figures of the sample of this seed."""
    items = list(_items(seed, size))
    matched = [one for one in items if one.target]
    wanted = [one for one in matched if one.target and one.noted != one.target[1]]
    return Expected(
        rows=len(items),
        other_rows=len(matched) + size.strangers,
        matched=len(matched),
        already=len(matched) - len(wanted),
        gone=sum(one.gone for one in wanted),
        changed_since=sum(one.note != one.noted and not one.gone for one in wanted),
        updated=sum(one.note == one.noted and not one.gone for one in wanted),
    )


def write_once(folder: Path, seed: int = 7) -> bool:
    """Writes what of the sample is not there, records or reports; a person's edits stay. Answers whether it did."""
    absent = [part for part in ("records", "reports") if not (folder / part).exists()]
    if not absent:
        return False
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
    write(beside, seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part in absent:
        (beside / part).replace(folder / part)
    shutil.rmtree(beside)
    return True


def write(folder: Path, seed: int = 7, size: Size = FULL) -> None:
    """Every file of the sample."""
    library, items = Library(folder), list(_items(seed, size))
    for one in items:
        if not one.gone:
            library.put_record("item", one.pid, json_bytes(item_record(one)))
    for mms, group in _grouped(items, "mms").items():
        library.put_record("bib", mms, bib(mms, group[0].title))
    for holding, group in _grouped(items, "holding").items():
        library.put_record("holding", holding, holding_record(holding, group[0]))
    for number in range(USERS):
        library.put_record("user", f"reader-{number:03d}", json_bytes(user(number)))
    library.put_report(AUDIT, AUDIT_COLUMNS, [_audit_row(one) for one in items])
    library.put_report(REMOTE, REMOTE_COLUMNS, _remote_rows(items, size))


def _items(seed: int, size: Size) -> Iterator[Item]:
    random_ = random.Random(seed)  # noqa: S311 - reproducible sample data
    moved = sorted(random_.sample(range(size.items), size.moved))
    odd = random_.sample(moved, size.gone + size.changed + size.already)
    first = size.gone + size.changed
    gone, changed, already = odd[: size.gone], odd[size.gone : first], odd[first:]
    for number in range(size.items):
        title = number * size.titles // size.items
        place = random_.choice(list(PLACES))
        note = random_.choice(["", "", "", "Rücken lose", "Ex libris fehlt"])
        one = Item(
            number=number,
            mms=f"99{title:06d}0101",
            holding=f"22{title * 4 + list(PLACES).index(place):06d}0101",
            pid=f"23{number:06d}0101",
            barcode=f"B{random_.randrange(10**4):04d}{number:04d}",
            title=f"{_WORDS[title % len(_WORDS)]} {title // len(_WORDS) + 1}",
            place=place,
            noted=note,
            note=note,
        )
        if number in moved:
            shelf = f"{random_.randint(1, 40):02d}/{random_.randint(1, 200):03d}"
            one.target = ("Außenmagazin", f"Außenmagazin Regal {shelf}")
            one.gone = number in gone
            if number in already:
                one.note = one.noted = one.target[1]
            elif number in changed:
                one.note = "Von Hand geändert"
        yield one


def _grouped(items: list[Item], field: str) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for one in items:
        groups.setdefault(getattr(one, field), []).append(one)
    return groups


def _audit_row(one: Item) -> list[str]:
    return [one.mms, one.holding, one.pid, one.barcode, one.title, PLACES[one.place], one.noted]


def _remote_rows(items: list[Item], size: Size) -> list[list[str]]:
    """With some barcodes that the audit does not know, in an order of its own."""
    rows = [[one.barcode, *one.target] for one in items if one.target]
    rows += [[f"X{number:08d}", "Außenmagazin", "unbekannt"] for number in range(size.strangers)]
    return sorted(rows, key=lambda row: row[0][::-1])
