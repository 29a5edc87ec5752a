"""The administration's half of the broker: entities and rules are made, changed, deleted, listed and counted."""

from collections.abc import Iterator
from contextlib import contextmanager

from localcloud.emulators.service_bus.broker.backlog import Backlog
from localcloud.emulators.service_bus.broker.interface import Path
from localcloud.emulators.service_bus.broker.kernel import Kernel
from localcloud.emulators.service_bus.broker.model import BrokerError, Condition, Counts, Rule, State
from localcloud.emulators.service_bus.broker.namespace import DEFAULT_RULE, Namespace
from localcloud.emulators.service_bus.broker.nodes import Node, Topic
from localcloud.emulators.service_bus.broker.options import Options, QueueOptions, SubscriptionOptions, TopicOptions


class Entities:
    """What `service.Service` builds on."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.namespace = Namespace(kernel)

    @contextmanager
    def _operation(self) -> Iterator[None]:
        """What was changed is recorded even when the rest is refused: the record follows the memory."""
        try:
            yield
        finally:
            self._kernel.finish()

    def entity(self, path: str) -> Backlog:
        """See `interface.Broker`."""
        return self.namespace.place(path)

    def _place(self, path: Path) -> Backlog:
        if isinstance(path, Backlog):
            if path.closed:
                raise BrokerError(Condition.NOT_FOUND, f"The messaging entity {path.path!r} was deleted.")
            return path
        return self.namespace.place(path if isinstance(path, str) else path.path)

    # -- rules

    def add_rule(self, path: Path, rule: Rule) -> None:
        """See `interface.Broker`."""
        with self._operation():
            self.namespace.add_rule(self.namespace.subscription(self._place(path).path), rule)

    def replace_rule(self, path: Path, rule: Rule) -> Rule:
        """Another rule of the same name (not-found)."""
        with self._operation():
            return self.namespace.add_rule(self.namespace.subscription(self._place(path).path), rule, instead=True)

    def remove_rule(self, path: Path, name: str) -> None:
        """See `interface.Broker`."""
        with self._operation():
            self.namespace.remove_rule(self.namespace.subscription(self._place(path).path), name)

    def rules(self, path: Path, skip: int = 0, top: int = 100) -> list[Rule]:
        """See `interface.Broker`."""
        return self.namespace.subscription(self._place(path).path).rules()[skip : skip + top]

    # -- entities

    def create_queue(self, path: str, options: QueueOptions) -> Node:
        """entity-already-exists; argument-error with everything that is wrong."""
        with self._operation():
            return self.namespace.create_queue(path, options)

    def create_topic(self, path: str, options: TopicOptions) -> Node:
        """entity-already-exists; argument-error with everything that is wrong."""
        with self._operation():
            return self.namespace.create_topic(path, options)

    def create_subscription(
        self, topic: str, name: str, options: SubscriptionOptions, rules: tuple[Rule, ...] = (DEFAULT_RULE,)
    ) -> Node:
        """entity-already-exists; argument-error with everything that is wrong; not-found: the topic."""
        with self._operation():
            return self.namespace.create_subscription(topic, name, options, rules)

    def update(self, path: str, options: Options) -> Node:
        """Other options for an entity."""
        node = self.namespace.node(path)
        if type(options) is not type(node.options):
            raise BrokerError(Condition.ARGUMENT, f"{node.path} is a {node.kind}: its options are of another kind.")
        with self._operation():
            self.namespace.update(node, options)
        return node

    def delete(self, path: str) -> None:
        """An entity, with all its messages."""
        with self._operation():
            self.namespace.delete(self.namespace.node(path))

    def nodes(self) -> list[Node]:
        """All entities, in order of their paths."""
        return [node for _, node in sorted(self.namespace.nodes.items())]

    def counts(self, path: Path) -> Counts:
        """See `interface.Broker`."""
        return counts(self._place(path).node)


def counts(node: Node) -> Counts:
    """Runtime counts. Our reading: locked and deferred messages count as active ones."""
    dead, transfer = node.dead, node.transfer
    active = (m.enqueued for m in node.main.messages.values() if m.state == State.ACTIVE)
    return Counts(
        active=node.main.active,
        dead_letter=dead.active if dead is not None else 0,
        scheduled=node.main.scheduled,
        transfer=0,
        transfer_dead_letter=transfer.active if transfer is not None else 0,
        size=node.size,
        oldest_active=next(active, None),
        subscriptions=len(node.subscriptions) if isinstance(node, Topic) else 0,
    )
