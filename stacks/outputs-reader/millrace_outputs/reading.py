"""Reads a Millrace stack's outputs from another Pulumi program, typed. Depends on pulumi and msgspec only."""

from typing import Any

import msgspec
import pulumi

from millrace_outputs.shapes import StackOutputs


class OutputsError(pulumi.RunError):
    """The referenced stack's outputs are not what this version of the reader knows."""


def read_outputs(reference: pulumi.StackReference) -> pulumi.Output[StackOutputs]:
    """The outputs of the referenced stack. Keys that this version does not know are left out.

    A missing or retyped key fails the program with `OutputsError`. Secret outputs stay secret.
    """
    return pulumi.Output.all(reference.name, reference.outputs).apply(lambda found: _typed(*found))


def _typed(stack: str, outputs: dict[str, Any]) -> StackOutputs:
    try:
        return msgspec.convert(outputs, StackOutputs)
    except msgspec.ValidationError as error:
        raise OutputsError(
            f"stack {stack}: its outputs must be as this millrace-outputs knows them, got: {error}; "
            "install the version of millrace-outputs that belongs to what is deployed, or deploy the stack anew"
        ) from error
