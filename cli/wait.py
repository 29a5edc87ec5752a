"""`./millrace wait`: return when nothing is in flight."""

from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def wait(
    system: Annotated[list[str] | None, typer.Option(help="Only this system (repeatable).")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds.")] = 300,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Wait until no message is visible, invisible or scheduled, and no handler runs. Next: query, status."""
    screen, stack = Screen(json=json), local_stack()
    with screen.working("waiting") as step:
        status = stack.wait(
            timeout, systems=system, on_poll=lambda now: step.tell(f"{now.in_flight} in flight, {now.busy} running")
        )
    screen.document({"in_flight": status.in_flight, "busy": status.busy})
    screen.text("nothing in flight")
