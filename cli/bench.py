"""`./millrace bench`: one benchmark."""

import importlib
import logging
from typing import Annotated

import typer

from cli.project import ROOT
from cli.screen import Screen, Step

NAMES = (
    *("log_ingest", "scaling", "growth", "package", "startup", "pulumi", "cold_start", "latency", "host"),
    *("alma", "alma_quick", "parquet", "servicebus"),
)


def bench(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    rounds: Annotated[int, typer.Option(help="How often each thing is measured.", min=1, max=100)] = 5,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Medians with their range, and ratios within the same run. Next: docs/benchmarks.md says what they mean."""
    if name not in NAMES:
        raise typer.BadParameter(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    screen = Screen(json=json)
    with screen.working(f"bench {name}") as step:
        _show_laps(step)
        found = importlib.import_module(f"benchmarks.{name}").run(ROOT, rounds)
        step.tell(f"{found.rounds} rounds")
    screen.document(found)
    screen.text(f"{found.machine}, {found.rounds} rounds")
    rows = [[row.what, _number(row.figure), _number(row.min), _number(row.max), row.unit] for row in found.rows]
    screen.table(["what", "median", "min", "max", "unit"], rows)
    for ratio, value in found.ratios.items():
        screen.text(f"{ratio}: {value}")
    for note in found.notes:
        screen.text(note)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3f}"


def _show_laps(step: Step) -> None:
    """Benchmarks log what they are at."""
    handler = logging.Handler()
    handler.emit = lambda record: step.tell(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("benchmarks")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
