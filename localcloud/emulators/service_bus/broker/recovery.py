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
    """Read every record, then `finish`. Events about what is gone already are passed over."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._nodes: dict[int, Node] = {}
        self._messages: dict[int, dict[int, Message]] = {}
        self._last: dict[int, int] = {}
        """The highest sequence number that any record names, of messages that are gone, too: none is given twice."""

    def read(self, record: bytes) -> None:
        """One record's events, in order."""
        for event in decode(record):
            kind, number = event[0], event[1]
            if kind in (PUT, REMOVE, UPDATE):
                self._message(event)
            elif kind == SEEN:
                node = self._nodes.get(number)
                if isinstance(node, Queue | Topic) and node.duplicates is not None:
                    node.duplicates.restore(event[2], event[3])
            elif kind == STATE:
                self._session_state(event)
            elif kind == NODE:
                self._node(event)
            elif kind == GONE:
                self._gone(number)

    def _message(self, event: list[Any]) -> None:
        kind, number, sequence = event[:3]
        self._last[number // 4] = max(self._last.get(number // 4, 0), sequence)
        if kind == PUT:
            self._messages.setdefault(number, {})[sequence] = message_of(event)
        elif kind == REMOVE:
            self._messages.get(number, {}).pop(sequence, None)
        else:
            self._update(event)

    def _update(self, event: list[Any]) -> None:
        _, backlog, sequence, count, state, row = event
        message = self._messages.get(backlog, {}).get(sequence)
        if message is not None:
            message.delivery_count, message.state = count, State(state)
            if row is not None:
                message.envelope = Envelope(*row)

    def _session_state(self, event: list[Any]) -> None:
        _, number, name, state, when = event
        backlog = self._namespace.kernel.backlogs.get(number)
        if backlog is not None and backlog.sessions is not None:
            session = backlog.sessions.of(name)
            session.state, session.state_set = state, when

    def _node(self, event: list[Any]) -> None:
        _, number, kind, path, row, rules, last_sequence, created, updated = event
        namespace = self._namespace
        options = _options_of(kind, row)
        node = self._nodes.get(number)
        if node is None:
            node = self._nodes[number] = namespace.install(self._made(number, path, options), record=False)
        else:
            node.configure(options)
        node.last_sequence = max(node.last_sequence, last_sequence)
        node.created, node.updated = created, updated
        namespace.last_number = max(namespace.last_number, number)
        if isinstance(node, Subscription):
            node.compiled = {row[0].casefold(): namespace.compile(_rule_of(row)) for row in rules}

    def _made(self, number: int, path: str, options: Options) -> Node:
        if isinstance(options, QueueOptions):
            return Queue(self._namespace, number, path, options)
        if isinstance(options, TopicOptions):
            return Topic(self._namespace, number, path, options)
        topic = self._namespace.topic(path[: path.lower().rindex("/subscriptions/")])
        return Subscription(self._namespace, number, topic, path, options)

    def _gone(self, number: int) -> None:
        node = self._nodes.pop(number, None)
        if node is None:
            return
        for backlog in node.backlogs():
            self._messages.pop(backlog.number, None)
        if node.path.lower() in self._namespace.nodes:
            self._namespace.delete(node)

    def finish(self) -> None:
        """Put the messages into their places, in order."""
        for number, messages in self._messages.items():
            backlog = self._namespace.kernel.backlogs.get(number)
            if backlog is None:
                continue
            for sequence in sorted(messages):
                backlog.add(messages[sequence], record=False)
        for number, last in self._last.items():
            if number in self._nodes:
                self._nodes[number].last_sequence = max(self._nodes[number].last_sequence, last)
        for backlog in self._namespace.kernel.backlogs.values():
            for session in list(backlog.sessions.all.values()) if backlog.sessions is not None else ():
                backlog.sessions.forget_empty(session)  # type: ignore[union-attr]  # the loop is empty without sessions


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
