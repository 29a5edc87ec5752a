"""The command line's contract: exit 0 done, 1 failed, 2 wrong usage; `--json` is one document on stdout, or nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cli.project
from cli.app import app, main

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = sorted(
    command.name or command.callback.__name__ for command in app.registered_commands if command.callback is not None
)


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def millrace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Runs a command in a project whose local cloud never ran."""
    for file in ("Pulumi.yaml", "Pulumi.local.yaml"):
        (tmp_path / file).write_text((ROOT / file).read_text())
    monkeypatch.setattr(cli.project, "ROOT", tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["millrace", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


def test_every_command_of_the_contract_is_there() -> None:
    promised = {"up", "feed", "wait", "status", "preview", "package", "query", "logs", "outputs", "token", "aws-env"}
    assert promised | {"down", "reset", "test", "check"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(millrace: Any, command: str) -> None:
    ran = millrace(command, "--help")
    assert ran.code == 0
    assert f"./millrace {command}" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize(
    "command",
    ["dlq list", "dlq show", "dlq redrive", "dlq drop", "queue peek", "queue purge", "queue schedule list"],
)
def test_each_command_of_a_group_says_what_comes_next(millrace: Any, command: str) -> None:
    ran = millrace(*command.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "Next: " in ran.out


def test_alone_it_lists_what_there_is(millrace: Any) -> None:
    ran = millrace()
    assert ran.code in (0, 2)
    listed = ran.out + ran.err
    assert all(command in listed for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["up", "--nonsense"],
        ["up", "--engine", "nonsense"],
        ["feed"],
        ["feed", "log_ingest"],
        ["feed", "log_ingest", "a-file", "--sample"],
        ["wait", "--timeout", "soon"],
        ["query"],
        ["token", "somebody"],
        ["logs", "--lines", "many"],
        ["dlq", "nonsense"],
        ["dlq", "list", "--kind", "nonsense"],
        ["dlq", "list", "--since", "whenever"],
        ["dlq", "redrive", "--rate", "soon"],
        ["dlq", "redrive", "--rate", "-1/s"],
        ["dlq", "drop", "--limit", "0"],
        ["dlq", "show"],
        ["dlq", "list", "--namespace", "../elsewhere"],
        ["queue", "peek"],
        ["queue", "peek", "jobs", "--from", "0"],
        ["queue", "peek", "jobs", "--namespace", "localhost:5671"],
        ["queue", "schedule", "nonsense"],
    ],
)
def test_wrong_usage_is_exit_2_and_says_so_beside_the_result(millrace: Any, arguments: list[str]) -> None:
    ran = millrace(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "Usage: ./millrace" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["wait"],
        ["query", "select 1"],
        ["token", "deployer", "https://storage.azure.com"],
        ["aws-env"],
        ["dlq", "list"],
        ["dlq", "show", "x"],
        ["dlq", "redrive", "--dry-run"],
        ["dlq", "drop", "x", "--yes"],
        ["queue", "peek", "jobs"],
        ["queue", "purge", "jobs", "--yes"],
        ["queue", "schedule", "list", "jobs"],
    ],
)
@pytest.mark.parametrize("json_too", [False, True])
def test_without_a_cloud_the_command_to_start_it_is_named(millrace: Any, arguments: list[str], json_too: bool) -> None:
    ran = millrace(*arguments, *(["--json"] if json_too else []))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith("millrace: the local cloud of stack local is down; start it with ./millrace up\n")


def test_a_stack_that_is_not_there_is_named_with_those_that_are(millrace: Any) -> None:
    ran = millrace("preview", "--stack", "nowhere")
    assert ran.code == 1
    assert ran.err.startswith(
        "millrace: stack nowhere: its settings must be in Pulumi.nowhere.yaml, got no such file; "
    )
    assert "known: dev, local, prod" in ran.err


def test_an_app_that_is_not_there_is_named_with_those_that_are(millrace: Any) -> None:
    ran = millrace("package", "nothing", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert re.search("package: apps must be among alma-apifetcher, .*, log-ingest, got nothing", ran.err)


@pytest.mark.parametrize(
    ("arguments", "document"),
    [
        (["outputs"], {}),
        (["logs"], {"lines": []}),
        (["down"], {"stopped": False}),
        (["reset"], {"removed": False}),
    ],
)
def test_json_is_one_document_and_nothing_else_on_stdout(millrace: Any, arguments: list[str], document: Any) -> None:
    ran = millrace(*arguments, "--json")
    assert ran.code == 0
    assert json.loads(ran.out) == document


def test_a_preview_as_a_document_has_the_keys_of_the_contract(millrace: Any) -> None:
    ran = millrace("preview", "--stack", "prod", "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["stack"] == "prod"
    assert {"urn", "type", "name", "parent", "dependencies", "inputs"} <= found["resources"][0].keys()
    urns = {one["urn"] for one in found["resources"]}
    assert len(urns) == len(found["resources"])
    for one in found["resources"]:
        assert {one["parent"], *one["dependencies"]} <= urns | {""}
        assert "__provider" not in one["inputs"]


def test_a_preview_for_people_shows_the_tree_and_who_may_do_what(millrace: Any) -> None:
    ran = millrace("preview")
    assert ran.code == 0
    assert "Storage Blob Data Contributor" in ran.out
    assert "declared by stack local" in ran.out


def test_help_loads_no_sdk() -> None:
    heavy = ["pulumi", "pulumi_azure_native", "aiohttp", "boto3", "grpc", "localcloud"]
    ask = f"import sys, cli.app; print([name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"
