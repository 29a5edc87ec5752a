"""Exports go out under the contract's names, whole or not at all."""

from typing import Any

import pulumi
import pytest

from localcloud.engine.embedded import ProgramError
from stacks.outputs import FoundationOutputs, export
from tests.components.program import declare


def exported(values: dict[str, Any]) -> Any:
    return declare(lambda: export("foundation", FoundationOutputs, values)).outputs


def test_fields_are_exported_in_camel_case_outputs_resolved() -> None:
    # An output belongs to the program's own event loop: it is made where the program runs.
    result = declare(
        lambda: export(
            "foundation",
            FoundationOutputs,
            {"workspace_id": pulumi.Output.from_input("/w"), "vault_uri": "https://v/"},
        )
    )
    assert result.outputs == {"foundation": {"workspaceId": "/w", "vaultUri": "https://v/"}}


@pytest.mark.parametrize(
    "values",
    [{"workspace_id": "/w"}, {"workspace_id": "/w", "vault_uri": "", "more": ""}, {"workspaceId": "", "vaultUri": ""}],
)
def test_a_missing_or_unknown_field_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(
        ProgramError, match=r"^outputs of foundation: must be \['vault_uri', 'workspace_id'\], got .*; ch"
    ):
        exported(values)
