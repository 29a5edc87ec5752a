"""How a host reaches storage queues: through Microsoft's SDK, as the app's own identity."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.storage.queue.aio import QueueClient

_AUDIENCE = "https://storage.azure.com"
_LIFETIME_S = 600  # asked for anew after this; the tokens themselves live longer

Issue = Callable[[str | None, str], str]
"""`(client id, audience) → token`; client id None is the app's only identity."""


class QueueAccess(Protocol):
    """Gives the client of one queue."""

    def client(self, service_uri: str, queue: str, client_id: str | None) -> QueueClient:
        """`service_uri` and `client_id` are the connection's app settings `X__queueServiceUri` and `X__clientId`."""
        ...


class IssuedCredential(AsyncTokenCredential):
    """A credential whose tokens somebody in this process issues."""

    def __init__(self, issue: Callable[[], str]) -> None:
        self._issue = issue

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """A token for the one audience it was made for."""
        return AccessToken(self._issue(), int(time.time()) + _LIFETIME_S)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Nothing is open."""


class TokenQueueAccess:
    """The platform's way: tokens of the app's identity, so that a missing role is noticed."""

    def __init__(self, issue: Issue, *, ca_file: str | None = None) -> None:
        """`ca_file` holds the roots that the queue service's certificate is checked with."""
        self._issue = issue
        self._ca_file = ca_file

    def client(self, service_uri: str, queue: str, client_id: str | None) -> QueueClient:
        """The client; whoever asks for it closes it."""
        verify: dict[str, Any] = {"connection_verify": self._ca_file} if self._ca_file else {}
        credential = IssuedCredential(lambda: self._issue(client_id, _AUDIENCE))
        return QueueClient(service_uri, queue, credential=credential, retry_total=3, **verify)
