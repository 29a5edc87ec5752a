"""How a host reaches storage queues: through Microsoft's SDK, with a credential that somebody gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from azure.core.credentials_async import AsyncTokenCredential
from azure.storage.queue.aio import QueueClient


class QueueAccess(Protocol):
    """Gives the client of one queue."""

    def client(self, service_uri: str, queue: str, client_id: str | None) -> QueueClient:
        """`service_uri` and `client_id` are the connection's app settings `X__queueServiceUri` and `X__clientId`."""
        ...


class TokenQueueAccess:
    """The platform's way: the app's own identity."""

    def __init__(self, credential: Callable[[str | None], AsyncTokenCredential], *, ca_file: str | None = None) -> None:
        """`credential` gives the identity of a client id (None: the app's only one)."""
        self._credential = credential
        self._ca_file = ca_file

    def client(self, service_uri: str, queue: str, client_id: str | None) -> QueueClient:
        """The client; whoever asks for it closes it."""
        verify: dict[str, Any] = {"connection_verify": self._ca_file} if self._ca_file else {}
        credential = self._credential(client_id)
        return QueueClient(service_uri, queue, credential=credential, retry_total=3, **verify)
