"""`./millrace package`: build packages and show why each file is inside."""

from typing import Annotated

import typer

from cli.project import ROOT
from cli.screen import Screen


def package(
    apps: Annotated[list[str] | None, typer.Argument(help="Apps by logical name; all by default.")] = None,
    stack: Annotated[str, typer.Option(help="Whose target and limits.")] = "local",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Build what is not built yet; show file, size, hash, contents and reasons."""
    from localcloud.offline.packages import build_packages

    screen = Screen(json=json)
    with screen.working("building packages") as step:
        packages = build_packages(ROOT, stack, apps or [], step.tell)
    screen.document({"packages": packages})
    for one in packages:
        word = "built" if one["built"] else "unchanged"
        screen.text(f"{one['app']}: {one['path']}")
        screen.text(f"  {word} in {one['seconds']} s, {one['bytes'] / 1e6:.1f} MB, sha256 {one['sha256']}\n")
        screen.table(
            ["distribution", "version", "why"], [[d["name"], d["version"], d["why"]] for d in one["distributions"]]
        )
        screen.text("")
        screen.table(["file", "why"], [[f["path"], f["why"]] for f in one["files"]])
