"""`./millrace chaos`: a system under seeded faults, on a local cloud of its own."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.project import ROOT, local_stack, user_path
from cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.faults.fault import Schedule
    from localcloud.session.chaos_report import CampaignReport, RunReport


def chaos(
    system: Annotated[str, typer.Argument(help="The system, for example log_ingest.")],
    runs: Annotated[int, typer.Option(help="How many seeds, one after another.", min=1, max=10_000)] = 35,
    seed: Annotated[int, typer.Option(help="The first seed.", min=0)] = 0,
    schedule: Annotated[str, typer.Option(help="Only this schedule, or a YAML file of schedules.")] = "",
    on: Annotated[bool, typer.Option("--on", help="Put --schedule on the running local cloud instead.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Take it away; show what fired.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the schedules and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Attack a system with seeded faults, count every record; exit 1 if one is lost. Next: replay a failed seed."""
    from localcloud.session.chaos import ALONE, read_schedules, run_campaign, schedules_of

    screen, found = Screen(json=json), schedules_of(system)
    if schedule.endswith((".yaml", ".yml")):
        found = read_schedules(user_path(Path(schedule)))
    elif schedule:
        known = [one.name for one in found]
        found = [one for one in found if one.name == schedule]
        if not found:
            raise typer.BadParameter(f"schedule must be a file or one of {', '.join(known)}; got {schedule!r}")
    if list_:
        _list(screen, found)
        return
    if (on or off) and system in ALONE:
        raise typer.BadParameter(
            f"--on and --off are for systems on the local cloud; the faults of {system} end its own processes"
        )
    if on or off:
        _by_hand(screen, None if off else _the_one(found), seed)
        return
    report = run_campaign(
        ROOT, system, schedules=found, seeds=range(seed, seed + runs), working=screen.working,
        on_run=lambda run: screen.say(_line(run)),
    )  # fmt: skip
    screen.document(report)
    _show(screen, report)
    if report.failed:
        raise typer.Exit(1)


def _the_one(schedules: "list[Schedule]") -> "Schedule":
    if len(schedules) != 1:
        raise typer.BadParameter(f"--on takes one schedule, got {len(schedules)}; name it with --schedule")
    return schedules[0]


def _by_hand(screen: Screen, schedule: "Schedule | None", seed: int) -> None:
    """The local cloud that runs, whoever calls it: the feeding commands too."""
    from localcloud.session.chaos import put_faults

    report = put_faults(local_stack(), schedule, seed)
    counts = Counter(f"{one.kind} {one.service}/{one.operation}" for one in report.fired)
    screen.document({"on": schedule.name if schedule else "", "fired": counts})
    screen.text(f"{schedule.name} is on; next: feed, then chaos --off" if schedule else "off; what fired:")
    if schedule and schedule.given:
        screen.text(f"  its `given` is for a campaign's own data and changes nothing here: {', '.join(schedule.given)}")
    for what, count in counts.most_common():
        screen.text(f"  {count:>6}  {what}")


def _list(screen: Screen, schedules: "list[Schedule]") -> None:
    screen.document(schedules)
    rows: list[list[object]] = [
        [one.name, "; ".join([*(fault.words() for fault in one.faults), *(f"given {what}" for what in one.given)])]
        for one in schedules
    ]
    screen.table(["schedule", "faults"], rows)


def _line(run: "RunReport") -> str:
    line = (
        f"{'FAIL' if run.wrong else 'ok':<4} seed {run.seed:<4} {run.schedule:<31} {_counted(run.counts)}  "
        f"{run.seconds:.1f} s  {_counted(dict(sorted(run.fired.items())))}"
    )
    notes = [f"     {what}" for what in (*run.notes, *run.wrong)]
    return "\n".join([line, *notes, *([f"     {run.replay}"] if run.wrong else [])])


def _counted(counts: "Mapping[str, int]") -> str:
    """In the system's own words; what is 0 is not worth a word, but for what was lost or is there twice."""
    shown = {name: count for name, count in counts.items() if count or name in {"lost", "doubled"}}
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in shown.items())


def _show(screen: Screen, report: "CampaignReport") -> None:
    screen.text(
        f"{len(report.runs)} runs, {report.schedules} schedules, {sum(report.fired.values())} faults in "
        f"{report.seconds:.0f} s; docs/chaos.md says what is counted"
    )
    for name, count in report.counts.items():
        screen.text(f"  {count:>8}  {name.replace('_', ' ')}")
    for run in report.runs:
        if run.wrong:
            screen.text(f"failed: {run.replay}")
