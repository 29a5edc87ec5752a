"""A Service Bus queue or topic to send to. https://learn.microsoft.com/azure/service-bus-messaging/message-transfers-locks-settlement

A link stays open between messages: opening one takes the SDK half a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusClient, ServiceBusSender
from azure.servicebus.exceptions import MessageSizeExceededError

from core.clients.faults import Fault, Refused
from core.clients.managed_identity import ManagedIdentity
from core.clients.service_bus import connect, fault, to_sdk
from core.messages.envelope import BusMessage

T = TypeVar("T")
LARGE = "keep what is large in a blob and send its name"


class BusSender:
    """One queue or topic. Thread-safe: the SDK's own sender is not, so calls wait for each other."""

    def __init__(
        self,
        identity: ManagedIdentity,
        *,
        namespace: str,
        ca_file: str | None,
        queue: str = "",
        topic: str = "",
        client: ServiceBusClient | None = None,
    ) -> None:
        """`namespace`: the host, as the setting `X_NAMESPACE` has it; one of `queue` and `topic`. Contacts nobody."""
        if bool(queue) == bool(topic):
            raise ValueError(f"BusSender: must be given a queue or a topic, got queue={queue!r}, topic={topic!r}")
        self.name = queue or topic
        self._client = client or connect(identity, namespace=namespace, ca_file=ca_file)
        self._sender: ServiceBusSender = (
            self._client.get_queue_sender(queue) if queue else self._client.get_topic_sender(topic)
        )
        self._lock = threading.Lock()

    def send(self, message: BusMessage) -> None:
        """Returns when the broker has it.

        An answer that never came counts as Transient: the message may be there; a second send with the same id doubles
        it unless the entity drops duplicates. Raises Transient, Denied, Gone, or Refused (too large, not to be said).
        """
        self._do("send", lambda: self._sender.send_messages(to_sdk(message)))

    def send_all(self, messages: Sequence[BusMessage]) -> None:
        """In order, in as few transfers as their size allows; a fault in between leaves the first ones sent.

        All of one transfer are there or none. Messages of different sessions may go together. Raises as `send`.
        """
        self._do("send", lambda: self._send_all([to_sdk(one) for one in messages]))

    def _send_all(self, messages: list[Any]) -> None:
        if not messages:
            return
        batch, held = self._sender.create_message_batch(), 0
        for message in messages:
            try:
                batch.add_message(message)
            except MessageSizeExceededError:
                if not held:
                    raise
                self._sender.send_messages(batch)
                batch, held = self._sender.create_message_batch(), 0
                batch.add_message(message)
            held += 1
        self._sender.send_messages(batch)

    def schedule(self, message: BusMessage, at: datetime) -> int:
        """Puts it in now, to be seen from `at` on (with a time zone). Answers the number that `cancel` wants."""
        if at.tzinfo is None:
            raise Refused(f"{self.name}: schedule needs a time with a time zone, got {at.isoformat()}; add UTC")
        numbers = self._do("schedule", lambda: self._sender.schedule_messages(to_sdk(message), at.astimezone(UTC)))
        return int(numbers[0])

    def cancel(self, number: int) -> None:
        """Takes a scheduled message out again. Raises Transient when it is not there (any more), as it was seen."""
        self._do("cancel", lambda: self._sender.cancel_scheduled_messages(number))

    def close(self) -> None:
        """Ends the link and the client."""
        with self._lock:
            self._sender.close()
            self._client.close()

    def _do(self, verb: str, act: Callable[[], T]) -> T:
        what = f"{self.name}: {verb}"
        with self._lock:
            try:
                return act()
            except Fault:
                raise
            except MessageSizeExceededError as error:
                raise Refused(
                    f"{what}: a message must fit into what the entity takes (256 KB on Standard and Basic, headers "
                    f"included), got one that does not ({error}); {LARGE}"
                ) from error
            except (AzureError, ValueError, TypeError) as error:
                raise fault(error, what) from error
