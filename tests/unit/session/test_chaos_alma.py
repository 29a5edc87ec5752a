"""What a campaign of alma_analytics calls wrong, and the library that it gives to a run."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from core.alma_analytics import jobs
from core.alma_analytics.reading import Waiting, Whole
from core.clients.alma_record import Document, JsonDocument, XmlDocument
from core.jobs.machine import Run
from core.messages.alma_analytics import Kind
from localcloud.faults.fault import Schedule
from localcloud.outside.alma import journal, truth
from localcloud.outside.alma.campaign import FIELDS, Given, overwritten, write
from localcloud.outside.alma.data import Behaviour, Library
from localcloud.outside.alma.journal import Entry, Journal
from localcloud.outside.alma.meddling import Meddlers
from localcloud.session.chaos_alma import _of_letters, _of_run, _wrong

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def whole(state: str = "done", error: str | None = None, **more: Any) -> Whole:
    told: dict[str, Any] = {"state": state, "slot": NOW, "created_at": NOW, "finished_at": NOW, "error": error}
    run = Run(
        run_id="chaos-1-x", system="alma_analytics", job="chaos-1", trigger="person", params={}, traceparent="",
        parked_until=None, requests=0, counts={}, retries=0, **told,
    )  # fmt: skip
    empty: dict[str, Any] = {"stages": [], "pages": [], "datasets": [], "outcomes": {}, "records": [], "waiting": []}
    return Whole(run=run, **{**empty, **more})


def calm(may_fail: str = "") -> Schedule:
    return Schedule(name="s", faults=[], may_fail=may_fail)


def test_a_run_that_is_done_leaves_nothing_open() -> None:
    assert _of_run(whole(outcomes={"updated": 3, "gone": 1}), calm()) == []
    open_ = whole(outcomes={"updated": 3, "sent": 2}, waiting=[Waiting(queue="api-fetch", messages=1, since=NOW)])
    assert _of_run(open_, calm()) == ["run: 2 records have no outcome", "outbox: 1 messages wait for api-fetch"]
    assert _of_run(whole("running"), calm()) == ["run: running"]


def test_a_run_fails_only_for_the_reason_that_its_schedule_allows() -> None:
    failed = whole("failed", "report x: must have no DOCTYPE, got one")
    assert _of_run(failed, calm("must have no DOCTYPE")) == []
    assert (
        _of_run(failed, calm("token"))
        == _of_run(failed, calm())
        == ["run: failed: report x: must have no DOCTYPE, got one"]
    )


@pytest.mark.parametrize(
    ("state", "outcomes", "subjects", "wrong"),
    [
        ("done", {"updated": 3, "gone": 1}, ["[Alma] chaos-1: 3 of 4 updated"], ""),
        ("done", {}, ["[Alma] chaos-1: nothing to change"], ""),
        ("failed", {}, ["[Alma] chaos-1: stopped"], ""),
        ("done", {"updated": 3}, [], "must be one, got 0"),
        ("done", {"updated": 3}, ["[Alma] chaos-1: 3 of 3 updated"] * 2, "must be one, got 2"),
        ("done", {"updated": 3}, ["[Alma] chaos-1: 2 of 3 updated"], "must say '3 of 3 updated'"),
    ],
)
def test_people_get_one_letter_that_tells_what_happened(
    state: str, outcomes: dict[str, int], subjects: list[str], wrong: str
) -> None:
    (found,) = _of_letters(whole(state, "x" if state == "failed" else None, outcomes=outcomes), subjects) or [""]
    assert bool(found) == bool(wrong)
    assert wrong in found


def test_what_the_truth_finds_is_wrong_and_only_a_failed_run_may_leave_records_as_they_were() -> None:
    found = truth.Findings(lost=["a"], doubled=["b"], wrong=["c"], touched=["d"], overwritten=["e"], rows_missing=1)
    kinds = ["doubled: b", "wrong: c", "touched: d", "overwritten: e", "rows missing: 1"]
    assert _wrong(found, failed=False) == ["lost: a", *kinds]
    assert _wrong(found, failed=True) == kinds


def test_the_library_of_a_run_is_the_one_that_its_schedule_gives(tmp_path: Path) -> None:
    headings = {"Barcode": 'Strich"code', "Target note": "=Größe"}
    given = Given(headings=headings, deleted=2, changed=1, noted=1, audit=Behaviour(repeat_page=2), filler=5)
    job = write(tmp_path, 1, given)
    library = Library(tmp_path)
    audit, remote = (library.report(report.path) for report in (job.report, job.other) if report)
    assert audit is not None and remote is not None  # noqa: PT018
    assert (len(audit.rows), job.report.key, 'Strich"code' in audit.columns) == (85, 'Strich"code', True)
    assert library.behaviour(job.report.path).repeat_page == 2
    assert len(truth.wanted(truth.snapshot(tmp_path, job), job)) == 57
    meddlers = Meddlers(tmp_path, library)
    done = [found.action for name in library.names("item") if (found := meddlers.after_get("item", name))]
    assert sorted(done) == ["change", "change", "delete", "delete"]
    empty = write(tmp_path, 2, Given(empty=True))
    assert truth.wanted(truth.snapshot(tmp_path, empty), empty) == {}
    assert Library(tmp_path).names("item") == []


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_record_has_a_library_and_a_job_that_finds_it(tmp_path: Path, kind: Kind) -> None:
    job = write(tmp_path, 1, Given(kind=kind, changed=3))
    before = truth.snapshot(tmp_path, job)
    plan = truth.wanted(before, job)
    assert len(plan) == (57 if kind == "item" else 62)  # of the others the report does not show what is there
    present = [ids for ids in plan if ids[-1] in before.records]
    assert len(present) == len(plan) - (3 if kind == "item" else 0)
    assert {len(ids) for ids in plan} == {jobs.IDS[kind]}
    assert jobs.validate([msgspec.to_builtins(job)]) == []
    document: Document
    for ids in present:
        body = before.records[ids[-1]]
        document = JsonDocument(body) if kind in {"item", "user"} else XmlDocument(body)
        for field in FIELDS[kind]:
            document.write(field, "anders")
            assert document.read(field) == "anders"


def test_another_seed_is_another_library_and_the_same_colleague_acts_again(tmp_path: Path) -> None:
    library, meddlers = Library(tmp_path), Meddlers(tmp_path, Library(tmp_path))
    for seed in (1, 2):
        job = write(tmp_path, seed, Given(changed=80))
        before = truth.snapshot(tmp_path, job)
        assert all(meddlers.after_get("item", name) for name in library.names("item"))
        body = library.record("item", library.names("item")[0]) or b""
        assert JsonDocument(body).read(FIELDS["item"][1]) == f"von Hand, Seed {seed}"
        assert truth.snapshot(tmp_path, job).records != before.records


def test_a_colleagues_change_of_a_bib_that_is_gone_is_told(tmp_path: Path) -> None:
    write(tmp_path, 1, Given(kind="bib", noted=1))
    library, book = Library(tmp_path), Journal(tmp_path)
    meddlers = Meddlers(tmp_path, library)
    (name,) = [name for name in library.names("bib") if meddlers.after_get("bib", name)]
    assert overwritten(tmp_path) == []  # the journal does not tell of it yet
    book.asked(Entry(n=0, at=0, operation="Meddle", what=f"bib {name}", code="change", status=200, counted=False))
    assert overwritten(tmp_path) == []
    document = XmlDocument(library.record("bib", name) or b"")
    document.write(FIELDS["bib"][0], "ours")
    library.put_record("bib", name, document.encode())
    assert overwritten(tmp_path) == [name]
    assert msgspec.json.decode((tmp_path / journal.FILE).read_bytes())["operation"] == "Meddle"
