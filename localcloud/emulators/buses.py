"""Azure Service Bus namespaces as the control plane knows them: each a broker with its own log, on a port of its own.

Entities and messages are the broker's own and survive a kill; what is declared again at each start changes nothing. A
removed entity takes its messages along, a changed one keeps them. Keys are given out by nobody, whatever a namespace
declares about local authentication: callers are identities with a role on what they ask for (`bus_gate`).
"""

import asyncio
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from localcloud.emulators import bus_inputs
from localcloud.emulators.access import Access
from localcloud.emulators.bus_gate import BusGate, Count
from localcloud.emulators.bus_inputs import Inputs
from localcloud.emulators.identity import Identity
from localcloud.emulators.ports import Ports
from localcloud.emulators.private_files import private_folder
from localcloud.emulators.queue_depth import QueueDepth
from localcloud.emulators.service_bus.broker.model import BrokerError, Rule
from localcloud.emulators.service_bus.broker.nodes import Node, Subscription
from localcloud.emulators.service_bus.broker.options import Options, QueueOptions, SubscriptionOptions, TopicOptions
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.management import metrics
from localcloud.emulators.service_bus.management.admin import Administration
from localcloud.emulators.service_bus.protocol.errors import Refused
from localcloud.emulators.service_bus.server import Server
from localcloud.emulators.service_bus.storage.journal import Journal, JournalError

SERVICE: Final = "servicebus"
HOST: Final = "localhost"
KIND: Final = "bus"
PUT_ASIDE: Final = "-dead"
"""What a queue's name ends with where steps on Functions put what they give up."""


class BusNamespace:
    """One namespace while it runs."""

    def __init__(
        self, folder: Path, identity: Identity, access: Access, arm_id: str, count: Count, clock: Callable[[], float]
    ) -> None:
        """Reads its log; JournalError for a folder that cannot be used."""
        self.arm_id = arm_id
        self._journal = Journal(folder)
        try:
            self.service = Service(clock=clock, log=self._journal)
        except BaseException:
            self._journal.close()
            raise
        gate = BusGate(identity, access, arm_id, lambda path: self.service.namespace.nodes.get(path.lower()), count)
        self._administration = Administration(self.service, gate.http, refusals=Refused)
        self.server = Server(self.service, keys={}, authorize=gate.amqp, clock=clock)
        self.host = ""

    async def open(self, ports: Ports, name: str, tls: ssl.SSLContext) -> None:
        """Take connections on the port that it had before."""
        self.service.start()
        speaks_http = await self._administration.start()
        port = await self.server.listen(ports.listen(f"{SERVICE}-{name}"), tls, speaks_http)
        self.host = f"{HOST}:{port}"

    async def close(self) -> None:
        """Everything acknowledged is on disk."""
        await self.server.close()
        await self._administration.close()
        self.service.close()
        self._journal.close()

    async def done(self) -> None:
        """Wait until all that was done is on disk; OSError when it cannot be."""
        written = self.service.durable()
        if written is not None:
            await written

    def node(self, path: str) -> Node | None:
        """An entity."""
        return self.service.namespace.nodes.get(path.lower())


