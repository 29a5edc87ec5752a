"""What one run of a campaign finds in Alma: a small library of its seed, and what a schedule says is odd about it."""

import random
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from core.alma_analytics.jobs import IDS
from core.clients.alma_record import XmlDocument
from core.messages.alma_analytics import Kind, ReportJob
from localcloud.outside.alma import journal, meddling, sample
from localcloud.outside.alma.data import Behaviour, Library, json_bytes
from localcloud.outside.alma.meddling import Meddling
from localcloud.outside.alma.sample_records import user

FIELDS: Final[dict[Kind, tuple[str, str]]] = {
    "item": ("item_data.internal_note_1", "item_data.internal_note_2"),
    "bib": ("900$a", "264$b"),
    "holding": ("852$z", "852$h"),
    "user": ("pref_first_name", "job_description"),
}
"""By kind: the field that the job sets (of a user one that Alma changes only when `override` names it), and another."""
SIZE: Final = sample.Size(items=80, titles=30, moved=62, gone=3, changed=4, already=5)
"""57 records in two batches, seven pages."""
NOTHING: Final = sample.Size(items=0, titles=1, moved=0, gone=0, changed=0, already=0, strangers=0)

Count = Annotated[int, Meta(ge=0)]


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`given` of a schedule of alma_analytics."""

    kind: Kind = "item"
    """What the job updates. Alma refuses a bib that was changed since it was read; of items it does not know."""
    audit: Behaviour = Behaviour()
    """What is odd about the job's own report …"""
    remote: Behaviour = Behaviour()
    """… and about the second one."""
    headings: dict[str, str] = {}
    """Headings of both reports → other ones, which the job names too."""
    empty: bool = False
    """Both reports have no rows."""
    filler: Count = 0
    """Rows more in the job's own report, of items that the second one does not have."""
    limit: Annotated[int, Meta(ge=25, le=1000, multiple_of=25)] = 25
    """Rows a page."""
    deleted: Count = 0
    """Records that somebody deletes between a GET and its PUT."""
    changed: Count = 0
    """Records in which somebody changes another field meanwhile …"""
    noted: Count = 0
    """… or the very field that the job sets."""
    latency_ms: Annotated[float, Meta(ge=0, le=1000)] = 0
    per_second: Count = 0
    """Requests a second that Alma takes; 0: any number."""
    day_left: Count | None = None
    """Requests that the day has left when the run begins."""


def write(folder: Path, seed: int, given: Given) -> ReportJob:
    """A library of this seed alone, in the place of the last one; answers the job that goes with it."""
    for part in ("records", "reports"):
        rmtree(folder / part, ignore_errors=True)
    (folder / journal.FILE).unlink(missing_ok=True)
    size = SIZE if given.kind == "item" else msgspec.structs.replace(SIZE, titles=SIZE.items)
    sample.write(folder, seed, NOTHING if given.empty else size)
    library = Library(folder)
    if given.kind == "user":
        _about_users(library)
    _rewrite(library, sample.AUDIT, given.headings, given.audit, _filler(given.filler))
    _rewrite(library, sample.REMOTE, given.headings, given.remote, [])
    (folder / meddling.FILE).write_bytes(msgspec.json.encode(_meddling(library, seed, given)))
    return _job(seed, given)


def _rewrite(
    library: Library, path: str, headings: Mapping[str, str], behaviour: Behaviour, more: list[list[str]]
) -> None:
    report = library.report(path)
    assert report is not None  # noqa: S101 - just written
    library.put_report(path, [headings.get(one, one) for one in report.columns], report.rows + more, behaviour)


def _about_users(library: Library) -> None:
    """Each row of the job's own report names a reader, where it names a title otherwise."""
    report = library.report(sample.AUDIT)
    assert report is not None  # noqa: S101 - just written
    for number, row in enumerate(report.rows):
        row[0] = f"reader-{number:03d}"
        library.put_record("user", row[0], json_bytes(user(number)))
    library.put_report(sample.AUDIT, report.columns, report.rows)


def _filler(count: int) -> list[list[str]]:
    return [["99", "22", f"23{number}", f"F{number:08d}", "Über Wasser", "Stacks", ""] for number in range(count)]


def _meddling(library: Library, seed: int, given: Given) -> list[Meddling]:
    """Each happens once in the stand-in's life, so that its value names the seed."""
    names = library.names(given.kind)
    field, other = FIELDS[given.kind]
    chosen = iter(random.Random(seed).sample(names, len(names)))  # noqa: S311 - reproducible data
    done = [("delete", field)] * given.deleted + [("change", other)] * given.changed + [("change", field)] * given.noted
    return [
        Meddling(kind=given.kind, id=name, action="delete" if action == "delete" else "change", field=what,
                 value=f"von Hand, Seed {seed}")
        for (action, what), name in zip(done, chosen, strict=False)
    ]  # fmt: skip


def overwritten(folder: Path) -> list[str]:
    """Bibs in which a colleague's change is not there any more, though Alma itself would have refused to lose it."""
    library = Library(folder)
    happened = {entry.what for entry in journal.read(folder) if entry.operation == "Meddle" and entry.code == "change"}
    lost = []
    for one in msgspec.json.decode((folder / meddling.FILE).read_bytes(), type=list[Meddling]):
        body = library.record("bib", one.id)
        if one.kind == "bib" and f"bib {one.id}" in happened and body is not None:
            values = XmlDocument(body).read(one.field)
            lost += [one.id] if values != one.value else []
    return lost


def _job(seed: int, given: Given) -> ReportJob:
    """The sample's job, as a person would write it for these headings."""
    job = msgspec.to_builtins(sample.sample_job())
    job["name"] = f"chaos-{seed}"
    names = given.headings

    def named(column: str) -> str:
        side, dot, heading = column.rpartition("other.")
        return f"{side}{dot}{names.get(heading, heading)}"

    for side in ("report", "other"):
        job[side] |= {"limit": given.limit, "key": named(job[side]["key"])}
    job["columns"] = [named(one) for one in job["columns"]]
    rule = job["rule"]
    rule["ids"] = [named(one) for one in rule["ids"]]
    for change in rule["set"]:
        change |= {"column": named(change["column"]), "now": named(change["now"])}
    if given.kind != "item":  # the report does not show what the others hold
        change = {"field": FIELDS[given.kind][0], "column": rule["set"][0]["column"]}
        rule |= {"kind": given.kind, "ids": rule["ids"][: IDS[given.kind]], "set": [change]}
    return msgspec.convert(job, ReportJob)
