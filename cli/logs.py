"""`./millrace logs`: what the handlers said."""

from pathlib import Path
from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def logs(
    app: Annotated[str | None, typer.Argument(help="An app's name, or the beginning of it; all by default.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 50,
    idle: Annotated[bool, typer.Option("--idle", help="Also runs that found nothing to do.")] = False,
    trace: Annotated[
        str, typer.Option(metavar="ID", help="One trace over all apps, as a tree with times; its beginning is enough.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """The last lines of the handlers' logs, oldest first. Next: ./millrace logs --trace ID."""
    from localcloud.session.reading import follow_lines, is_idle, last_lines, one_line

    screen, stack = Screen(json=json), local_stack()
    if trace:
        if app or follow:
            raise typer.BadParameter("--trace shows what is there, of every app: leave APP and --follow away")
        _show_trace(screen, stack.home / "logs", trace)
        return
    found = last_lines(stack.home / "logs", app or "", lines, idle=idle)
    screen.document({"lines": found})
    for line in found:
        screen.text(one_line(line))
    if follow:
        for line in follow_lines(stack.home / "logs", app or ""):
            if idle or not is_idle(line):
                screen.text(one_line(line))


def _show_trace(screen: Screen, folder: Path, wanted: str) -> None:
    from localcloud.session.tracing import find_trace, shown

    found = find_trace(folder, wanted)
    screen.document(found)
    for line in shown(found):
        screen.text(line)