class ServiceBusNamespaces:
    """All of one local cloud. Puts are idempotent; ValueError says what Service Bus would refuse, LookupError what is
    not there.
    """

    def __init__(
        self,
        home: Path,
        ports: Ports,
        identity: Identity,
        access: Access,
        context: Callable[[], ssl.SSLContext],
        *,
        count: Count,
        clock: Callable[[], float],
    ) -> None:
        """Nothing runs yet. `count`: told of every token, link and request, admitted or refused."""
        self._home, self._ports, self._identity, self._access = home, ports, identity, access
        self._context, self._count, self._clock = context, count, clock
        self._namespaces: dict[str, BusNamespace] = {}
        self._failed: dict[str, str] = {}

    # ---- namespaces

    async def put(self, name: str, arm_id: str) -> str:
        """Opens it unless it is open; answers `host:port`. ValueError for a name that another resource has, and, with
        a problem in the status, when its log cannot be read: the rest of the cloud goes on.
        """
        there = self._namespaces.get(name)
        if there is not None and there.arm_id.lower() != arm_id.lower():
            raise ValueError(
                f"The namespace name {name!r} is not available: {there.arm_id} has it; give it another name"
            )
        if there is None:
            folder = private_folder(private_folder(self._home) / name)
            try:
                made = BusNamespace(folder, self._identity, self._access, arm_id, self._count, self._clock)
                await made.open(self._ports, name, self._context())
            except (JournalError, OSError) as error:
                self._failed[name] = str(error)
                raise ValueError(str(error)) from error
            self._namespaces[name] = made
            self._failed.pop(name, None)
        return self._namespaces[name].host

    async def remove(self, name: str) -> None:
        """Closes it and removes all it held."""
        namespace = self._namespaces.pop(name, None)
        if namespace is not None:
            await namespace.close()
        self._failed.pop(name, None)
        await asyncio.to_thread(shutil.rmtree, self._home / name, ignore_errors=True)

    async def stop(self) -> None:
        """Closes all of them; data stays."""
        await asyncio.gather(*(namespace.close() for namespace in self._namespaces.values()))
        self._namespaces.clear()

    # ---- entities

    async def put_queue(self, namespace: str, name: str, inputs: Inputs) -> None:
        """`inputs` as ARM has them."""
        await self._put(namespace, name, bus_inputs.options(QueueOptions, inputs))

    async def put_topic(self, namespace: str, name: str, inputs: Inputs) -> None:
        """`inputs` as ARM has them."""
        await self._put(namespace, name, bus_inputs.options(TopicOptions, inputs))

    async def put_subscription(self, namespace: str, topic: str, name: str, inputs: Inputs) -> None:
        """A new one takes everything, by its rule `$Default`; the rules of one that is there stay."""
        await self._put(namespace, subscription_path(topic, name), bus_inputs.options(SubscriptionOptions, inputs))

    async def put_rule(self, namespace: str, topic: str, subscription: str, name: str, inputs: Inputs) -> None:
        """Makes it, or changes one that is there."""
        service = self._of(namespace).service
        path, wanted = subscription_path(topic, subscription), bus_inputs.rule(name, inputs)
        found = self.rule(namespace, topic, subscription, name)
        if found is not None and _same(found, wanted):
            return
        with _broker():
            if found is None:
                service.add_rule(path, wanted)
            else:
                service.replace_rule(path, wanted)
        await self._of(namespace).done()

    async def remove_entity(self, namespace: str, path: str) -> None:
        """With its messages, a topic's subscriptions as well; one that is gone is no error."""
        there = self._namespaces.get(namespace)
        if there is not None and there.node(path) is not None:
            there.service.delete(path)
            await there.done()

    async def remove_rule(self, namespace: str, topic: str, subscription: str, name: str) -> None:
        """One that is gone is no error."""
        if self.rule(namespace, topic, subscription, name) is not None:
            self._namespaces[namespace].service.remove_rule(subscription_path(topic, subscription), name)
            await self._namespaces[namespace].done()

    def seen(self, namespace: str, path: str, inputs: Inputs) -> dict[str, Any] | None:
        """An entity's inputs as they really are, None when it is gone: its managers may change it behind the program's
        back.
        """
        there = self._namespaces.get(namespace)
        node = there.node(path) if there is not None else None
        return bus_inputs.as_seen(node.options, inputs) if node is not None else None

    def rule(self, namespace: str, topic: str, subscription: str, name: str) -> Rule | None:
        """One rule, if it is there."""
        there = self._namespaces.get(namespace)
        node = there.node(subscription_path(topic, subscription)) if there is not None else None
        found = node.compiled.get(name.casefold()) if isinstance(node, Subscription) else None
        return found.rule if found is not None else None

    async def _put(self, namespace: str, path: str, options: Options) -> None:
        there = self._of(namespace)
        node = there.node(path)
        if node is not None and node.options == options:
            return
        with _broker():
            if node is not None:
                there.service.update(path, options)
            elif isinstance(options, QueueOptions):
                there.service.create_queue(path, options)
            elif isinstance(options, TopicOptions):
                there.service.create_topic(path, options)
            else:
                topic, _, name = path.rpartition("/Subscriptions/")
                there.service.create_subscription(topic, name, options)
        await there.done()

    def _of(self, namespace: str) -> BusNamespace:
        found = self._namespaces.get(namespace)
        if found is None:
            raise ValueError(f"Service Bus namespace {namespace}: must be there before what is in it; declare it")
        return found

    # ---- what is seen from outside

    def depths(self) -> list[QueueDepth]:
        """Every entity's, by `namespace/queue`, `namespace/topic` (scheduled messages only) and
        `namespace/topic/subscription`. `dead`: its dead-letter queue, with what steps put aside for it.
        """
        return [depth for name, namespace in self._namespaces.items() for depth in _depths(name, namespace.service)]

    def release(self) -> int:
        """Ends every lock now; answers how many messages came back."""
        return sum(namespace.service.end_locks() for namespace in self._namespaces.values())

    def hosts(self) -> dict[str, str]:
        """Namespace → `host:port`."""
        return {name: namespace.host for name, namespace in self._namespaces.items()}

    def endpoints(self) -> dict[str, str]:
        """Where the first one is, as `status` shows it."""
        return {SERVICE: next(iter(self._namespaces.values())).host} if self._namespaces else {}

    def problems(self) -> dict[str, str]:
        """What does not work now, and why."""
        return {f"{SERVICE} {name}": problem for name, problem in self._failed.items()}

    def metrics(self) -> str:
        """For Prometheus, of all namespaces."""
        seen = {name: metrics.Seen(one.service, one.server.connections) for name, one in self._namespaces.items()}
        return metrics.page(seen)


def subscription_path(topic: str, name: str) -> str:
    """As the broker has it."""
    return f"{topic}/Subscriptions/{name}"


def _depths(namespace: str, service: Service) -> Iterator[QueueDepth]:
    names = {node.path: node.path.replace("/Subscriptions/", "/") for node in service.nodes()}
    aside = {name.replace("/", "-") + PUT_ASIDE: name for name in names.values()}
    put_aside = {node.path: node.main.active for node in service.nodes() if node.path in aside}
    for node in service.nodes():
        name, locked = names[node.path], len(node.main.held)
        dead = sum(backlog.active for backlog in node.backlogs() if backlog.sub_queue)
        yield QueueDepth(
            name=f"{namespace}/{name}",
            kind=KIND,
            active=node.main.active - locked,
            in_flight=locked,
            scheduled=node.main.scheduled,
            dead=dead + put_aside.get(name.replace("/", "-") + PUT_ASIDE, 0),
            dead_letters=node.path in aside,
        )


def _same(one: Rule, other: Rule) -> bool:
    return (one.filter, one.action, one.action_parameters) == (other.filter, other.action, other.action_parameters)


@contextmanager
def _broker() -> Iterator[None]:
    """What the broker refuses is said as the control plane passes it on."""
    try:
        yield
    except BrokerError as error:
        raise ValueError(error.text) from error
