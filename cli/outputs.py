"""`./millrace outputs`: what the stack tells others."""

from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def outputs(json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False) -> None:
    """The typed outputs of the last run (their contract: stacks/outputs.py)."""
    screen = Screen(json=json)
    values = local_stack().outputs()
    screen.document(values)
    for part, fields in values.items():
        screen.text(f"{part}")
        for name, value in fields.items():
            screen.text(f"  {name:<20}{value}")
    if not values:
        screen.text("none yet; run ./millrace up")
