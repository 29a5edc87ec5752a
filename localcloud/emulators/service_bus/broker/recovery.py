"""From the log's records back to the broker, and from the broker's state to records that replace old ones.

Locks are not kept: after a start every message that was locked is available, its delivery count as it was.
"""

from dataclasses import asdict, fields
from typing import Any, Final

from localcloud.emulators.service_bus.broker.model import CorrelationFilter, Envelope, Message, Rule, SqlFilter, State
from localcloud.emulators.service_bus.broker.namespace import Namespace
from localcloud.emulators.service_bus.broker.nodes import Node, Queue, Subscription, Topic
from localcloud.emulators.service_bus.broker.options import (
    Options,
    QueueOptions,
    Status,
    SubscriptionOptions,
    TopicOptions,
)
from localcloud.emulators.service_bus.broker.recording import (
    GONE,
    NODE,
    PUT,
    REMOVE,
    SEEN,
    STATE,
    UPDATE,
    decode,
    encode,
    message_of,
    plain,
    put_event,
)

OPTIONS: Final[dict[str, type[Options]]] = {
    "queue": QueueOptions,
    "topic": TopicOptions,
    "subscription": SubscriptionOptions,
}


def node_row(node: Node) -> list[Any]:
    """An entity as an event."""
    options = {**asdict(node.options), "status": str(node.options.status)}
    rules = [_rule_row(rule) for rule in node.rules()] if isinstance(node, Subscription) else []
    return [NODE, node.number, node.kind, node.path, options, rules, node.last_sequence, node.created, node.updated]


def _rule_row(rule: Rule) -> list[Any]:
    kind = "sql" if isinstance(rule.filter, SqlFilter) else "correlation"
    return [rule.name, kind, plain(asdict(rule.filter)), rule.action, plain(rule.action_parameters), rule.created]


def _rule_of(row: list[Any]) -> Rule:
    name, kind, values, action, parameters, created = row
    rule_filter = SqlFilter(**values) if kind == "sql" else CorrelationFilter(**values)
    return Rule(name, rule_filter, action, parameters, created)


def _options_of(kind: str, row: dict[str, Any]) -> Options:
    known = {field.name for field in fields(OPTIONS[kind])}
    values = {name: value for name, value in row.items() if name in known}
    return OPTIONS[kind](**{**values, "status": Status(row["status"])})


class Recovery:
    """Read every record, then `finish`. What was appended anew may stand later in the log than what builds on it (a
    topic after its subscription), so everything is made at the end. Events about what is gone are passed over.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._rows: dict[int, list[Any]] = {}
        self._messages: dict[int, dict[int, Message]] = {}
        self._seen: dict[int, dict[Any, float]] = {}
        self._states: dict[int, dict[str, tuple[bytes | None, float]]] = {}
        self._last: dict[int, int] = {}
        """The highest sequence number that any record names, of messages that are gone, too: none is given twice."""

    def read(self, record: bytes) -> None:
        """One record's events, in order."""
        for event in decode(record):
            kind, number = event[0], event[1]
            if kind in (PUT, REMOVE, UPDATE):
                self._message(event)
            elif kind == SEEN:
                self._seen.setdefault(number, {})[event[2]] = event[3]
            elif kind == STATE:
                self._states.setdefault(number, {})[event[2]] = (event[3], event[4])
            elif kind == NODE:
                self._rows[number] = event
                self._last[number] = max(self._last.get(number, 0), event[6])
                self._namespace.last_number = max(self._namespace.last_number, number)
            elif kind == GONE:
                self._gone(number)

    def _message(self, event: list[Any]) -> None:
        kind, number, sequence = event[:3]
        self._last[number // 4] = max(self._last.get(number // 4, 0), sequence)
        messages = self._messages.setdefault(number, {})
        if kind == PUT:
            messages[sequence] = message_of(event)
        elif kind == REMOVE:
            messages.pop(sequence, None)
        elif (message := messages.get(sequence)) is not None:
            message.delivery_count, message.state = event[3], State(event[4])
            if event[5] is not None:
                message.envelope = Envelope(*event[5])

    def _gone(self, number: int) -> None:
        self._rows.pop(number, None)
        self._seen.pop(number, None)
        self._namespace.last_number = max(self._namespace.last_number, number)
        for backlog in range(4 * number, 4 * number + 3):
            self._messages.pop(backlog, None)
            self._states.pop(backlog, None)

    def finish(self) -> None:
        """Make everything: topics before their subscriptions, messages in order."""
        for row in sorted(self._rows.values(), key=lambda row: (row[2] == "subscription", row[1])):
            self._make(row)
        backlogs = self._namespace.kernel.backlogs
        for number, messages in self._messages.items():
            if (backlog := backlogs.get(number)) is not None:
                for sequence in sorted(messages):
                    backlog.add(messages[sequence], record=False)
        for number, states in self._states.items():
            if (backlog := backlogs.get(number)) is not None and backlog.sessions is not None:
                backlog.sessions.restore(states)

    def _make(self, row: list[Any]) -> None:
        _, number, kind, path, values, rules, _, created, updated = row
        node = self._namespace.install(self._node(number, path, _options_of(kind, values)), record=False)
        node.last_sequence = self._last.get(number, 0)
        node.created, node.updated = created, updated
        if isinstance(node, Subscription):
            node.compiled = {each[0].casefold(): self._namespace.compile(_rule_of(each)) for each in rules}
        elif isinstance(node, Queue | Topic) and node.duplicates is not None:
            for message_id, when in sorted(self._seen.get(number, {}).items(), key=lambda item: item[1]):
                node.duplicates.restore(message_id, when)

    def _node(self, number: int, path: str, options: Options) -> Node:
        if isinstance(options, QueueOptions):
            return Queue(self._namespace, number, path, options)
        if isinstance(options, TopicOptions):
            return Topic(self._namespace, number, path, options)
        topic = self._namespace.topic(path[: path.lower().rindex("/subscriptions/")])
        return Subscription(self._namespace, number, topic, path, options)


def keep(namespace: Namespace, record: bytes) -> bytes | None:
    """What of an old record still lives, as it is now."""
    kept = [event for event in (_kept(namespace, old) for old in decode(record)) if event is not None]
    return encode(kept) if kept else None


def _kept(namespace: Namespace, event: list[Any]) -> list[Any] | None:
    kind, number = event[0], event[1]
    backlog = namespace.kernel.backlogs.get(number)
    if kind == PUT and backlog is not None:
        message = backlog.messages.get(event[2])
        return None if message is None else put_event(number, message)
    if kind == STATE and backlog is not None and backlog.sessions is not None:
        session = backlog.sessions.all.get(event[2])
        return event if session is not None and session.state is not None and session.state_set == event[4] else None
    main = namespace.kernel.backlogs.get(4 * number) if kind in (NODE, SEEN) else None
    if main is None:
        return None
    if kind == NODE:
        return node_row(main.node)
    duplicates = main.node.duplicates if isinstance(main.node, Queue | Topic) else None
    seen = duplicates is not None and duplicates.when(event[2]) == event[3]
    return [SEEN, number, plain(event[2]), event[3]] if seen else None
