"""`./millrace bench`: one benchmark."""

import importlib
from typing import Annotated

import typer

from cli.project import ROOT
from cli.screen import Screen

NAMES = ("cold_start", "latency", "pulumi", "up")


def bench(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    rounds: Annotated[int, typer.Option(help="How often each thing is measured.", min=1, max=100)] = 5,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Medians with their range, and ratios within the same run."""
    if name not in NAMES:
        raise typer.BadParameter(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    screen = Screen(json=json)
    with screen.working(f"bench {name}"):
        found = importlib.import_module(f"benchmarks.{name}").run(ROOT, rounds)
    screen.document(found)
    screen.text(f"{found.machine}, {found.rounds} rounds")
    rows = [[row.what, f"{row.figure:.3f} {row.unit}", f"{row.min:.3f}", f"{row.max:.3f}"] for row in found.rows]
    screen.table(["what", "median", "min", "max"], rows)
    for ratio, value in found.ratios.items():
        screen.text(f"{ratio}: {value}")
