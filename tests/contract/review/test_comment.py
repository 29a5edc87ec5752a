"""The comment of a whole change, against committed ones (golden/); where one is meant to change, edit it and look."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from localcloud.review.review import Review, review
from localcloud.session.local import LocalCloudError
from tests.contract.review.history import EXTRAS, SYSTEM, History, settled

HANDLER = Path("handlers/log_ingest/ingest.py")


def agrees(made: Review, golden: Path) -> None:
    """Equal to the committed comment; a difference shows both, and where to put the new one."""
    wanted = golden.read_text() if golden.exists() else ""
    found = settled(made.markdown)
    assert found == wanted, f"if this is meant, {golden.name} must become:\n{found}"


def test_a_branch_that_deletes_a_queue_and_a_container_and_adds_a_role(history: History, golden: Path) -> None:
    history.branch("drops")
    history.edit(SYSTEM, "".join(EXTRAS.splitlines(keepends=True)[:2]), "")
    history.edit(SYSTEM, "failed.write()]", "failed.write(), kept.send()]")
    history.commit("no archive, nothing late, and the worker sends to kept")

    made = review(history.root)

    assert not made.refused
    agrees(made, golden / "drops.md")


def test_a_branch_that_edits_a_handler_changes_one_package_and_its_deployment(history: History, golden: Path) -> None:
    history.branch("handler")
    history.edit(HANDLER, "def connect(", "# a remark that changes nothing but the file\ndef connect(")

    made = review(history.root, base="main", stacks=["prod"])

    (stack,) = made.stacks
    assert [change.changed for change in stack.packages] == [[str(HANDLER)]]
    assert {(change.kind, change.type.rpartition(":")[2]) for change in stack.resources} == {
        ("update", "Package"),
        ("update", "Deployment"),
    }
    agrees(made, golden / "handler.md")


def test_changed_settings_show_what_they_do_loud_where_data_moves_and_no_secret(history: History, golden: Path) -> None:
    history.branch("settings")
    file = Path("Pulumi.dev.yaml")
    history.edit(file, "    schedule: ", "    memoryMb: 4096\n    schedule: ")
    history.edit(file, "  aws:region: ", "  millrace:collectorPassword: { secure: v1:hushhush }\n  aws:region: ")

    history.edit(file, "azure-native:location: westeurope", "azure-native:location: northeurope")

    made = review(history.root, stacks=["dev"])

    assert "hushhush" not in json.dumps(made.markdown)
    agrees(made, golden / "settings.md")


def test_a_branch_without_changes_is_one_line_and_nothing_is_left_behind(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    history.branch("nothing")

    made = review(history.root, stacks=["dev", "prod"])

    assert [stack.state for stack in made.stacks] == ["same", "same"]
    assert settled(made.markdown).splitlines()[1:] == [
        "**Millrace: nothing changes** against `main` (`<digest>`) (stacks: dev, prod)."
    ]
    assert list(tmp_path.iterdir()) == []
    assert history.git("status", "--porcelain") == ""
    assert len(history.git("worktree", "list").splitlines()) == 1


def test_a_refused_preview_is_shown_and_is_the_one_failure(history: History, golden: Path, tmp_path: Path) -> None:
    history.branch("refused")
    history.edit(SYSTEM, "progress.write(), ", "")
    command = [sys.executable, "-m", "cli", "review", "--stack", "dev", "--json", "--output", str(tmp_path / "it.md")]

    ran = subprocess.run(command, cwd=history.root, capture_output=True, text=True, check=False, timeout=100)

    assert ran.returncode == 1, ran.stderr
    document = json.loads(ran.stdout)
    assert [stack["state"] for stack in document["stacks"]] == ["refused"]
    assert document["markdown"] == (tmp_path / "it.md").read_text()
    assert settled(document["markdown"]) == (golden / "refused.md").read_text()


def test_a_cancelled_review_leaves_nothing_behind(history: History, tmp_path: Path) -> None:
    history.branch("cancelled")
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "cli", "review"]
    with subprocess.Popen(command, cwd=history.root, env=environment, stderr=subprocess.DEVNULL) as running:
        while not list(tmp_path.glob("*/side-1.log")):  # both trees are being previewed
            assert running.poll() is None
            os.sched_yield()
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_a_project_below_the_repository_s_top(history: History, tmp_path: Path) -> None:
    history.branch("nested")
    inner = tmp_path / "all" / "millrace"
    shutil.copytree(history.root, inner, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    history.git("-C", str(inner.parent), "init", "--quiet", "--initial-branch=main")
    history.git("-C", str(inner.parent), "add", "--all")
    history.git("-C", str(inner.parent), "commit", "--quiet", "--message", "all")

    assert [stack.state for stack in review(inner, stacks=["dev"]).stacks] == ["same"]


def test_a_folder_without_git_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="must be a git checkout"):
        review(tmp_path)


def test_a_base_without_previews_is_one_message(history: History, tmp_path: Path) -> None:
    history.branch("old")
    history.git("rm", "--quiet", "localcloud/offline/previewing.py")
    old = history.commit("before there were previews")
    history.branch("new")

    with pytest.raises(LocalCloudError, match=r"the base .*could not be previewed"):
        review(history.root, base=old, stacks=["dev"])


@pytest.mark.parametrize("reference", ["no-such-branch", "--output=x"])
def test_a_base_that_is_no_commit_is_one_message(history: History, reference: str) -> None:
    with pytest.raises(LocalCloudError, match="--base must name a commit"):
        review(history.root, base=reference)
