"""`./millrace queue`: what lies in a queue of Service Bus, without touching it; what is due later; emptying it."""

import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.namespace import Namespace, host_of
from cli.project import local_stack
from cli.screen import Screen

if TYPE_CHECKING:
    from localcloud.session.bus_queues import BusQueues, Look

app = typer.Typer(
    help="Queues and subscriptions of Service Bus: look, see what is due later, empty. "
    "Next: ./millrace status (their names), ./millrace queue peek NAME",
    no_args_is_help=True,
)
schedule = typer.Typer(help="Messages whose time has not come. Next: queue schedule list NAME", no_args_is_help=True)
app.add_typer(schedule, name="schedule")
Name = Annotated[str, typer.Argument(metavar="NAME", help="A queue (jobs) or a subscription (events/billing).")]
Dead = Annotated[bool, typer.Option("--dead", help="Its dead-letter queue instead.")]
From = Annotated[int, typer.Option("--from", min=1, metavar="SEQ", help="Begin with this sequence number.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")]
Session = Annotated[str, typer.Option(metavar="ID", help="Of a queue with sessions: which one.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def peek(
    name: Name,
    dead: Dead = False,
    from_: From = 1,
    limit: Limit = 20,
    session: Session = "",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Look at messages, in hand or not; none is locked or counted. Next: queue peek NAME --from SEQ, dlq list."""
    screen = Screen(json=json)
    with _queues(namespace) as queues:
        found = queues.peek(queues.find(name), dead=dead, start=from_, limit=limit, session=session)
    _show(screen, found, f"./millrace queue peek {name}")


@schedule.command("list")
def list_(
    name: Name,
    from_: From = 1,
    limit: Limit = 100,
    session: Session = "",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Messages whose time has not come, in the order they were given. Next: ./millrace wait, queue peek NAME."""
    screen = Screen(json=json)
    with _queues(namespace) as queues:
        place = queues.find(name)
        found = queues.peek(place, dead=False, start=from_, limit=limit, session=session, scheduled=True)
    _show(screen, found, f"./millrace queue schedule list {name}")


@app.command()
def purge(name: Name, dead: Dead = False, yes: Yes = False, namespace: Namespace = "", json: Json = False) -> None:
    """Remove for good what can be received now; what is in hand or scheduled stays. Next: queue peek NAME, status."""
    screen = Screen(json=json)
    with _queues(namespace) as queues:
        found = queues.find(name)
        entity = found.entity
        what = f"{found.namespace}/{entity.name}{' (its dead-letter queue)' if dead else ''}"
        if not yes:
            if not sys.stdin.isatty():
                raise typer.BadParameter(f"purge of {what}, for good: nobody is there to ask; say --yes")
            typer.confirm(f"purge {_counted(entity.dead if dead else entity.active)} of {what}?", abort=True, err=True)
        began = time.monotonic()
        with screen.working(f"purge {what}") as step:
            count = queues.purge(found, dead=dead)
            step.tell(_counted(count))
    screen.document({"queue": what, "purged": count, "seconds": round(time.monotonic() - began, 2)})
    screen.text(f"{_counted(count)} of {what} gone; next: ./millrace status")


def _queues(namespace: str) -> "AbstractContextManager[BusQueues]":
    from localcloud.session.bus_queues import azure_queues, bus_queues  # the SDK takes 0.2 s

    return azure_queues(host_of(namespace)) if namespace else bus_queues(local_stack())


def _show(screen: Screen, found: "Look", again: str) -> None:
    screen.document(found)
    rows: list[list[object]] = [
        [
            one.sequence_number,
            one.state,
            (one.scheduled or one.enqueued)[:19],
            one.delivery_count,
            one.subject,
            one.session,
            one.size,
            one.body[:80],
        ]
        for one in found.messages
    ]
    if rows:
        screen.table(["number", "state", "time", "tries", "subject", "session", "bytes", "body"], rows)
    screen.text(f"{_counted(len(rows))} of {found.queue}")
    if found.next is not None:
        screen.text(f"more: {again} --from {found.next}")


def _counted(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"
