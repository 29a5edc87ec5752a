"""Service Bus in a running local cloud, as the control plane declares it and as the SDK reaches it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage, TransportType
from azure.servicebus.management import ServiceBusAdministrationClient

from localcloud.control.kinds import Locality
from localcloud.control.plane import ControlPlane
from tests.components.program import TENANCY
from tests.integration.emulators.local import GROUP, Local, TokenOf

BUS = "azure-native:servicebus:"
SENDER = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
RECEIVER = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"
OWNER = "090c5cfd-751d-490a-894a-3ce6f1109419"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


class Buses:
    """One namespace of its own, declared through the control plane."""

    def __init__(self, local: Local, home: Path, name: str = "") -> None:
        self.local, self.name = local, name or f"bus{uuid.uuid4().hex[:8]}"
        deployer = local.cloud.identity.deployer.principal_id
        apps: Any = None  # no function app occurs here
        locality = Locality(TENANCY, local.cloud, apps)
        self.plane = local.do(lambda: ControlPlane(home / "control.sqlite", locality, deployer_id=deployer))
        self.place = {"resourceGroupName": "rg", "namespaceName": self.name}
        self.scope = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/{self.name}"
        made = self.put("Namespace", sku={"name": "Standard", "tier": "Standard"}, disableLocalAuth=True)
        self.endpoint = str(made.outputs["serviceBusEndpoint"])
        self.scope = made.id

    def put(self, kind: str, **inputs: Any) -> Any:
        """Declares a resource in the namespace (`queueName=…`), as a program would."""
        given = {**self.place, **inputs}
        return self.local.run(self.plane.create(BUS + kind, "logical", given, preview=False))

    def update(self, kind: str, id_: str, **inputs: Any) -> Any:
        given = {**self.place, **inputs}
        return self.local.run(self.plane.update(BUS + kind, id_, {}, given, preview=False))

    def remove(self, kind: str, id_: str) -> None:
        self.local.run(self.plane.delete(BUS + kind, id_))

    def close(self) -> None:
        self.local.do(self.plane.close)

    @property
    def host(self) -> str:
        """As `components/messaging/namespace.py` reads it from the endpoint."""
        return self.endpoint.removeprefix("https://").rstrip("/")

    def client(self, principal: str, **options: Any) -> ServiceBusClient:
        return ServiceBusClient(
            "localhost",
            TokenOf(self.local, principal),
            custom_endpoint_address=f"sb://{self.host}",
            transport_type=TransportType.Amqp,
            connection_verify=self.local.ca,
            retry_total=0,
            **options,
        )

    def administration(self, principal: str) -> ServiceBusAdministrationClient:
        return ServiceBusAdministrationClient(
            self.host, TokenOf(self.local, principal), connection_verify=self.local.ca, retry_total=0
        )

    def worker(self, *grants: tuple[str, str]) -> str:
        """A new identity with these roles, each at a path below the namespace (`/queues/q`, empty for all of it)."""
        made = self.local.identity("worker")
        for role, where in grants:
            self.local.assign(made, role, self.scope + where)
        return made

    def send(self, entity: str, *bodies: str, topic: bool = False, **more: Any) -> None:
        """As the owner of everything."""
        with self.client(self.worker((OWNER, ""))) as client:
            make = client.get_topic_sender if topic else client.get_queue_sender
            with make(entity) as sender:
                sender.send_messages([ServiceBusMessage(body, **more) for body in bodies])

    @contextmanager
    def receiver(self, queue: str, subscription: str | None = None, **options: Any) -> Iterator[Any]:
        """As the owner of everything."""
        with self.client(self.worker((OWNER, ""))) as client:
            if subscription is None:
                found = client.get_queue_receiver(queue, **options)
            else:
                found = client.get_subscription_receiver(queue, subscription, **options)
            with found as receiver:
                yield receiver

    def bodies(self, queue: str, subscription: str | None = None, **options: Any) -> list[str]:
        """What can be received now, completed."""
        found: list[ServiceBusReceivedMessage] = []
        with self.receiver(queue, subscription, **options) as receiver:
            while got := receiver.receive_messages(100, max_wait_time=0.5):
                for message in got:
                    receiver.complete_message(message)
                found += got
        return [str(message) for message in found]

    def depth(self, name: str) -> Any:
        (found,) = [one for one in self.local.do(self.local.cloud.buses.depths) if one.name == f"{self.name}/{name}"]
        return found
