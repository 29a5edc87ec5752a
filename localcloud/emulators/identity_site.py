"""IDENTITY_ENDPOINT: what a managed identity asks inside App Service, and the tenant's public documents.

Plain http on loopback, as on Azure. `GET /msi/token?api-version=2019-08-01&resource=…&client_id=…` with
X-IDENTITY-HEADER: the secret decides which client ids may be asked for. App Service with user-assigned identities
only refuses a request without `client_id`; so do we. Error bodies have App Service's form `{"statusCode", "message",
"correlationId"}`.
"""

import uuid
from collections.abc import Callable

from aiohttp import web

from localcloud.emulators.door import Troubles
from localcloud.emulators.identity import MANAGED_IDENTITY_LIFETIME_S, Identity

API_VERSION = "2019-08-01"
TOKEN_PATH = "/msi/token"  # noqa: S105 -- a path


class IdentitySite:
    """The aiohttp application around an `Identity`. `asked` is called with the client id of each token given out."""

    def __init__(
        self,
        identity: Identity,
        *,
        clock: Callable[[], float],
        asked: Callable[[str], None],
        lifetime_s: int = MANAGED_IDENTITY_LIFETIME_S,
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._asked = asked
        self._lifetime_s = lifetime_s

    def app(self) -> web.Application:
        """Routes: the token endpoint, the discovery document, the key set."""
        app = web.Application()
        app.router.add_get(TOKEN_PATH, self._token)
        app.router.add_get("/{tenant}/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/{tenant}/discovery/keys", self._keys)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        allowed = self._identity.allowed_clients(request.headers.get("X-IDENTITY-HEADER"))
        if allowed is None:
            return _error(401, "X-IDENTITY-HEADER is missing or wrong.")
        query = request.query
        if query.get("api-version") != API_VERSION:
            return _error(400, f"The api-version must be {API_VERSION}, got {query.get('api-version')}.")
        client_id, resource = query.get("client_id", "").lower(), query.get("resource", "")
        principal = self._identity.of_client(client_id) if client_id in allowed else None
        if principal is None:
            return _error(
                400,
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
            )
        if not self._identity.knows_audience(resource):
            return _error(400, f"AADSTS500011: The resource principal named {resource} was not found in the tenant.")
        token = self._identity.token(principal.principal_id, resource, self._lifetime_s)
        self._asked(client_id)
        answer = {
            "access_token": token,
            "client_id": principal.client_id,
            "expires_on": str(int(self._clock()) + self._lifetime_s),
            "resource": resource,
            "token_type": "Bearer",
        }
        return web.json_response(answer)

    async def _discovery(self, request: web.Request) -> web.Response:
        base = f"http://{request.host}/{self._identity.tenant_id}"
        document = {
            "issuer": self._identity.issuer,
            "jwks_uri": f"{base}/discovery/keys",
            "token_endpoint": f"{base}/oauth2/token",
            "authorization_endpoint": f"{base}/oauth2/authorize",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return web.json_response(document)

    async def _keys(self, request: web.Request) -> web.Response:  # noqa: ARG002 -- aiohttp's signature
        return web.json_response(self._identity.keys.jwks())


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return web.json_response(body, status=status, headers=headers)


TROUBLES = Troubles(lambda status, code, message, headers: _error(status, f"{code}: {message}", headers))
