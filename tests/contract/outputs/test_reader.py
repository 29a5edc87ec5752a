"""The reader of other teams: what it promises, and its example program, run against a deployed stack's outputs."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pulumi
import pytest

from localcloud.control.kinds import Tenancy
from localcloud.control.offline import OfflineCloud
from localcloud.engine.embedded import Program, ProgramError, RunResult, run
from localcloud.engine.provider import Made
from localcloud.offline.outputs_reader import READER, added, breaking, complaint, known_to_reader, shapes_text, version
from stacks.outputs import FoundationOutputs, LogIngestOutputs, StackOutputs

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "consume_outputs"
STACK = "organization/millrace/prod"


def deployed() -> dict[str, Any]:
    """A stack's outputs as its state keeps them."""
    ingest = {field.encode_name: f"the {field.name}" for field in msgspec.structs.fields(LogIngestOutputs)}
    base = {field.encode_name: f"the {field.name}" for field in msgspec.structs.fields(FoundationOutputs)}
    return {"foundation": base, "logIngest": ingest | {"deadLetterQueueUrl": None}}


# ---- the contract


def test_the_reader_as_it_is_out_there_reads_what_the_program_exports() -> None:
    known, written_for = known_to_reader()
    broken = breaking(known, msgspec.json.schema(StackOutputs))
    assert not broken or version() > written_for, complaint(broken)


def test_a_reader_that_knows_every_key_is_written_from_ours() -> None:
    known, _ = known_to_reader()
    if not added(known, msgspec.json.schema(StackOutputs)):
        assert (READER / "millrace_outputs" / "shapes.py").read_text() == shapes_text(version()), (
            "the words differ; run: python -m localcloud.offline.outputs_reader --write"
        )


def variant(**changes: Any) -> dict[str, Any]:
    """The outputs with fields of log_ingest changed; None takes one away."""
    fields = {field.name: field.type for field in msgspec.structs.fields(LogIngestOutputs)} | changes
    ingest = msgspec.defstruct(
        "LogIngestOutputs", [(name, type_) for name, type_ in fields.items() if type_], kw_only=True, rename="camel"
    )
    fields_of = msgspec.structs.fields(StackOutputs)
    others = [(one.name, one.type, None) for one in fields_of if one.name not in {"foundation", "log_ingest"}]
    whole: list[Any] = [("foundation", FoundationOutputs), ("log_ingest", ingest | None, None), *others]
    return msgspec.json.schema(msgspec.defstruct("StackOutputs", whole, kw_only=True, rename="camel"))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"added": int}, []),
        ({"dead_letter_queue_url": str}, []),  # no longer null: whoever expects both reads it
        ({"queue_url": None}, ["logIngest.queueUrl (string) is removed"]),
        ({"queue_url": None, "queue_address": str}, ["logIngest.queueUrl (string) is removed"]),
        ({"queue_url": int}, ["logIngest.queueUrl is integer, was string"]),
        ({"queue_url": str | None}, ["logIngest.queueUrl is string?, was string"]),
        ({"queue_url": list[str]}, ['logIngest.queueUrl is {"items":{"type":"string"},"type":"array"}, was string']),
    ],
)
def test_what_breaks_a_reader(changes: dict[str, Any], found: list[str]) -> None:
    assert breaking(msgspec.json.schema(StackOutputs), variant(**changes)) == found


def test_a_breaking_change_says_what_to_do() -> None:
    text = complaint(breaking(msgspec.json.schema(StackOutputs), variant(queue_url=None)))
    assert "logIngest.queueUrl (string) is removed" in text
    assert "version it: raise the first number" in text


# ---- the example, run


class Deployed(OfflineCloud):
    """A cloud in which one stack is deployed and can be referenced."""

    def __init__(self, outputs: dict[str, Any], secret: list[str]) -> None:
        super().__init__(Tenancy(subscription_id="", tenant_id="", aws_account="", aws_region=""))
        self.found = {"name": STACK, "outputs": outputs, "secretOutputNames": secret}

    def read(self, type_: str, id_: str) -> Made | None:
        assert (type_, id_) == ("pulumi:pulumi:StackReference", STACK)
        return Made(id_, self.found)


def consume(outputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> RunResult:
    """Run the example as `pulumi up` would, with the reader installed beside it."""
    monkeypatch.syspath_prepend(READER)
    program = Program(
        root=EXAMPLE, project="consume-outputs", stack="dev", config={"consume-outputs:millraceStack": STACK}
    )
    return run(program, cloud=Deployed(outputs, []), main=lambda: runpy.run_path(str(EXAMPLE / "__main__.py")))


def test_the_example_reads_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    assert consume(deployed(), monkeypatch).outputs == {
        "workspaceId": "the workspace_id",
        "dailyQuery": "the table | summarize count() by bin(TimeGenerated, 1d)",
        "putFilesInto": "the bucket",
    }


def test_what_a_newer_program_exports_besides_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = deployed()
    outputs["logIngest"]["addedLater"] = "x"
    outputs["anotherSystem"] = {"a": 1}
    assert consume(outputs, monkeypatch).outputs["putFilesInto"] == "the bucket"


def test_a_stack_without_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"foundation": deployed()["foundation"]}
    assert consume(outputs, monkeypatch).outputs["dailyQuery"] == "no log_ingest in this stack"


@pytest.mark.parametrize("value", [None, 7])
def test_a_missing_or_retyped_key_is_one_message(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = deployed()
    del outputs["logIngest"]["bucket"]
    if value is not None:
        outputs["logIngest"]["bucket"] = value
    with pytest.raises(ProgramError, match=rf"stack {STACK}: its outputs must be .*bucket.*install the version"):
        consume(outputs, monkeypatch)


def test_the_example_and_the_reader_are_clean_under_strict_types() -> None:
    files = [str(EXAMPLE / "__main__.py"), str(READER / "millrace_outputs")]
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *files],
        cwd=ROOT, env={**os.environ, "MYPYPATH": str(READER)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_secret_outputs_stay_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(READER)
    program = Program(root=EXAMPLE, project="p", stack="dev", config={})
    told: list[bool] = []

    def main() -> None:
        from millrace_outputs.reading import read_outputs

        reference = pulumi.StackReference(STACK)
        reference.outputs = pulumi.Output.secret(reference.outputs)
        found = read_outputs(reference)

        async def tell() -> bool:
            told.append(await found.is_secret())
            return True

        told_later: pulumi.Output[bool] = pulumi.Output.from_input(tell())
        pulumi.export("told", told_later)

    run(program, cloud=Deployed(deployed(), []), main=main)
    assert told == [True]
