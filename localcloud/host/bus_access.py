"""How a host reaches Service Bus: as the app's own identity, with the SDK, as anything outside would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from localcloud.host.queue_access import Issue, IssuedCredential

if TYPE_CHECKING:
    from azure.servicebus.aio import ServiceBusClient


class BusAccess(Protocol):
    """Gives clients of namespaces."""

    def client(self, namespace: str, client_id: str | None) -> ServiceBusClient:
        """`namespace` and `client_id` are the settings `X__fullyQualifiedNamespace` and `X__clientId`. The caller
        closes it.
        """


class TokenBusAccess:
    """The platform's way: tokens of the app's identity, so that a missing role is noticed."""

    def __init__(self, issue: Issue, *, ca_file: str | None = None) -> None:
        """`ca_file` holds the roots that the namespace's certificate is checked with."""
        self._issue, self._ca_file = issue, ca_file

    def client(self, namespace: str, client_id: str | None) -> ServiceBusClient:
        """A client that has contacted nobody yet."""
        from core.clients.service_bus import AUDIENCE  # the SDK: half a second, for apps that use it
        from core.clients.service_bus_aio import connect

        credential = IssuedCredential(lambda: self._issue(client_id, AUDIENCE))
        return connect(credential, namespace=namespace, ca_file=self._ca_file)
