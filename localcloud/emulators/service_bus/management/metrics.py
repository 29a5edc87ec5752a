"""What Prometheus reads: every entity's depth now, and what happened to its messages since the process began.

The text format is Prometheus' own (exposition format 0.0.4); the names are ours, for Azure's metrics of Service Bus
("Azure Service Bus monitoring data reference") know topics and queues only, and no locks.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from localcloud.emulators.service_bus.broker.backlog import Backlog
from localcloud.emulators.service_bus.broker.nodes import Node
from localcloud.emulators.service_bus.broker.service import Service

OWN: Final = "localhost"
"""The namespace's name where there is one only."""
_ENTITIES: Final = "servicebus_messages"
_DEPTHS: Final = {
    "active": "Messages that can be received now, or are locked, or deferred.",
    "scheduled": "Messages whose time has not come.",
    "dead_lettered": "Messages in the dead-letter queues.",
    "locked": "Messages that a receiver holds.",
}
_TOTALS: Final = {
    "sent": "Messages that came from senders, or into a subscription from its topic.",
    "received": "Deliveries to receivers.",
    "completed": "Deliveries that were completed.",
    "abandoned": "Deliveries that were given back.",
    "deferred": "Deliveries that were put aside.",
    "dead_lettered": "Messages that were given up.",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One namespace, and how many peers it has."""

    service: Service
    connections: int


def page(namespaces: Mapping[str, Seen]) -> str:
    """The whole page, of namespaces by name."""
    lines: list[str] = []
    places = [(name, node) for name, seen in namespaces.items() for node in seen.service.nodes()]
    for depth, text in _DEPTHS.items():
        lines += _head(f"{_ENTITIES}_{depth}", "gauge", text)
        lines += (_line(f"{_ENTITIES}_{depth}", name, node.path, _depth(node, depth)) for name, node in places)
    backlogs = [(name, backlog) for name, node in places for backlog in _received_from(node)]
    for total, text in _TOTALS.items():
        lines += _head(f"{_ENTITIES}_{total}_total", "counter", text)
        lines += (
            _line(f"{_ENTITIES}_{total}_total", name, one.path, getattr(one.tally, total)) for name, one in backlogs
        )
    lines += _head("servicebus_connections", "gauge", "Peers that are connected.")
    lines += (f'servicebus_connections{{namespace="{name}"}} {seen.connections}' for name, seen in namespaces.items())
    return "\n".join(lines) + "\n"


def _depth(node: Node, which: str) -> int:
    if which == "active":
        return node.main.active
    if which == "scheduled":
        return node.main.scheduled
    if which == "locked":
        return sum(len(backlog.held) for backlog in node.backlogs())
    return sum(backlog.active for backlog in node.backlogs() if backlog.sub_queue)


def _received_from(node: Node) -> Iterator[Backlog]:
    """Itself, and its dead-letter queue as a place of its own."""
    yield node.main
    if node.dead is not None:
        yield node.dead


def _head(name: str, kind: str, text: str) -> Iterable[str]:
    return (f"# HELP {name} {text}", f"# TYPE {name} {kind}")


def _line(metric: str, namespace: str, entity: str, value: int) -> str:
    """Names of entities and namespaces hold nothing that the format would have escaped."""
    return f'{metric}{{namespace="{namespace}",entity="{entity}"}} {value}'
