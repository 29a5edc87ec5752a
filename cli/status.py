"""`./millrace status`: what exists and what runs."""

from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def status(json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False) -> None:
    """Resources, apps, queues, endpoints, last runs. Next: ./millrace logs, query."""
    screen, stack = Screen(json=json), local_stack()
    now = stack.status()
    # Messages in dead-letter and poison queues, and letters of the failed-file place (each of one or more records).
    dead = sum(queue.dead for queue in now.queues) + stack.require().call("GET", "/dead-letters", None, int)
    urns = {(record.type, record.id): record.urn for record in stack.records().values()}
    apps = [
        {
            "name": app.name,
            "system": app.system,
            "instances": len(app.instances),
            "processes": app.instances,
            "functions": app.functions,
            "in_flight": app.in_flight,
        }
        for app in now.apps
    ]
    resources = [
        {"urn": urns.get((one.type, one.id), ""), "type": one.type, "id": one.id, "name": one.name}
        for one in now.resources
    ]
    screen.document(
        {
            "apps": apps,
            "problems": now.problems,
            "queues": now.queues,
            "resources": resources,
            "endpoints": now.endpoints,
            "in_flight": now.in_flight,
            "dead_letters": dead,
        }
    )
    screen.text(f"{len(now.resources)} resources, {len(now.apps)} apps, {now.in_flight} messages in flight\n")
    screen.table(
        ["app", "function", "instances", "runs", "failures", "last", "next"],
        [
            [
                app.name,
                function.name,
                len(app.instances) or "asleep",
                function.runs,
                function.failures,
                f"{function.last.outcome} at {function.last.started:%H:%M:%S}" if function.last else "never",
                f"{function.next:%H:%M:%S}" if function.next else "",
            ]
            for app in now.apps
            for function in app.functions
        ],
    )
    for name, problem in now.problems.items():
        screen.text(f"\n{name} is in trouble: {problem}")
    screen.text("")
    screen.table(
        ["queue", "kind", "active", "in flight", "scheduled", "dead"],
        [[q.name, q.kind, q.active, q.in_flight, q.scheduled, q.dead] for q in now.queues],
    )
    if dead:
        screen.text(f"\n{dead} dead letters: ./millrace dlq list")
    screen.text("")
    for name, address in now.endpoints.items():
        screen.text(f"  {name:<12}{address}")
