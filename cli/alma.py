"""`./millrace alma`: report jobs, their runs, and what came of every record."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.project import local_stack, user_path
from cli.screen import Screen

if TYPE_CHECKING:
    from core.alma_analytics.reading import Whole

SHOWN = 100
app = typer.Typer(
    help="Report jobs, their runs, and what came of every record. Next: ./millrace alma jobs list", no_args_is_help=True
)
jobs_app = typer.Typer(
    help="Report jobs: list, apply, run, remove. Next: ./millrace alma jobs list", no_args_is_help=True
)
app.add_typer(jobs_app, name="jobs")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="As ./millrace alma runs shows it.")]


@jobs_app.command("list")
def list_(json: Json = False) -> None:
    """All report jobs, when each is next due, and its latest run. Next: alma jobs run NAME."""
    from localcloud.session.alma import alma

    screen = Screen(json=json)
    with alma(local_stack()) as system:
        found = system.jobs()
    screen.document({"jobs": found})
    if found:
        rows: list[list[object]] = [
            [one.name, one.schedule if one.enabled else "off", one.time_zone, _minute(one.next_slot), one.last_run,
             one.last_state, one.problem or (f"waits for {one.waits_for}" if one.waits_for else None)]
            for one in found
        ]  # fmt: skip
        screen.table(["job", "schedule", "zone", "next (UTC)", "last run", "state", "problem"], rows)
    else:
        screen.text("no report job yet; next: ./millrace alma jobs apply FILE")


@jobs_app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="YAML or JSON: a list of report jobs.")], json: Json = False
) -> None:
    """Create and change report jobs as a file says: all, or none and every fault. Next: alma jobs run NAME."""
    from localcloud.session.alma import WrongJobsError, alma

    screen = Screen(json=json)
    try:
        with alma(local_stack()) as system:
            done = system.apply(user_path(file))
    except WrongJobsError as error:
        if json:
            screen.document({"wrong": [one._asdict() for one in error.wrong]})
        raise
    screen.document(done)
    for what, names in (("created", done.created), ("changed", done.changed), ("unchanged", done.unchanged)):
        if names:
            screen.text(f"{what:<10}{', '.join(names)}")


@jobs_app.command()
def run(
    name: Annotated[str, typer.Argument(help="The job's name.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Prepare everything, update nothing.")] = False,
    json: Json = False,
) -> None:
    """Begin a run of a report job now. Next: wait, then alma show RUN."""
    from localcloud.session.alma import alma

    screen = Screen(json=json)
    with alma(local_stack()) as system:
        begun = system.run(name, dry_run=dry_run)
    screen.document(begun)
    screen.text(f"{begun.run_id} is begun; next: ./millrace wait, then ./millrace alma show {begun.run_id}")


@jobs_app.command()
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Jobs.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove report jobs for good, all or none; their runs stay. Next: alma jobs list."""
    from localcloud.session.alma import alma

    screen = Screen(json=json)
    listed = ", ".join(names)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"remove {listed}, for good: nobody is there to ask; say --yes")
        typer.confirm(f"remove {listed}?", abort=True, err=True)
    with alma(local_stack()) as system:
        done = system.remove(names)
    screen.document(done)
    screen.text(f"removed   {', '.join(done.removed)}; next: ./millrace alma jobs list")


@app.command()
def runs(
    job: Annotated[str | None, typer.Option(help="Only of this job.")] = None,
    state: Annotated[
        Literal["running", "parked", "done", "failed"] | None, typer.Option(help="Only in this state.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """The latest runs, the latest first. Next: alma show RUN."""
    from localcloud.session.alma import alma

    screen = Screen(json=json)
    with alma(local_stack()) as system:
        found = system.runs(job=job, state=state, limit=limit)
    screen.document({"runs": found})
    rows: list[list[object]] = [
        [one.run_id, one.state, one.trigger, _minute(one.created_at), _minute(one.finished_at), one.requests,
         _counted(one.counts), one.error]
        for one in found
    ]  # fmt: skip
    if rows:
        screen.table(["run", "state", "trigger", "begun (UTC)", "ended", "requests", "counts", "error"], rows)
    else:
        screen.text("no run; next: ./millrace alma jobs run NAME")


@app.command()
def show(
    run_id: RunId,
    page: Annotated[int | None, typer.Option(min=1, help="The rows of this fetched page.")] = None,
    side: Annotated[Literal["main", "other"], typer.Option(help="Of which report the page is.")] = "main",
    records: Annotated[Literal["changed", "failed", "all"], typer.Option(help="Which records.")] = "all",
    json: Json = False,
) -> None:
    """Everything of a run: stages, pages, records before and after, outcomes. Next: alma retry RUN."""
    from localcloud.session.alma import alma

    screen = Screen(json=json)
    with alma(local_stack()) as system:
        if page is not None:
            stored = system.page(run_id, page, side)
            screen.document({"columns": stored.columns, "rows": stored.rows()})
            screen.table(stored.columns, [list(row) for row in stored.rows()])
            return
        found = system.show(run_id, which=records, limit=None if json else SHOWN)
    screen.document(found)
    _show(screen, found)


@app.command()
def retry(run_id: RunId, json: Json = False) -> None:
    """Have a run that failed, is parked or stands still go on where it was. Next: wait, then alma show RUN."""
    from localcloud.session.alma import alma

    screen = Screen(json=json)
    with alma(local_stack()) as system:
        begun = system.retry(run_id)
    screen.document(begun)
    for message in begun.messages:
        screen.text(f"sent  {message}")
    screen.text(f"next: ./millrace wait, then ./millrace alma show {run_id}")


def _show(screen: Screen, found: "Whole") -> None:
    run = found.run
    told: list[tuple[str, object]] = [
        ("run", run.run_id), ("state", run.state), ("error", run.error), ("parked until", _minute(run.parked_until)),
        ("begun", _minute(run.created_at)), ("ended", _minute(run.finished_at)), ("trigger", run.trigger),
        ("requests", run.requests), ("counts", _counted(run.counts)), ("records", _counted(found.outcomes)),
        ("trace", run.traceparent.split("-")[1:2]),
    ]  # fmt: skip
    for name, value in told:
        if value not in (None, "", []):
            screen.text(f"{name:<14}{value[0] if isinstance(value, list) else value}")
    for waiting in found.waiting:
        screen.text(f"{'unsent':<14}{waiting.messages} to {waiting.queue} since {_minute(waiting.since)}")
    tables: list[tuple[list[str], list[list[object]]]] = [
        (["stage", "state", "done", "of", "failed"],
         [[one.stage, one.state, one.settled, one.tasks, one.failed] for one in found.stages]),
        (["page", "report", "rows", "fetched", "columns"],
         [[one.page, one.side, one.rows, _minute(one.fetched_at), ", ".join(one.columns)] for one in found.pages]),
        (["record", "ids", "outcome", "change", "reason"],
         [[one.position, " ".join(one.ids), one.state, _changes(one.before, one.after), one.reason]
          for one in found.records]),
    ]  # fmt: skip
    for columns, rows in tables:
        if rows:
            screen.text("")
            screen.table(columns, rows)
    if len(found.records) == SHOWN:
        screen.text(f"the first {SHOWN}; --json gives all")


def _changes(before: dict[str, object], after: dict[str, object]) -> str:
    return "; ".join(f"{field}: {before.get(field, '?')!r} → {value!r}" for field, value in after.items())


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _minute(moment: object) -> str:
    from datetime import UTC, datetime

    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else ""
