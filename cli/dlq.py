"""`./millrace dlq`: dead letters of every kind, each with its reason; send them back, or drop them."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.namespace import Namespace, host_of
from cli.project import ROOT, local_stack
from cli.screen import Screen

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from localcloud.deadletters.acting import DeadLetters, Report, Verb
    from localcloud.deadletters.entry import Filter

SHOWN = 100
app = typer.Typer(
    help="Dead letters of every kind, each with its reason. Next: ./millrace dlq list", no_args_is_help=True
)
Ids = Annotated[list[str] | None, typer.Argument(help="Ids as list shows them, or their beginnings.")]
Kinds = Annotated[list[str] | None, typer.Option(help="sqs, storage, bus, line, file, message (repeatable).")]
System = Annotated[str, typer.Option(help="Only this system's.")]
App = Annotated[str, typer.Option(help="Only what this app could not handle (a part of its name).")]
Origin = Annotated[str, typer.Option(help="Only from this queue or file (a part of its name).")]
Reason = Annotated[str, typer.Option(help="Only with this text in their reason.")]
Since = Annotated[str, typer.Option(help="Only since then: 2h, 30m, 3d, or 2026-11-26T10:00 (UTC).")]
Before = Annotated[str, typer.Option(help="Only older: found dead before then, written as with --since.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many, the oldest first.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would be.")]
ViaTopic = Annotated[
    bool,
    typer.Option(
        "--via-topic", help="redrive: a subscription's letters may reach the topic's other subscriptions too."
    ),
]
Rate = Annotated[str, typer.Option(help="At most so many a second: 5 or 5/s; without it as fast as it goes.")]


@app.command("list")
def list_(
    kind: Kinds = None,
    system: System = "",
    app: App = "",
    origin: Origin = "",
    reason: Reason = "",
    since: Since = "",
    before: Before = "",
    limit: Limit = None,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """What is dead, and why; --json gives all of it. Next: ./millrace dlq show ID, redrive."""
    screen, wanted = Screen(json=json), _filter(None, kind, system, app, origin, reason, since, before, limit)
    with _opened(namespace) as dead:
        found = dead.listing(wanted)
    screen.document(found)
    entries = found.entries if limit else found.entries[:SHOWN]
    rows: list[list[object]] = [
        [one.id, one.kind, one.system, one.origin, one.time[:19], one.attempts, one.reason, one.excerpt[:60]]
        for one in entries
    ]
    if rows:
        screen.table(["id", "kind", "system", "origin", "time", "tries", "reason", "excerpt"], rows)
        screen.text("")
    more = f"; {found.total - len(entries)} more: say --limit, or filter" if found.total > len(entries) else ""
    screen.text(f"{_counted(found.total, found.kinds)}{more}")
    for place, count in found.hidden.items():
        screen.text(f"{place}: {count} more in somebody's hands")


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="An id, or its beginning.")],
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Everything that is known of one dead letter. Next: ./millrace dlq redrive ID, drop ID."""
    from localcloud.deadletters.entry import Filter
    from localcloud.session.local import LocalCloudError

    screen = Screen(json=json)
    with _opened(namespace) as dead:
        found = [entry for _, entries in dead.choose(Filter(ids=[id_])) for entry in entries]
    found = [entry for entry in found if entry.id == id_] or found
    if len(found) > 1:
        some = ", ".join(entry.id for entry in found[:5])
        raise LocalCloudError(f"dead letter {id_!r}: must name one, got {len(found)}: {some} …; write more of its id")
    (entry,) = found
    screen.document(entry)
    for name in entry.__struct_fields__[:-1]:
        screen.text(f"{name:<12}{getattr(entry, name)}")
    for name, value in entry.details.items():
        screen.text(f"{name:<12}{value}")


