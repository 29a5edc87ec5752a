"""`./millrace up`: start the local cloud, apply the program, feed each system its sample, show what came out."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen

if TYPE_CHECKING:
    from localcloud.session.running import UpReport


def up(
    system: Annotated[list[str] | None, typer.Option(help="Only this system and the foundation (repeatable).")] = None,
    engine: Annotated[str, typer.Option(help="embedded, or pulumi: the real engine.")] = "embedded",
    sample: Annotated[bool, typer.Option("--sample/--no-sample", help="Feed the sample input once.")] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Start the local cloud, apply the program, feed it its sample. Next: ./millrace status, query, logs, down."""
    if engine not in ("embedded", "pulumi"):
        raise typer.BadParameter(f"engine must be embedded or pulumi, got {engine!r}")
    if engine == "pulumi" and system:
        raise typer.BadParameter("--system goes with the embedded engine; Pulumi's own applies the whole stack")
    from localcloud.plugins.up import apply  # late: `--help` must not load the SDKs
    from localcloud.session.running import bring_up

    screen = Screen(json=json)
    pulumi = apply if engine == "pulumi" else None
    report = bring_up(local_stack(), systems=system or [], sample=sample, working=screen.working, pulumi=pulumi)
    screen.document(report)
    _show(screen, report)
    if any(result.state == "failed" for result in report.systems.values()):
        raise typer.Exit(1)


def _show(screen: Screen, report: "UpReport") -> None:
    counts = report.resources
    screen.text(
        f"{counts.created} created, {counts.updated} updated, {counts.deleted} deleted, {counts.unchanged} unchanged "
        f"in {report.applied_seconds:.1f} s"
    )
    if report.systems:
        rows: list[list[object]] = [
            [name, one.state, one.in_, one.out, one.dead, f"{one.seconds:.1f} s", one.note]
            for name, one in report.systems.items()
        ]
        screen.text("")
        screen.table(["system", "state", "in", "out", "dead", "took", ""], rows)
        for one in report.systems.values():
            for reason, count in one.reasons.items():
                screen.text(f"  {count} × {reason}")
    screen.text("")
    for name, address in report.endpoints.items():
        screen.text(f"  {name:<12}{address}")
    screen.text("")
    for hint in dict.fromkeys(hint for one in report.systems.values() for hint in one.try_next):
        screen.text(f"  try  {hint}")
