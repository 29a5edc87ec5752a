"""The sample library: the same for a seed, with what its figures say in it, and a person's edits stay."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from core.clients.alma_record import JsonDocument, XmlDocument
from core.messages.alma_analytics import ReportJob
from localcloud.outside.alma import sample, truth
from localcloud.outside.alma.data import Library, json_of
from localcloud.outside.alma.records import updated


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        sample.write(tmp_path / name, seed)
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b") != _bytes(tmp_path / "c")


def test_it_is_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "alma"
    assert sample.write_once(folder)
    (folder / "records/items").joinpath("230000000101.json").write_text("{}")
    assert not sample.write_once(folder)
    assert (folder / "records/items/230000000101.json").read_text() == "{}"
    (folder / "reports").rename(tmp_path / "taken")  # as after a kill half-way
    (tmp_path / ".alma.new/records").mkdir(parents=True)
    assert sample.write_once(folder)
    assert (folder / "records/items/230000000101.json").read_text() == "{}"
    assert _bytes(folder / "reports") == _bytes(tmp_path / "taken")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["alma", "taken"]


def test_the_figures_are_those_of_the_files(tmp_path: Path) -> None:
    sample.write(tmp_path)
    job, figures = sample.sample_job(), sample.expected()
    before = truth.snapshot(tmp_path, job)
    assert (len(before.rows), len(before.other)) == (figures.rows, figures.other_rows)
    barcodes = Counter(row["Barcode"] for row in before.rows)
    assert max(barcodes.values()) == 1
    plan = truth.wanted(before, job)
    field = "item_data.internal_note_1"
    outcomes: Counter[str] = Counter()
    for ids, want in plan.items():
        body = before.records.get(ids[-1])
        now = None if body is None else JsonDocument(body).read(field)
        outcomes["gone" if now is None else "same" if now == want.shown[field] else "changed"] += 1
    assert outcomes == {"gone": figures.gone, "changed": figures.changed_since, "same": figures.updated}
    assert figures.matched == figures.updated + figures.already + figures.changed_since + figures.gone
    assert any(not row["Title"].isascii() for row in before.rows)


def test_its_job_is_one_that_a_person_may_write() -> None:
    job = sample.sample_job()
    assert msgspec.json.decode(msgspec.json.encode(job), type=ReportJob) == job
    assert not job.dry_run


@pytest.mark.parametrize("seed", [7, 8])
def test_every_record_can_be_updated(tmp_path: Path, seed: int) -> None:
    """As it is, it has what its own update demands."""
    sample.write(tmp_path, seed)
    library = Library(tmp_path)
    for name in library.names("item")[::20]:
        body = library.record("item", name) or b""
        record = json_of(body)
        ids = (record["bib_data"]["mms_id"], record["holding_data"]["holding_id"], name)
        after = updated("item", ids, body, body, {}, 0, library)
        assert JsonDocument(after).read("item_data.modification_date") == "1970-01-01Z"
        assert json_of(after)["item_data"].keys() >= record["item_data"].keys()
    for name in library.names("user"):
        body = library.record("user", name) or b""
        assert json_of(updated("user", (name,), body, body, {}, 0, library)) == json_of(body)
    for name in library.names("bib")[::20]:
        body = library.record("bib", name) or b""
        assert XmlDocument(updated("bib", (name,), body, body, {}, 0, library)).read("245$a")
    for name in library.names("holding")[::20]:
        body = library.record("holding", name) or b""
        assert (
            XmlDocument(updated("holding", ("1", name), body, body, {}, 0, library)).read("005") == "19700101000000.0"
        )