def _command(verb: "Verb", help_: str, done: str) -> None:
    """Both take the same options."""

    @app.command(verb, help=help_)
    def act(
        ids: Ids = None,
        kind: Kinds = None,
        system: System = "",
        app: App = "",
        origin: Origin = "",
        reason: Reason = "",
        since: Since = "",
        before: Before = "",
        limit: Limit = None,
        rate: Rate = "",
        dry_run: DryRun = False,
        yes: Yes = False,
        via_topic: ViaTopic = False,
        namespace: Namespace = "",
        json: Json = False,
    ) -> None:
        wanted = _filter(ids, kind, system, app, origin, reason, since, before, limit)
        screen, pace = Screen(json=json), _rate(rate)
        with _opened(namespace, spread=via_topic) as dead:
            report = _act(dead, verb, wanted, pace, screen, dry_run=dry_run, yes=yes)
        screen.document(report)
        screen.text(_said(report, done))


_command(
    "redrive",
    "Send dead letters back to be tried again. Interrupted, it loses and doubles nothing. Next: wait, dlq list.",
    "sent back; next: ./millrace wait, then ./millrace dlq list",
)
_command("drop", "Remove dead letters for good. Next: ./millrace dlq list.", "dropped")


def _opened(namespace: str, *, spread: bool = False) -> "AbstractContextManager[DeadLetters]":
    from localcloud.deadletters.acting import dead_letters, namespace_letters

    if namespace:
        return namespace_letters(ROOT / ".millrace" / "azure", host_of(namespace), spread=spread)
    return dead_letters(local_stack(), spread=spread)


def _act(
    dead: "DeadLetters", verb: "Verb", wanted: "Filter", pace: float, screen: Screen, *, dry_run: bool, yes: bool
) -> "Report":
    from localcloud.deadletters import acting

    chosen = dead.choose(wanted)
    plan = acting.dry_run(verb, chosen)
    if dry_run:
        return plan
    if not plan.chosen:
        return dead.act(verb, [], rate=pace, tell=lambda _: None)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"{verb} {_counted(plan.chosen, plan.kinds)}?", abort=True, err=True)
    elif not yes and verb == "drop" and wanted.everything:
        raise typer.BadParameter("drop of everything, for good: nobody is there to ask; say --yes, or --dry-run")
    with screen.working(f"{verb} {plan.chosen}") as step:
        return dead.act(verb, chosen, rate=pace, tell=lambda done: step.tell(f"{done} of {plan.chosen}"))


def _filter(
    ids: list[str] | None,
    kinds: list[str] | None,
    system: str,
    app: str,
    origin: str,
    reason: str,
    since: str,
    before: str,
    limit: int | None,
) -> "Filter":
    from localcloud.deadletters.entry import KINDS, Filter

    for kind in kinds or []:
        if kind not in KINDS:
            raise typer.BadParameter(f"--kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return Filter(
        ids=ids or [], kinds=kinds or [], system=system, app=app, origin=origin, reason=reason,
        since=_moment("--since", since), before=_moment("--before", before), limit=limit,
    )  # fmt: skip


def _moment(option: str, text: str) -> datetime | None:
    from localcloud.deadletters.entry import moment

    try:
        return moment(text, datetime.now(UTC)) if text else None
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from error


def _rate(text: str) -> float:
    try:
        rate = float(text.removesuffix("/s") or 0)
    except ValueError:
        rate = -1
    if text and not 0 < rate < float("inf"):
        raise typer.BadParameter(f"--rate must be a number of letters a second, like 5 or 5/s, got {text!r}")
    return rate


def _counted(total: int, kinds: dict[str, int]) -> str:
    parts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{total} dead letter{'' if total == 1 else 's'}" + (f" ({parts})" if parts else "")


def _said(report: "Report", what: str) -> str:
    if not report.chosen:
        return "no dead letter matches; nothing was done"
    if report.dry_run:
        return f"{_counted(report.chosen, report.kinds)} chosen; nothing was done"
    return f"{report.done} of {_counted(report.chosen, report.kinds)} {what} ({report.seconds:g} s)"
