"""`./millrace down`: stop every process, keep all data."""

from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def down(json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False) -> None:
    """Stop the local cloud. Data stays; ./millrace up goes on where it was."""
    screen, stack = Screen(json=json), local_stack()
    with screen.working("stopping the local cloud"):
        stopped = stack.stop()
    screen.document({"stopped": stopped})
    screen.text("stopped; data kept" if stopped else "nothing ran")
