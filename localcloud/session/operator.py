"""The local operator's tokens, as Microsoft's SDKs ask for them. In the cloud a person with the same roles is it."""

from typing import Any

from azure.core.credentials import AccessToken

from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from localcloud.control.client import Supervisor
from localcloud.supervisor.shapes import Operator


class OperatorCredential:
    """A credential of azure-core's kind."""

    def __init__(self, identity: ManagedIdentity) -> None:
        """`identity`: the operator's."""
        self._identity = identity

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """A token for what the SDK asks (`https://storage.azure.com/.default`)."""
        token = self._identity.fetch(scopes[0].removesuffix("/.default"))
        return AccessToken(token.text, int(token.expires_on))


def operator(supervisor: Supervisor) -> tuple[Operator, Http, ManagedIdentity]:
    """Who it is in a running local cloud (which gives it its roles now), a client for HTTP, and its identity."""
    who = supervisor.call("GET", "/operator", None, Operator)
    http = Http(ca_file=who.endpoints["ca_file"], connections=16)
    identity = ManagedIdentity(
        http, endpoint=who.identity_endpoint, header=who.identity_header, client_id=who.client_id
    )
    return who, http, identity
