"""Service Bus of a running copy: messages in by Microsoft's SDK, and what the local cloud counts there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.credentials import AccessToken
from azure.servicebus import ServiceBusClient, ServiceBusMessage, TransportType

from localcloud.emulators.queue_depth import QueueDepth
from tests.e2e.project import Project


class Operator:
    """The credential of whoever looks after the place."""

    def __init__(self, cloud: Project) -> None:
        self._cloud = cloud

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self._cloud.token("operator", "https://servicebus.azure.net"), int(time.time()) + 3600)


@contextmanager
def client(cloud: Project) -> Iterator[ServiceBusClient]:
    endpoints = cloud.stack.status().endpoints
    with ServiceBusClient(
        "localhost",
        Operator(cloud),
        custom_endpoint_address=f"sb://{endpoints['servicebus']}",
        transport_type=TransportType.Amqp,
        connection_verify=endpoints["ca_file"],
        retry_total=0,
    ) as found:
        yield found


def send(cloud: Project, entity: str, *bodies: str, topic: bool = False, **more: Any) -> None:
    with client(cloud) as found:
        make = found.get_topic_sender if topic else found.get_queue_sender
        with make(entity) as sender:
            sender.send_messages([ServiceBusMessage(body, content_type="text/plain", **more) for body in bodies])


def row(cloud: Project, name: str) -> QueueDepth:
    """What lies in a queue or subscription now."""
    (found,) = [one for one in cloud.stack.status().queues if one.name.endswith(f"/{name}")]
    return found
