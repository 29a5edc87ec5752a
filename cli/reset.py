"""`./millrace reset`: stop every process and forget all local data."""

from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def reset(json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False) -> None:
    """Stop the local cloud and remove its data. Built packages and the environment stay."""
    screen, stack = Screen(json=json), local_stack()
    with screen.working("removing the local cloud"):
        existed = stack.reset()
    screen.document({"removed": existed})
    screen.text("removed" if existed else "there was nothing to remove")
