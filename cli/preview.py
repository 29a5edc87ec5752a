"""`./millrace preview`: what a stack declares, without a cloud."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.project import ROOT
from cli.screen import Screen

if TYPE_CHECKING:
    from rich.tree import Tree

    from localcloud.offline.previewing import Preview


def preview(
    stack: Annotated[str, typer.Option(help="Whose settings: Pulumi.<stack>.yaml.")] = "local",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run the program offline with a stack's settings: every check, no contact, nothing built. Next: up."""
    from localcloud.offline.previewing import preview_stack, roles

    screen = Screen(json=json)
    found = preview_stack(ROOT, stack)
    screen.document(found.document)
    screen.show(_tree(found))
    screen.text("")
    screen.table(["who", "may", "on", "by role"], [list(row) for row in roles(found)])
    screen.text(f"\n{len(found.result.records)} declared by stack {stack}")
    for failure in found.result.failures:
        screen.say(f"refused: {failure}")
    if found.result.failures:
        raise typer.Exit(1)


def _tree(found: "Preview") -> "Tree":
    from rich.tree import Tree

    top = Tree(f"stack {found.stack}")
    branches: dict[str, Tree] = {}
    for record in found.result.records:
        if record.type == "pulumi:pulumi:Stack":
            branches[record.urn] = top
    pending = [record for record in found.result.records if record.urn not in branches]
    while pending:
        later = []
        for record in pending:
            above = branches.get(record.parent)
            if above is None:
                later.append(record)
                continue
            style = "" if record.custom else "[bold]"
            branches[record.urn] = above.add(
                f"{style}{record.name}[/] [dim]{record.type}[/dim]"
                if style
                else f"{record.name} [dim]{record.type}[/dim]"
            )
        if len(later) == len(pending):
            break
        pending = later
    return top
