"""`./millrace secret`: what a person does in the portal, locally: put an outside secret into the vault."""

import sys
from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def secret(
    name: Annotated[str, typer.Argument(help="The secret's name, for example log-collector-key.")],
    workspace_key: Annotated[
        bool, typer.Option("--workspace-key", help="Use the workspace's shared key instead of standard input.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Put a secret (from standard input) into the stack's vault; apps that refer to it see it at once."""
    from localcloud.supervisor.shapes import Secret

    screen, stack = Screen(json=json), local_stack()
    foundation = stack.outputs().get("foundation") or {}
    value = "" if workspace_key else sys.stdin.read().rstrip("\n")
    if not value and not workspace_key:
        raise typer.BadParameter("the secret must come on standard input, got nothing; or say --workspace-key")
    wanted = Secret(
        vault_uri=foundation.get("vaultUri", ""),
        name=name,
        value=value,
        key_of_workspace=foundation.get("workspaceId", "") if workspace_key else "",
    )
    stack.require().call("POST", "/secret", wanted, object)
    screen.document({"name": name})
    screen.text(f"{name} is in the vault")
