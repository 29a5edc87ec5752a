"""All entities of one namespace: made, changed, deleted, found by their paths, and chained by forwarding.

Documented: names are case-insensitive; a forwarding target must exist when its source is made; a message takes four
hops at most; sessions, duplicate detection and partitioning cannot change after creation. Our reading: a chain that
leads back to its beginning is refused.
"""

from dataclasses import replace
from typing import TypeVar

from localcloud.emulators.service_bus.broker.backlog import Backlog
from localcloud.emulators.service_bus.broker.kernel import Kernel
from localcloud.emulators.service_bus.broker.model import (
    BrokerError,
    Condition,
    Envelope,
    Origin,
    Rule,
    SqlFilter,
    State,
)
from localcloud.emulators.service_bus.broker.nodes import (
    MAX_HOPS,
    NO_SESSION,
    Node,
    Queue,
    Subscription,
    Topic,
    quota,
)
from localcloud.emulators.service_bus.broker.options import (
    FIXED,
    Options,
    QueueOptions,
    Status,
    SubscriptionOptions,
    TopicOptions,
    name_fault,
    path_fault,
    rule_name_fault,
)
from localcloud.emulators.service_bus.broker.rules.compiled import CompiledRule
from localcloud.emulators.service_bus.broker.rules.sql import FilterError

NodeT = TypeVar("NodeT", bound=Node)
DEFAULT_RULE = Rule("$Default", SqlFilter("1=1"))


