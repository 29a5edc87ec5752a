"""What a stack declares, found by running the program offline."""

from pathlib import Path
from typing import Any

import msgspec

from localcloud.control.offline import OfflineCloud
from localcloud.engine.config import load_program
from localcloud.engine.embedded import RunResult, run
from localcloud.engine.provider import PROVIDER_KEY
from localcloud.engine.state import Record
from localcloud.session.local import tenancy_of


class Preview(msgspec.Struct, kw_only=True):
    """A run's result and the document that machines get."""

    stack: str
    result: RunResult
    document: dict[str, Any]


def preview_stack(root: Path, stack: str) -> Preview:
    """Run the program of `root` with a stack's settings; contacts nothing, builds nothing."""
    program = load_program(root, stack)
    result = run(program, cloud=OfflineCloud(tenancy_of(program)), preview=True)
    # Registrations arrive in any order; a preview that is compared must not.
    result.records.sort(key=lambda record: (record.parent, record.custom, record.type, record.name))
    document = {
        "stack": stack,
        "resources": [_resource(record, result.shown[record.urn]) for record in result.records],
        "outputs": result.outputs,
        "failures": result.failures,
    }
    return Preview(stack=stack, result=result, document=document)


def _resource(record: Record, shown: dict[str, Any]) -> dict[str, Any]:
    """Inputs as the provider gets them; secrets masked, a dynamic resource's pickled code left out."""
    inputs = {**{key: value for key, value in record.inputs.items() if key not in shown}, **shown}
    inputs.pop(PROVIDER_KEY, None)
    return {
        "urn": record.urn,
        "type": record.type,
        "name": record.name,
        "parent": record.parent,
        "dependencies": record.dependencies,
        "inputs": inputs,
    }


def roles(preview: Preview) -> list[tuple[str, str, str, str]]:
    """Every grant as (who, verb, on what, role): what a reviewer wants to see first."""
    rows = []
    for record in preview.result.records:
        if record.type == "azure-native:authorization:RoleAssignment":
            what, _, role = str(record.inputs.get("description", "")).partition(": ")
            verb, _, on = what.partition(" on ")
            who = record.parent.rsplit("::", 1)[-1]
            deployer = "HostStorage" in record.parent
            rows.append((f"deployer of {who}" if deployer else who, verb, on, role))
        if record.type == "aws:iam/rolePolicy:RolePolicy":
            rows += _aws_rows(record)
    return sorted(rows)


def _aws_rows(record: Record) -> list[tuple[str, str, str, str]]:
    try:
        statements = msgspec.json.decode(str(record.inputs["policy"]))["Statement"]
    except (msgspec.DecodeError, KeyError):
        return []
    who = record.parent.rsplit("::", 1)[-1]
    return [
        (who, " ".join(statement["Action"]), str(statement["Resource"]), "AWS role policy") for statement in statements
    ]
