"""The sample job done by hand, straightly, through the client: its figures come out, and the judge agrees."""

from collections import Counter

import msgspec
import pytest

from core.clients.alma import Alma, Page, Ref
from core.clients.faults import Changed, Gone
from core.messages.alma_analytics import Report
from localcloud.outside.alma import sample, truth
from localcloud.outside.alma.meddling import FILE, Meddling
from tests.integration.outside.place import Place

NOTE = "item_data.internal_note_1"


def _read(alma: Alma, report: Report) -> list[dict[str, str | None]]:
    pages = list[Page]()
    while not pages or not pages[-1].finished:
        token, known = (pages[0].token, pages[0].columns) if pages else (None, ())
        pages.append(alma.report_page(path=report.path, limit=report.limit, token=token, known=known))
    return [dict(zip(page.columns, row, strict=True)) for page in pages for row in page.rows]


def _run(place: Place) -> tuple[Counter[str], set[tuple[str, ...]], list[list[str | None]]]:
    alma, job = place.alma(), sample.sample_job()
    assert job.other is not None
    rows = _read(alma, job.report)
    others = {row["Barcode"]: row["Target note"] for row in _read(alma, job.other)}
    came: Counter[str] = Counter()
    listed: set[tuple[str, ...]] = set()
    for row in rows:
        new, shown = others.get(row["Barcode"]), row["Internal Note 1"] or ""
        if new is None or new == shown:
            came["already"] += new is not None
            continue
        ids = tuple(str(row[name]) for name in ("MMS Id", "Holding Id", "Item Id"))
        try:
            document = alma.get(Ref("item", ids))
            if (document.read(NOTE) or "") != shown:
                raise Changed("by somebody")
            document.write(NOTE, new)
            alma.put(Ref("item", ids), document)
        except (Gone, Changed) as error:
            came[type(error).__name__] += 1
            listed.add(ids)
        else:
            came["updated"] += 1
    return came, listed, [list(row.values()) for row in rows]


def test_the_sample_job(place: Place) -> None:
    sample.write(place.alma_folder)
    job, figures = sample.sample_job(), sample.expected()
    before = truth.snapshot(place.alma_folder, job)
    came, listed, rows = _run(place)
    assert came == {"updated": figures.updated, "already": figures.already, "Gone": figures.gone,
                    "Changed": figures.changed_since}  # fmt: skip
    after = truth.snapshot(place.alma_folder, job)
    found = truth.compare(job, before, after, place.journal(), listed=listed, rows=rows)
    assert found.fine, found
    assert (found.updated, found.listed) == (figures.updated, figures.gone + figures.changed_since)
    again, _, _ = _run(place)
    assert again["updated"] == 0
    assert not truth.compare(job, before, after, place.journal()).fine, "listed ones were not said"


@pytest.mark.parametrize("action", ["delete", "change"])
def test_somebody_between_get_and_put(place: Place, action: str) -> None:
    sample.write(place.alma_folder)
    job = sample.sample_job()
    before = truth.snapshot(place.alma_folder, job)
    plan = truth.wanted(before, job)
    ids = next(ids for ids, want in plan.items() if ids[-1] in before.records and not want.shown[NOTE])
    meddling = Meddling(kind="item", id=ids[-1], action=action, field="item_data.public_note", value="x")  # type: ignore[arg-type]
    (place.alma_folder / FILE).write_bytes(msgspec.json.encode([meddling]))
    _, listed, rows = _run(place)
    after = truth.snapshot(place.alma_folder, job)
    found = truth.compare(job, before, after, place.journal(), listed=listed, rows=rows)
    assert found.fine, found
    assert (ids in listed) == (action == "delete")
    (told,) = [one for one in place.journal() if one.operation == "Meddle"]
    assert (told.what, told.code, told.counted) == (f"item {'/'.join(ids)}", action, False)


def test_a_bib_that_somebody_changes_between_get_and_put(place: Place) -> None:
    sample.write(place.alma_folder)
    (name, *_) = place.library.names("bib")
    meddling = Meddling(kind="bib", id=name, action="change", field="900$a", value="theirs")
    (place.alma_folder / FILE).write_bytes(msgspec.json.encode([meddling]))
    alma, ref = place.alma(), Ref("bib", (name,))
    document = alma.get(ref)
    document.write("590$a", "mine")
    with pytest.raises(Changed):
        alma.put(ref, document)
    again = alma.get(ref)
    assert again.read("900$a") == "theirs"
    again.write("590$a", "mine")
    alma.put(ref, again)