class Namespace:
    """Paths are folded to lower case; a subscription's is `topic/subscriptions/name`."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.nodes: dict[str, Node] = {}
        self.places: dict[str, Backlog] = {}
        """Every addressable path, dead-letter queues included."""
        self.last_number = 0

    # -- finding

    def place(self, path: str) -> Backlog:
        """The addressed backlog."""
        found = self.places.get(path.strip("/").lower())
        if found is None:
            raise BrokerError(Condition.NOT_FOUND, f"The messaging entity {path!r} could not be found.")
        return found

    def node(self, path: str) -> Node:
        """The entity of this path."""
        found = self.nodes.get(path.strip("/").lower())
        if found is None:
            raise BrokerError(Condition.NOT_FOUND, f"The messaging entity {path!r} could not be found.")
        return found

    def topic(self, path: str) -> Topic:
        """The topic of this path."""
        found = self.node(path)
        if not isinstance(found, Topic):
            raise BrokerError(Condition.NOT_ALLOWED, f"{found.path} is a {found.kind}, not a topic.")
        return found

    def subscription(self, path: str) -> Subscription:
        """The subscription of this path."""
        found = self.node(path)
        if not isinstance(found, Subscription):
            raise BrokerError(Condition.NOT_ALLOWED, f"{found.path} is a {found.kind}; only subscriptions have rules.")
        return found

    # -- making

    def create_queue(self, path: str, options: QueueOptions) -> Queue:
        """entity-already-exists, argument-error."""
        self._admit(path, path_fault(path), options)
        return self.install(Queue(self, self._number(), path, options))

    def create_topic(self, path: str, options: TopicOptions) -> Topic:
        """entity-already-exists, argument-error."""
        self._admit(path, path_fault(path), options)
        return self.install(Topic(self, self._number(), path, options))

    def create_subscription(
        self, topic_path: str, name: str, options: SubscriptionOptions, rules: tuple[Rule, ...] = (DEFAULT_RULE,)
    ) -> Subscription:
        """With the given rules, by default one that takes everything."""
        topic = self.topic(topic_path)
        path = f"{topic.path}/Subscriptions/{name}"
        self._admit(path, name_fault(name), options)
        compiled = [self.compile(rule) for rule in rules]
        subscription = Subscription(self, self._number(), topic, path, options)
        for rule in compiled:
            subscription.compiled[rule.rule.name.casefold()] = rule
        return self.install(subscription)

    def _number(self) -> int:
        self.last_number += 1
        return self.last_number

    def _admit(self, path: str, fault: str | None, options: Options) -> None:
        if fault is not None:
            raise BrokerError(Condition.ARGUMENT, f"{path}: {fault}.")
        if path.lower() in self.nodes:
            raise BrokerError(Condition.ENTITY_EXISTS, f"The messaging entity {path!r} exists already.")
        self.check(path, options)

    def check(self, path: str, options: Options) -> None:
        """All that is wrong with the options, at once."""
        faults = [*options.faults(), *self._chain_faults(path, options)]
        if faults:
            raise BrokerError(Condition.ARGUMENT, f"{path}: {'; '.join(faults)}.")

    def _chain_faults(self, path: str, options: Options) -> list[str]:
        if isinstance(options, TopicOptions):
            return []
        faults = []
        for name, target in (
            ("ForwardTo", options.forward_to),
            ("ForwardDeadLetteredMessagesTo", options.forward_dead_letters_to),
        ):
            if target is None:
                continue
            if target.lower() == path.lower():
                faults.append(f"{name} must name another entity, got itself")
            elif isinstance(self.nodes.get(target.lower()), Subscription) or target.lower() not in self.nodes:
                faults.append(f"{name} must name a queue or topic that exists, got {target!r}")
            elif name == "ForwardTo" and path.lower() in self._reached(target):
                faults.append(f"{name} must not lead back to the entity itself, but {target!r} does")
        return faults

    def _reached(self, target: str) -> set[str]:
        """Every path to which messages of the target are forwarded, its own included."""
        reached: set[str] = set()
        row = [target.lower()]
        while row:
            path = row.pop()
            node = self.nodes.get(path)
            if path in reached or node is None:
                continue
            reached.add(path)
            if isinstance(node, Topic):
                row += [subscription.path.lower() for subscription in node.subscriptions.values()]
                continue
            if node.forward_to is not None:
                row.append(node.forward_to.lower())
            if isinstance(node, Subscription) and node.owner is not None:
                reached.add(node.owner.path.lower())
        return reached

    def install(self, node: NodeT, *, record: bool = True) -> NodeT:
        """Make it known."""
        self.nodes[node.path.lower()] = node
        for backlog in node.backlogs():
            self.places[backlog.path.lower()] = backlog
        if isinstance(node, Subscription) and isinstance(node.owner, Topic):
            node.owner.subscriptions[node.name.lower()] = node
        if record:
            self.kernel.record.node(node)
        return node

    # -- changing

    def update(self, node: Node, options: Options) -> None:
        """Other options; what cannot change must be as it was."""
        for name in FIXED:
            if getattr(options, name, None) != getattr(node.options, name, None):
                raise BrokerError(Condition.ARGUMENT, f"{node.path}: {name} cannot change after creation.")
        self.check(node.path, options)
        node.updated = node.used = self.kernel.clock()
        node.configure(options)
        if (
            isinstance(node, Queue | Topic)
            and node.duplicates is not None
            and not isinstance(options, SubscriptionOptions)
        ):
            node.duplicates.window_s = options.duplicate_window_s
        self.kernel.record.node(node)
        if not node.may_receive:
            error = BrokerError(Condition.ENTITY_DISABLED, f"{node.path} was disabled ({options.status}).")
            for link in list(node.links):
                link.end(error)
        if node.forward_to is not None:
            self._forward_all(node)
        for backlog in node.backlogs():
            self.kernel.touched[backlog] = None

    def _forward_all(self, node: Node) -> None:
        """Forwarding was switched on: what is there already goes, too."""
        now = self.kernel.clock()
        for message in list(node.main.messages.values()):
            if message.state == State.ACTIVE and message.locked_until is None:
                node.main.remove_ready(message)
                node.keep(message.envelope, now, Origin(message.hops, message.sequence))

    def delete(self, node: Node) -> None:
        """With all its messages, a topic's subscriptions included."""
        if isinstance(node, Topic):
            for subscription in list(node.subscriptions.values()):
                self.delete(subscription)
        error = BrokerError(Condition.NOT_FOUND, f"The messaging entity {node.path!r} was deleted.")
        for link in list(node.links):
            link.end(error)
        del self.nodes[node.path.lower()]
        for backlog in node.backlogs():
            del self.places[backlog.path.lower()]
            del self.kernel.backlogs[backlog.number]
            backlog.close(error)
        if node.owner is not None:
            node.grow(-node.size)
        if isinstance(node, Subscription) and isinstance(node.owner, Topic):
            node.owner.subscriptions.pop(node.name.lower(), None)
        self.kernel.record.node_gone(node)

    # -- rules

    def compile(self, rule: Rule) -> CompiledRule:
        """A rule that can be asked."""
        fault = rule_name_fault(rule.name)
        if fault is not None:
            raise BrokerError(Condition.ARGUMENT, f"Rule {rule.name!r}: {fault}.")
        try:
            return CompiledRule(rule if rule.created else replace(rule, created=self.kernel.clock()))
        except FilterError as error:
            raise BrokerError(Condition.ARGUMENT, f"Rule {rule.name!r}: {error}.") from error

    def add_rule(self, subscription: Subscription, rule: Rule, *, instead: bool = False) -> Rule:
        """A new one, or (`instead`) another one of the same name."""
        key = rule.name.casefold()
        if instead != (key in subscription.compiled):
            condition = Condition.NOT_FOUND if instead else Condition.ENTITY_EXISTS
            text = f"{subscription.path}: rule {rule.name!r} {'does not exist' if instead else 'exists already'}."
            raise BrokerError(condition, text)
        compiled = self.compile(rule)
        subscription.compiled[key] = compiled
        self.kernel.record.node(subscription)
        return compiled.rule

    def remove_rule(self, subscription: Subscription, name: str) -> None:
        """not-found."""
        if subscription.compiled.pop(name.casefold(), None) is None:
            text = f"{subscription.path}: there is no rule {name!r}."
            raise BrokerError(Condition.NOT_FOUND, text)
        self.kernel.record.node(subscription)

    # -- forwarding

    def forward(self, source: Node, envelope: Envelope, target: str, now: float, origin: Origin) -> None:
        """To the target, or into the source's transfer dead-letter queue."""
        hops = origin.hops + 1
        node = self.nodes.get(target.lower())
        if node is None:
            source.bury(
                source.transfer, envelope, now, "MessagingEntityNotFound", f"{target!r} does not exist (any more)."
            )
            return
        fault = self._transfer_fault(node, envelope, hops)
        if fault is not None:
            source.bury(source.transfer, envelope, now, *fault)
            return
        if isinstance(node, Queue | Topic) and node.duplicates is not None and envelope.message_id is not None:
            if not node.duplicates.is_new(envelope.message_id, now):
                return
            self.kernel.record.seen(node.number, envelope.message_id, now)
        sequence = origin.sequence or source.last_sequence
        node.accept(envelope, now, Origin(hops, sequence, origin.reason, origin.description, origin.source))

    def _transfer_fault(self, node: Node, envelope: Envelope, hops: int) -> tuple[str, str] | None:
        """Reason and description. The reasons but the first and last are our own: none are documented."""
        if hops > MAX_HOPS:
            return "MaxTransferHopCountExceeded", f"A message is forwarded {MAX_HOPS} times at most."
        if not node.may_send:
            status = Status(node.options.status)
            return "MessagingEntityDisabled", f"{node.path} does not take messages ({status})."
        if node.size + envelope.size > quota(node):
            return "QuotaExceeded", f"{node.path} is full."
        if isinstance(node, Queue) and node.main.sessions is not None and envelope.session_id is None:
            return NO_SESSION
        return None
