"""`./millrace feed`: give a system input the way the outside world does."""

from pathlib import Path
from typing import Annotated

import typer

from cli.project import local_stack, user_path
from cli.screen import Screen


def feed(
    system: Annotated[str, typer.Argument(help="The system, for example log_ingest.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders.")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Feed the system's sample again.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Give a system files (objects into its bucket, with their notifications) and fire its timers once. Next: wait."""
    from localcloud.session.feeding import feed_paths, feed_sample

    if bool(paths) == sample:
        raise typer.BadParameter("name files or folders, or say --sample; got " + ("both" if sample else "neither"))
    screen, stack = Screen(json=json), local_stack()
    with screen.working(f"feeding {system}") as step:
        if sample:
            count = feed_sample(stack, system, on_item=lambda number: step.tell(f"{number} given"))
        else:
            count = feed_paths(stack, system, [user_path(path) for path in paths or []])
        fired = stack.fire_timers(system)
        step.tell(f"{count} given, {fired} timers fired")
    screen.document({"system": system, "fed": count, "fired": fired})
    screen.text(f"{count} given to {system}; next: ./millrace wait")
