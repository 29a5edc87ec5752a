"""What people see of jobs and runs, and a run that goes on: on real PostgreSQL."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from psycopg.types.json import Jsonb

from core.alma_analytics import jobs, reading, resume, starting
from core.jobs import machine
from localcloud.session.alma import Alma, StoredPage, WrongJobsError, read_jobs
from localcloud.session.local import LocalCloudError
from tests.integration.alma_analytics.queues import TRACE, Queues
from tests.postgres import Database
from tests.unit.alma_analytics.rows import row

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")


class Here:
    """The system as the command line has it, on a test's database."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.queues = Queues(database)
        self.blobs: dict[str, bytes] = {}
        self.alma = Alma(database, self.queues.outbox, self.blobs.get)

    def file(self, *rows: Any) -> Path:
        file = self.folder / "jobs.yaml"
        file.write_bytes(msgspec.yaml.encode(list(rows)))
        return file

    def begun(self, **changes: Any) -> str:
        """A run of one job."""
        self.alma.apply(self.file(row(**changes)))
        return self.alma.run("overdue-items", dry_run=False).run_id


@pytest.fixture
def here(database: Database, tmp_path: Path) -> Here:
    return Here(database, tmp_path)


def test_a_file_of_jobs_is_applied_as_a_whole_or_not_at_all(here: Here) -> None:
    assert here.alma.apply(here.file(row(), row(name="second"))).created == ["overdue-items", "second"]
    with pytest.raises(WrongJobsError, match=r"2 faults, nothing was applied") as error:
        here.alma.apply(here.file(row(enabled=False), row(name="third", schedule="x", recipients=[])))
    assert [(one.row, one.field) for one in error.value.wrong] == [(2, "recipients"), (2, "schedule")]
    assert [(one.name, one.enabled, one.last_run) for one in here.alma.jobs()] == [
        ("overdue-items", True, None),
        ("second", True, None),
    ]
    done = here.alma.apply(here.file(row(), row(name="second", enabled=False)))
    assert (done.created, done.changed, done.unchanged) == ([], ["second"], ["overdue-items"])
    assert here.alma.jobs()[1].next_slot is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a list of report jobs, or one job, got NoneType"),
        ("5", "got int"),
        ("[]", "got list"),
        ("- name: [", "must be YAML or JSON, got"),
        ("- name: a\n  name: b", "key 'name' stands twice"),
        ('{"name": "a", "name": "b"}', "key 'name' stands twice"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(text)
    with pytest.raises(LocalCloudError, match=message):
        read_jobs(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("- name: Größe".encode("latin-1"))
    for name, got in (("none.yaml", "No such file"), (".", "Is a directory"), ("latin.yaml", "utf-8")):
        with pytest.raises(LocalCloudError, match=got):
            read_jobs(tmp_path / name)


def test_a_person_begins_a_run_that_updates_nothing(here: Here) -> None:
    here.alma.apply(here.file(row()))
    begun = here.alma.run("overdue-items", dry_run=True)
    assert begun.run_id.startswith("overdue-items-")
    assert begun.run_id.endswith("Z-manual")
    shown = here.alma.show(begun.run_id, which="all")
    assert (shown.run.trigger, shown.run.params["dry_run"]) == ("person", True)
    assert [stage.stage for stage in shown.stages] == ["fetch-main", "fetch-other"]
    assert len(here.queues["api-fetch"].ids) == 2
    assert [job.last_run for job in here.alma.jobs()] == [begun.run_id]
    with pytest.raises(LocalCloudError, match="job 'unknown': must be one that was applied"):
        here.alma.run("unknown", dry_run=False)


def test_a_job_has_one_run_at_a_time(here: Here) -> None:
    run_id = here.begun(schedule="* * * * *")
    with pytest.raises(LocalCloudError, match=rf"must have no run under way, {run_id} is running, begun 20") as refused:
        here.alma.run("overdue-items", dry_run=True)
    assert f"./millrace alma retry {run_id}" in str(refused.value)
    with here.database.transaction() as tx:
        tx.execute("update alma.report_job set next_slot = now() - interval '1 minute'")
        assert [job.waits_for for job in reading.jobs(tx)] == [run_id]
        machine.fail(tx, run_id, "no such report")
        assert [job.waits_for for job in reading.jobs(tx)] == [None]
        job = jobs.find(tx, "overdue-items")
        assert job is not None
        starting.begin(tx, here.queues.outbox, job, run_id="the-second", slot=datetime.now(UTC), trigger="person",
                       traceparent=TRACE)  # fmt: skip
    with pytest.raises(LocalCloudError, match="the only run of overdue-items that is not over, the-second is running"):
        here.alma.retry(run_id)
    assert here.alma.show(run_id, which="all").run.state == "failed"


def test_jobs_are_removed_all_or_none_and_their_runs_stay(here: Here) -> None:
    here.alma.apply(here.file(row(), row(name="second"), row(name="third")))
    run_id = here.alma.run("second", dry_run=False).run_id
    for names, got in (
        (["third", "overdue-item"], "job 'overdue-item': must be one that was applied"),
        (["third", "second"], f"job 'second': must have no run under way, {run_id} is running"),
    ):
        with pytest.raises(LocalCloudError, match=got):
            here.alma.remove(names)
    assert len(here.alma.jobs()) == 3
    with here.database.transaction() as tx:
        machine.finish(tx, run_id)
    assert here.alma.remove(["third", "second", "third"]).removed == ["third", "second"]
    assert [job.name for job in here.alma.jobs()] == ["overdue-items"]
    assert here.alma.show(run_id, which="all").run.job == "second"


def test_runs_are_listed_by_job_and_state(here: Here) -> None:
    run_id = here.begun()
    assert [run.run_id for run in here.alma.runs(job=None, state=None, limit=9)] == [run_id]
    assert here.alma.runs(job="other", state=None, limit=9) == []
    assert here.alma.runs(job="overdue-items", state="failed", limit=9) == []


def test_pages_and_records_are_shown_with_what_was_and_what_is(here: Here) -> None:
    run_id = here.begun()
    with here.database.transaction() as tx:
        for round_, page in ((1, 1), (1, 2), (2, 1)):
            blob = f"{run_id}/main/{round_}/{page}"
            tx.execute(
                "insert into alma.page (run_id, side, round, page, rows, columns, digest, blob) values"
                " (%s, 'main', %s, %s, 1, '{Titel,Jahr}', 'x', %s)",
                [run_id, round_, page, blob],
            )
        states = ["updated", "refused", "pending", "conflict", "unchanged"]
        for number, state in enumerate(states):
            tx.execute(
                "insert into alma.record (run_id, position, batch, kind, ids, before, after, state, reason)"
                " values (%s, %s, 0, 'bib', %s, %s, %s, %s, 'why')",
                [run_id, number, [str(number)], Jsonb({"590$a": None}), Jsonb({"590$a": "neu"}), state],
            )
    shown = here.alma.show(run_id, which="all")
    assert [(page.round, page.page) for page in shown.pages] == [(2, 1)]
    assert shown.outcomes == dict.fromkeys(sorted(states), 1)
    assert [one.state for one in shown.records] == states
    assert [one.state for one in here.alma.show(run_id, which="failed").records] == ["refused", "conflict"]
    assert [one.state for one in here.alma.show(run_id, which="changed").records] == ["updated"]
    first = shown.records[0]
    assert (first.ids, first.before, first.after, first.reason) == (["0"], {"590$a": None}, {"590$a": "neu"}, "why")


def test_a_pages_rows_are_read_from_its_blob(here: Here) -> None:
    import gzip

    run_id = here.begun()
    with here.database.transaction() as tx:
        tx.execute(
            "insert into alma.page (run_id, side, round, page, rows, columns, digest, blob)"
            " values (%s, 'main', 1, 1, 2, '{a,b}', 'x', 'the-blob')",
            [run_id],
        )
    with pytest.raises(LocalCloudError, match="its blob was cleaned up"):
        here.alma.page(run_id, 1, "main")
    here.blobs["the-blob"] = gzip.compress(
        msgspec.json.encode(StoredPage(columns=["a", "b"], values=[["1", "2"], ["x", None]]))
    )
    assert here.alma.page(run_id, 1, "main").rows() == [["1", "x"], ["2", None]]
    with pytest.raises(LocalCloudError, match="page must be one of its 1 of side main, got 2"):
        here.alma.page(run_id, 2, "main")


def test_an_unknown_run_is_refused(here: Here) -> None:
    with pytest.raises(LocalCloudError, match="run 'x': must be one that was started"):
        here.alma.show("x", which="all")
    with pytest.raises(LocalCloudError, match="run 'x': must be one that was started"):
        here.alma.retry("x")


def test_a_failed_fetch_begins_anew_and_its_people_will_be_told_again(here: Here) -> None:
    run_id = here.begun(other=None, rule=None, report={"path": "/a"})
    with here.database.transaction() as tx:
        tx.execute(
            "insert into alma.fetch (run_id, side, round, next_page, token, calling, tries)"
            " values (%s, 'main', 2, 5, 'token', true, 7)",
            [run_id],
        )
        machine.fail(tx, run_id, "8 tries")
        machine.open_stage(tx, run_id, "notify", ["1"])
        machine.finish_task(tx, run_id, "notify", "1")
    here.alma.retry(run_id)
    with here.database.transaction() as tx:
        run, stages = machine.find(tx, run_id), machine.stages(tx, run_id)
        fetch = tx.execute("select round, next_page, token, calling, tries from alma.fetch").fetchone()
        assert machine.begin_task(tx, run_id, "fetch-main", "1") is not None
    assert run is not None
    assert (run.state, run.retries, run.error) == ("running", 1, None)
    assert [(stage.stage, stage.state, stage.sealed) for stage in stages] == [("fetch-main", "open", False)]
    assert fetch == {"round": 3, "next_page": 1, "token": None, "calling": False, "tries": 0}
    again = {"run_id": run_id, "side": "main", "round": 3, "page": 1}
    assert here.queues.said()[-1] == ("api-fetch", again)
    assert here.queues["api-fetch"].ids[-1] == f"{run_id}/main/3/1/retry-1"


def test_a_retry_that_cannot_be_changes_nothing(here: Here) -> None:
    run_id = here.begun()
    with here.database.transaction() as tx:
        machine.finish(tx, run_id)
    with pytest.raises(LocalCloudError, match="is done; a new run of overdue-items"):
        here.alma.retry(run_id)
    assert here.alma.show(run_id, which="all").run.state == "done"


def test_a_parked_run_goes_on_with_its_open_batches(here: Here) -> None:
    run_id = here.begun()
    with here.database.transaction() as tx:
        tx.execute("insert into alma.fetch (run_id, side) values (%(r)s, 'main'), (%(r)s, 'other')", {"r": run_id})
        for stage, tasks in (("combine", ["main", "other"]), ("cross-reference", ["1"]), ("prepare", ["1"])):
            machine.open_stage(tx, run_id, stage, tasks)
            for task in tasks:
                machine.finish_task(tx, run_id, stage, task)
        machine.open_stage(tx, run_id, "update", ["0", "1"])
        machine.finish_task(tx, run_id, "update", "0")
        machine.park(tx, run_id, datetime.now(UTC) + timedelta(hours=5), "DAILY_THRESHOLD")
    assert here.alma.retry(run_id).messages == ["alma-update: update-1/retry-1"]
    shown = here.alma.show(run_id, which="all")
    assert (shown.run.state, shown.run.retries) == ("running", 0)


def test_reading_needs_the_run_to_be_of_this_system(here: Here) -> None:
    with here.database.transaction() as tx:
        machine.start(tx, run_id="else", system="geospatial", job="j", slot=datetime.now(UTC), trigger="x", params={},
                      traceparent=TRACE)  # fmt: skip
        assert reading.whole(tx, "else") is None
        assert reading.runs(tx) == []
        with pytest.raises(resume.NotResumable):
            resume.resume(tx, here.queues.outbox, "else", traceparent=TRACE)
