"""alma_analytics as its users see it: the sample job to its letter, again, dry, retried after a fault, in one trace."""

import email
import sys
from collections.abc import Iterator
from email import policy
from typing import Any

import msgspec
import pytest
import yaml

from localcloud.outside.alma.sample import expected, sample_job
from tests.e2e.project import Project

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the local cloud's end-to-end tests run on Linux"),
    pytest.mark.timeout(300),
]
WAIT = ("wait", "--system", "alma_analytics", "--timeout", "120")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("alma") / "project", "alma_analytics")
    try:
        yield project
    finally:
        project.down()


@pytest.fixture(scope="module")
def first(cloud: Project) -> Any:
    """The first `up`'s report, once per module."""
    return cloud.up()


def letters(cloud: Project) -> list[Any]:
    files = sorted((cloud.home / "outside/mail/messages").glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    return [email.message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


def latest(cloud: Project) -> Any:
    return cloud.json("alma", "runs")["runs"][0]


def test_up_runs_the_sample_job_to_its_letter(cloud: Project, first: Any) -> None:
    should = expected()
    left_alone = should.changed_since + should.gone
    report = first["systems"]["alma_analytics"]
    assert (report["state"], report["out"], report["dead"]) == ("idle", should.updated, left_alone)
    (letter,) = letters(cloud)
    assert letter["Subject"] == f"[Alma] {sample_job().name}: {should.updated} of {should.updated + left_alone} updated"
    (table,) = letter.iter_attachments()
    assert len(table.get_content().splitlines()) == 1 + should.updated + left_alone
    run = latest(cloud)
    assert run["state"] == "done"
    shown = cloud.json("alma", "show", run["run_id"], "--records", "failed")
    assert len(shown["records"]) == left_alone
    assert all(one["reason"] for one in shown["records"])


def test_one_trace_leads_from_the_person_to_the_letter(cloud: Project, first: Any) -> None:
    trace = cloud.json("alma", "show", latest(cloud)["run_id"])["run"]["traceparent"].split("-")[1]
    shown = cloud.run("logs", "--trace", trace).stdout
    for step in ("fetch_page", "combine", "cross_reference", "prepare_updates", "update_records", "notify"):
        assert step in shown, shown


def test_a_second_run_changes_nothing_and_a_dry_one_less(cloud: Project, first: Any) -> None:
    told = len(letters(cloud))
    for more in ((), ("--dry-run",)):
        cloud.json("alma", "jobs", "run", sample_job().name, *more)
        assert cloud.run(*WAIT).returncode == 0
        run = latest(cloud)
        assert (run["state"], "updated" in run["counts"]) == ("done", False)
    subjects = [letter["Subject"] for letter in letters(cloud)][told:]
    assert [": 0 of " in subjects[0], ": dry run, " in subjects[1]] == [True, True], subjects


def test_wrong_report_jobs_are_told_all_at_once_and_none_is_applied(cloud: Project, first: Any) -> None:
    before = cloud.json("alma", "jobs", "list")["jobs"]
    file = cloud.root / "jobs.yaml"
    file.write_text(yaml.safe_dump([{"name": "Not A Name", "report": {"path": "/x", "limit": 30}, "recipients": []}]))
    refused = cloud.run("alma", "jobs", "apply", str(file))
    assert refused.returncode == 1
    for field in ("name", "report.limit", "recipients"):
        assert field in refused.stderr
    assert cloud.json("alma", "jobs", "list")["jobs"] == before


def test_a_run_that_stopped_is_told_of_and_goes_on_when_its_report_is_mended(cloud: Project, first: Any) -> None:
    told = len(letters(cloud))
    report = cloud.home / "outside/alma/reports/shared/Millrace/Reports/Shelf audit.csv"
    kept = report.read_text()
    report.write_text(kept.replace("Barcode", "Bar code", 1))
    cloud.json("alma", "jobs", "run", sample_job().name)
    assert cloud.run(*WAIT).returncode == 0
    run = latest(cloud)
    assert run["state"] == "failed"
    assert '"Barcode"' in run["error"]
    assert [letter["Subject"] for letter in letters(cloud)][told:] == [f"[Alma] {sample_job().name}: stopped"]
    report.write_text(kept)
    cloud.json("alma", "retry", run["run_id"])
    assert cloud.run(*WAIT).returncode == 0
    assert latest(cloud)["state"] == "done"
    assert len(letters(cloud)) == told + 2


def test_a_job_is_removed_when_somebody_says_yes(cloud: Project, first: Any) -> None:
    file = cloud.root / "jobs.yaml"
    file.write_text(yaml.safe_dump([msgspec.to_builtins(sample_job()) | {"name": "for-a-day"}]))
    cloud.json("alma", "jobs", "apply", str(file))
    refused = cloud.run("alma", "jobs", "remove", "for-a-day")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert cloud.json("alma", "jobs", "remove", "for-a-day", "--yes") == {"removed": ["for-a-day"]}
    assert [job["name"] for job in cloud.json("alma", "jobs", "list")["jobs"]] == [sample_job().name]
    again = cloud.run("alma", "jobs", "remove", "for-a-day", "--yes")
    assert again.returncode == 1
    assert "must be one that was applied" in again.stderr
