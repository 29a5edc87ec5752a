"""How a host reaches storage queues: as the app's own identity."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.storage.queue.aio import QueueClient as SdkQueueClient

from localcloud.emulators.bell import Bell
from localcloud.emulators.inside import Servers
from localcloud.host.queue_client import QueueClient, QueueSession

_AUDIENCE = "https://storage.azure.com"
_LIFETIME_S = 600  # asked for anew after this; the tokens themselves live longer

Issue = Callable[[str | None, str], str]
"""`(client id, audience) → token`; client id None is the app's only identity."""


class QueueAccess(Protocol):
    """Gives what a trigger needs of its queue."""

    def queue(self, service_uri: str, queue: str, client_id: str | None) -> QueueClient:
        """`service_uri` and `client_id` are the connection's app settings `X__queueServiceUri` and `X__clientId`."""
        ...

    def ear(self, service_uri: str, queue: str) -> AbstractContextManager[asyncio.Event]:
        """Set whenever the queue may have a message; where nobody rings, it never is."""
        ...

    async def close(self) -> None:
        """The host has stopped."""
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

    def __init__(
        self,
        issue: Issue,
        *,
        ca_file: str | None = None,
        bell: Bell | None = None,
        servers: Servers = lambda _port: None,
    ) -> None:
        """`ca_file` holds the roots that the queue service's certificate is checked with; `bell`: who tells of messages
        before the next look; `servers`: those of this process, which are called without the network.
        """
        self._issue = issue
        self._ca_file = ca_file
        self._bell = bell or Bell()
        self._session = QueueSession(ca_file, servers)
        self._tokens: dict[str | None, tuple[str, float]] = {}

    def queue(self, service_uri: str, queue: str, client_id: str | None) -> QueueClient:
        """The host's own client."""
        return QueueClient(
            self._session, service_uri, queue, lambda: self._bearer(client_id),
            forget=lambda: self._forget(client_id),
        )  # fmt: skip

    def ear(self, service_uri: str, queue: str) -> AbstractContextManager[asyncio.Event]:
        """The door rings with the account's name, which a path-style address ends with."""
        return self._bell.ear(f"{service_uri.rstrip('/').rpartition('/')[2]}/{queue}")

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()

    def _bearer(self, client_id: str | None) -> dict[str, str]:
        token, until = self._tokens.get(client_id, ("", 0.0))
        if time.time() > until:
            token = self._issue(client_id, _AUDIENCE)
            self._tokens[client_id] = token, time.time() + _LIFETIME_S
        return {"Authorization": f"Bearer {token}"}

    def _forget(self, client_id: str | None) -> None:
        self._tokens.pop(client_id, None)

    def client(self, service_uri: str, queue: str, client_id: str | None) -> SdkQueueClient:
        """Microsoft's client, for other work than a host's; whoever asks for it closes it."""
        verify: dict[str, Any] = {"connection_verify": self._ca_file} if self._ca_file else {}
        credential = IssuedCredential(lambda: self._issue(client_id, _AUDIENCE))
        return SdkQueueClient(service_uri, queue, credential=credential, retry_total=3, **verify)
