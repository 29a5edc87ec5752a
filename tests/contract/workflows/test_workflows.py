"""The workflows: nothing that moves under us, no more rights than needed, no text of others in a script."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WRITES = {("review.yml", "comment", "pull-requests"), ("deploy-dev.yml", "up", "id-token")}


def load(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text())
    return loaded


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in load(file)["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert [file.name for file in FILES] == ["deploy-dev.yml", "review.yml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_by_commit_and_says_its_version(file: Path) -> None:
    used = re.findall(r"uses:(.*)", file.read_text())
    assert used
    for line in used:
        assert re.fullmatch(r" [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    assert len(used) == sum("uses" in step for step in steps(file))


def test_one_action_has_one_pin() -> None:
    used = {step["uses"] for file in FILES for step in steps(file) if "uses" in step}
    assert len(used) == len({one.partition("@")[0] for one in used})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_rights_are_none_but_those_a_job_names(file: Path) -> None:
    workflow = load(file)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        for scope, level in job["permissions"].items():
            assert level == "read" or (file.name, name, scope) in WRITES, f"{name}: {scope}: {level}"


def test_the_job_that_may_write_runs_none_of_the_pull_requests_code() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "review.yml")
    # YAML reads the key `on` as true.
    assert list(workflow[True]) == ["pull_request"]  # type: ignore[index]
    comment = workflow["jobs"]["comment"]
    assert not any(
        "uses" in step or "millrace " in step["run"].replace("<!-- millrace review", "") for step in comment["steps"]
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_scripts_take_values_from_the_environment_only(file: Path) -> None:
    for step in steps(file):
        assert "${{" not in step.get("run", ""), step
        assert "secrets." not in str(step), step
        assert not step.get("uses", "").startswith("actions/checkout") or step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_runs_are_bounded_and_do_not_overlap(file: Path) -> None:
    workflow = load(file)
    assert workflow["concurrency"]["group"]
    assert all(job["timeout-minutes"] <= 45 for job in workflow["jobs"].values())


def test_pulumi_is_the_sdk_s_own_version() -> None:
    (pin,) = re.findall(r"^pulumi==(.+)$", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    (cli,) = [
        step["with"]["pulumi-version"] for file in FILES for step in steps(file) if "pulumi/" in step.get("uses", "")
    ]
    assert cli == pin


def test_the_comment_is_found_again_by_the_mark_it_begins_with() -> None:
    from localcloud.review.text import MARK

    assert f'startswith("{MARK}")' in (ROOT / ".github" / "workflows" / "review.yml").read_text()
