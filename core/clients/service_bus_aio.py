"""The same namespace for who receives: the SDK's asyncio face."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.servicebus.aio import ServiceBusClient

from core.clients.managed_identity import ManagedIdentity
from core.clients.service_bus import Credential, client_options


class AioCredential(AsyncTokenCredential):
    """A managed identity as azure-core knows asynchronous credentials."""

    def __init__(self, identity: ManagedIdentity) -> None:
        self._credential = Credential(identity)

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """As Credential.get_token."""
        return await asyncio.to_thread(self._credential.get_token)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Nothing is open."""


def connect(credential: AsyncTokenCredential, *, namespace: str, ca_file: str | None) -> ServiceBusClient:
    """A client that has contacted nobody yet. It tries again once (a link that broke is opened anew); who receives has
    waits of its own.
    """
    return ServiceBusClient(credential=credential, retry_total=1, **client_options(namespace, ca_file))
