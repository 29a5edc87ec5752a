"""The outputs are an API: its committed schema may grow; a key that goes, is renamed or retyped fails here."""

import json
from typing import Any

import msgspec
import pytest

from stacks.outputs import LogIngestOutputs, StackOutputs
from tests.contract.previews import ROOT

SCHEMA = ROOT / "docs" / "outputs.schema.json"


def schema(type_: Any = StackOutputs) -> str:
    """The contract as JSON Schema, readable."""
    return json.dumps(msgspec.json.schema(type_), indent=2, ensure_ascii=False) + "\n"


def broken(old: Any, new: Any, path: str = "") -> list[str]:
    """What a reader of `old` would miss in `new`: every key below `properties` that is gone or says another type.

    Descriptions may change; a required key may be added (writers, not readers, must supply it); an optional one may not
    replace a required one, as readers rely on it.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key, value in old.items():
            here = f"{path}.{key}" if path else key
            if key in ("description", "title", "default"):
                continue
            if key == "required":
                found += [f"{here}.{name}" for name in value if name not in new.get(key, [])]
            elif key not in new:
                found.append(here)
            else:
                found += broken(value, new[key], here)
        return found
    return [] if old == new else [path]


def test_the_committed_schema_is_the_code_s() -> None:
    assert SCHEMA.read_text() == schema(), "the outputs changed; run: python -m tests.contract.write_golden"


def test_no_reader_of_the_committed_schema_is_broken() -> None:
    assert broken(json.loads(SCHEMA.read_text()), json.loads(schema())) == []


def fields(**changes: Any) -> Any:
    """log_ingest's outputs with fields changed (None takes one away), as a schema."""
    kept = {field.name: field.type for field in msgspec.structs.fields(LogIngestOutputs)} | changes
    made = msgspec.defstruct(
        "LogIngestOutputs",
        [(name, type_) for name, type_ in kept.items() if type_ is not None],
        kw_only=True,
        rename="camel",
    )
    return msgspec.json.schema(made)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"added": str}, []),
        ({"queue_url": None}, ["queueUrl", "queueUrl"]),
        ({"queue_url": None, "queue_address": str}, ["queueUrl", "queueUrl"]),
        ({"queue_url": int}, ["type"]),
        ({"dead_letter_queue_url": str}, ["anyOf"]),
    ],
)
def test_taking_away_renaming_and_retyping_are_found_and_adding_is_not(
    changes: dict[str, Any], found: list[str]
) -> None:
    assert [path.rsplit(".", 1)[-1] for path in broken(fields(), fields(**changes))] == found
