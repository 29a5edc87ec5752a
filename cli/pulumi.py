"""`./millrace pulumi`: the real Pulumi on the local cloud."""

from typing import Annotated

import typer


def pulumi(
    context: typer.Context,
    print_env: Annotated[
        bool, typer.Option("--print-env", help="Print `export` lines for your own pulumi; run nothing.")
    ] = False,
) -> None:
    """Pulumi itself, with the local plugins, backend and secrets. Next: ./millrace pulumi up --stack local --yes"""
    from localcloud.plugins.command import pulumi as run_pulumi  # late: `--help` must not load the SDKs

    raise typer.Exit(run_pulumi(context.args, print_env))
