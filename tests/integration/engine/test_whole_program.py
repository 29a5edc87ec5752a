"""The whole program on Pulumi itself: what a user's `pulumi up`, `up` again and `destroy` do."""

import json
import subprocess
import sys

import pytest
import yaml

from localcloud.engine.embedded import ProgramError
from localcloud.offline.previewing import preview_stack
from localcloud.outside.log_ingest import expected
from tests.integration.engine.checkout import Checkout
from tests.kept_secrets import kept, readable_by_others, spilled

pytestmark = pytest.mark.timeout(300)


def test_up_up_edit_destroy(alone: Checkout) -> None:
    settings = (alone.root / "Pulumi.local.yaml").read_text()
    alone.pulumi("stack", "select", "--create", "local")
    alone.pulumi("up", "--yes", "--skip-preview", "--stack", "local")
    assert _steps(alone) == {}
    alone.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "local")
    assert json.loads(alone.pulumi("stack", "output", "--json"))["logIngest"]["table"] == "Code42Logs_CL"
    secrets = kept(alone.home)
    assert len(secrets) > 10
    written = [file for file in (alone.home / "pulumi").rglob("*") if file.is_file()]
    assert {"stacks", "history", "backups"} <= {part for file in written for part in file.parts}
    assert spilled(alone.home, secrets) == []
    assert readable_by_others(alone.home, secrets) == []
    handler = alone.root / "handlers" / "log_ingest" / "ingest.py"
    handler.write_text(handler.read_text() + "\n# edited\n")
    assert _steps(alone) == {
        "millrace:Package log-ingest": ["digest"],
        "millrace:Deployment log-ingest": ["digest", "package_url"],
    }
    alone.pulumi("up", "--yes", "--skip-preview", "--stack", "local")
    assert _steps(alone) == {}
    alone.pulumi("destroy", "--yes", "--skip-preview", "--stack", "local")
    assert alone.left("local") == []
    assert (alone.root / "Pulumi.local.yaml").read_text() == settings, "nobody rewrites the stack's settings"
    refused = alone.pulumi("stack", "init", "prod") and alone.pulumi("preview", "--stack", "prod", fails=True)
    assert "STOP: stack millrace/prod is not local" in refused


def test_up_by_the_real_engine_feeds_the_sample(checkout: Checkout) -> None:
    """`./millrace up --engine pulumi`: our progress, sample and summary around Pulumi's own run."""
    command = [sys.executable, "-m", "cli", "up", "--engine", "pulumi", "--json"]
    first, second = (
        json.loads(subprocess.run(command, cwd=checkout.root, check=True, capture_output=True, timeout=200).stdout)
        for _ in range(2)
    )
    assert first["engine"] == "pulumi"
    assert first["resources"]["created"] > 40
    assert first["systems"]["log_ingest"]["state"] == "idle"
    assert first["systems"]["log_ingest"]["in"] == expected().records_in
    assert second["resources"]["unchanged"] == first["resources"]["created"]
    assert second["resources"]["created"] == second["resources"]["updated"] == 0


def _steps(checkout: Checkout) -> dict[str, list[str]]:
    """What a preview would change: resource → inputs that differ."""
    preview = json.loads(checkout.pulumi("preview", "--json", "--stack", "local"))
    found: dict[str, list[str]] = {}
    for step in preview["steps"]:
        if step["op"] != "same":
            old, new = step["oldState"]["inputs"], step["newState"]["inputs"]
            name = f"{step['urn'].split('::')[2].rsplit('/')[-1]} {step['urn'].split('::')[-1]}"
            found[name] = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return found


WRONG = {
    "millrace:keepsData": "perhaps",
    "millrace:keepData": "true",
    "millrace:systems": "log_ingest",
    "millrace:logIngest": {"plan": "premium"},
}


def test_both_engines_refuse_a_wrong_setting_in_the_same_words(checkout: Checkout) -> None:
    """Pulumi's own checks of a project's schema come first and name no command: nothing there may bite."""
    local = (checkout.root / "Pulumi.local.yaml").read_text()
    for key, value in WRONG.items():
        settings = yaml.safe_load(local)
        settings["config"][key] = value
        (checkout.root / "Pulumi.wrong.yaml").write_text(yaml.safe_dump(settings))
        with pytest.raises(ProgramError) as ours:
            preview_stack(checkout.root, "wrong")
        command = [sys.executable, "-m", "cli", "pulumi", "preview", "--stack", "wrong", "--color=never"]
        theirs = subprocess.run(
            command, cwd=checkout.root, capture_output=True, text=True, check=False, timeout=100,
            env={**checkout.environment, "MILLRACE_STACK": "local"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert theirs.returncode != 0
        assert str(ours.value) in theirs.stdout + theirs.stderr, key
        assert f"; run: pulumi config {'rm' if key.endswith('keepData') else 'set'} " in str(ours.value)
        assert "--stack wrong" in str(ours.value)
    checkout.millrace("reset", stack="wrong")
    (checkout.root / "Pulumi.wrong.yaml").unlink()
