"""`./millrace review`: what a change does to every stack, as one comment."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.project import ROOT, user_path
from cli.screen import Screen


def review(
    base: Annotated[str | None, typer.Option(help="Commit to compare with; default: where this left main.")] = None,
    stack: Annotated[list[str] | None, typer.Option(help="Only this stack; repeat for more. Default: all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    output: Annotated[Path | None, typer.Option(help="Also write the Markdown to this file.")] = None,
) -> None:
    """Show what this working tree changes, as Markdown for a pull request: offline, nothing built. Next: up.

    Exit 1 when a preview is refused; deletions are shown loudly and are no failure.
    """
    import msgspec

    from localcloud.review.review import review as make

    # A cancelled CI job leaves no process and no folder either. The handler only notes it: an exception out of a
    # handler may land anywhere, also where it is swallowed.
    cancelled: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: cancelled.append(number))

    def look() -> None:
        if cancelled:
            raise SystemExit(128 + cancelled[0])

    screen = Screen(json=json)
    with screen.working("previewing both trees"):
        made = make(ROOT, base=base, stacks=stack, look=look)
    if output:
        user_path(output).write_text(made.markdown)
    screen.document(msgspec.to_builtins(made))
    if not json:
        sys.stdout.write(made.markdown)
    if made.refused:
        raise typer.Exit(1)
