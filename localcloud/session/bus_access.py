"""One Service Bus namespace as one identity reaches it, in a local cloud or in Azure: entities, receivers, senders.

The same calls of Microsoft's SDK serve both; nothing here is the emulator's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from azure.core.credentials import TokenCredential
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
    ServiceBusSender,
    ServiceBusSubQueue,
)
from azure.servicebus.management import ServiceBusAdministrationClient

from core.clients.service_bus import client_options

PUT_ASIDE: Final = "-dead"
"""What a queue's name ends with where steps on Functions put what they give up (components/messaging/queue.py)."""
RETRIES: Final = 2
PAGE: Final = 250  # messages a peek


@dataclass(frozen=True, slots=True)
class Entity:
    """A queue or a subscription, with its counts at the moment of looking."""

    name: str
    """For people: `jobs`, `events/billing`."""
    queue: str = ""
    topic: str = ""
    subscription: str = ""
    active: int = 0
    scheduled: int = 0
    dead: int = 0
    transfer_dead: int = 0
    sessions: bool = False
    duplicates_s: float | None = None
    """For so long the place where it is sent to (queue, topic) remembers message ids; None: it does not."""

    @property
    def target(self) -> str:
        """The queue or topic to which its messages are sent."""
        return self.queue or self.topic

    @property
    def aside(self) -> str:
        """The name of the queue where its step's given-up messages lie, if it has one."""
        return (self.queue or f"{self.topic}-{self.subscription}") + PUT_ASIDE


class BusAccess:
    """`host`: `name.servicebus.windows.net`, or `localhost:PORT`. Contacts nobody before it is asked."""

    def __init__(self, host: str, credential: TokenCredential, ca_file: str = "", *, retries: int = RETRIES) -> None:
        """`ca_file`: whom to trust; empty for the public authorities."""
        self.host, self._credential, self._ca_file, self._retries = host, credential, ca_file, retries
        self._trust: dict[str, Any] = {"connection_verify": ca_file} if ca_file else {}

    @cached_property
    def client(self) -> ServiceBusClient:
        """For messages."""
        options = client_options(self.host, self._ca_file or None)
        return ServiceBusClient(credential=self._credential, retry_total=self._retries, **options)

    @cached_property
    def administration(self) -> ServiceBusAdministrationClient:
        """For entities and counts: needs a role that reads them."""
        return ServiceBusAdministrationClient(self.host, self._credential, retry_total=self._retries, **self._trust)

    def entities(self) -> list[Entity]:
        """Queues, then subscriptions, in order of their names."""
        return [*self._queues(), *self._subscriptions()]

    def _queues(self) -> Iterator[Entity]:
        counts = {one.name: one for one in self.administration.list_queues_runtime_properties()}
        for queue in self.administration.list_queues():
            window = queue.duplicate_detection_history_time_window
            yield Entity(
                name=queue.name, queue=queue.name, sessions=bool(queue.requires_session),
                duplicates_s=_seconds(window) if queue.requires_duplicate_detection else None,
                **_counts(counts.get(queue.name)),
            )  # fmt: skip

    def _subscriptions(self) -> Iterator[Entity]:
        for topic in self.administration.list_topics():
            window = topic.duplicate_detection_history_time_window
            found = {one.name: one for one in self.administration.list_subscriptions_runtime_properties(topic.name)}
            for one in self.administration.list_subscriptions(topic.name):
                yield Entity(
                    name=f"{topic.name}/{one.name}", topic=topic.name, subscription=one.name,
                    sessions=bool(one.requires_session),
                    duplicates_s=_seconds(window) if topic.requires_duplicate_detection else None,
                    **_counts(found.get(one.name)),
                )  # fmt: skip

    def receiver(
        self,
        entity: Entity,
        sub_queue: ServiceBusSubQueue | None = None,
        *,
        session: Any = None,
        delete: bool = False,
        wait_s: float | None = None,
    ) -> ServiceBusReceiver:
        """Not open yet. `delete`: what is received is gone; `wait_s`: for a session."""
        options: dict[str, Any] = {"session_id": session} if session is not None else {}
        if wait_s is not None:
            options["max_wait_time"] = wait_s
        if sub_queue is not None:
            options["sub_queue"] = sub_queue
        if delete:
            options["receive_mode"] = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        if entity.queue:
            return self.client.get_queue_receiver(entity.queue, **options)
        return self.client.get_subscription_receiver(entity.topic, entity.subscription, **options)

    def sender(self, entity: Entity) -> ServiceBusSender:
        """To the queue, or to the subscription's topic. Not open yet."""
        if entity.queue:
            return self.client.get_queue_sender(entity.queue)
        return self.client.get_topic_sender(entity.topic)

    def at_once(self) -> "BusAccess":
        """The same without second tries: where a refusal is an answer (no session is free). To be closed as well."""
        return BusAccess(self.host, self._credential, self._ca_file, retries=0)

    def close(self) -> None:
        """Ends its connections."""
        for name in ("client", "administration"):
            if name in vars(self):
                vars(self)[name].close()


def peeked(receiver: ServiceBusReceiver, start: int = 1) -> Iterator[ServiceBusReceivedMessage]:
    """Every message from a sequence number on, whatever its state; nothing is locked."""
    while page := receiver.peek_messages(PAGE, sequence_number=start):
        yield from page
        start = (page[-1].sequence_number or 0) + 1


def _counts(found: Any) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "active": found.active_message_count or 0,
        "scheduled": getattr(found, "scheduled_message_count", 0) or 0,
        "dead": found.dead_letter_message_count or 0,
        "transfer_dead": found.transfer_dead_letter_message_count or 0,
    }


def _seconds(window: Any) -> float:
    from localcloud.emulators.service_bus.management.durations import parse

    return float(window.total_seconds()) if hasattr(window, "total_seconds") else parse(str(window)) or 0.0
