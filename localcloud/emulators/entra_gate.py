"""The Entra half of the door: bearer token → claims, claims + data action + scope → allowed or not."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from localcloud.emulators.access import Access
from localcloud.emulators.door import Refusal
from localcloud.emulators.identity import Claims, Identity, TokenRefused


@dataclass(frozen=True, slots=True)
class Need:
    """One permission an operation asks for; `data` is false for the few control-plane actions that data planes
    check.
    """

    action: str
    data: bool = True


Needs = tuple[tuple[Need, ...], ...]
"""Any of the alternatives, each of which asks for all of its permissions."""

Reply = Callable[[int, str, str, dict[str, str]], web.Response]
"""(status, code, message, headers) → the refusal in the service's own shape."""


class EntraGate:
    """Checks callers of one cloud; the services say how a refusal looks."""

    def __init__(self, identity: Identity, access: Access) -> None:
        self._identity = identity
        self._access = access

    def claims(self, request: web.BaseRequest, audiences: Iterable[str], reply: Reply, challenge: str) -> Claims:
        """The claims of the bearer token, or a 401 with WWW-Authenticate `challenge`."""
        audiences = list(audiences)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        headers = {"WWW-Authenticate": challenge}
        if not token:
            raise Refusal(reply(401, "NoAuthenticationInformation", "Server failed to authenticate the request. Please "
                                "refer to the information in the www-authenticate header.", headers))  # fmt: skip
        if scheme.lower() != "bearer":
            raise Refusal(reply(403, "KeyBasedAuthenticationNotPermitted", f"Key based authentication is not permitted "
                                f"here: the scheme must be Bearer, got {scheme}.", {}))  # fmt: skip
        try:
            return self._identity.verify(token, audiences)
        except TokenRefused as refused:
            code = "InvalidAuthenticationInfo"
            raise Refusal(
                reply(401, code, f"Server failed to authenticate the request: {refused}.", headers)
            ) from refused

    def require(self, claims: Claims, needs: Needs, scope: str, reply: Reply) -> str:
        """The caller's principal id when one alternative of `needs` is granted at `scope`; a 403 otherwise."""
        principal = str(claims["oid"])
        for alternative in needs:
            if all(self._access.allowed(principal, need.action, scope, data=need.data) for need in alternative):
                return principal
        wanted = " or ".join(" and ".join(need.action for need in alternative) for alternative in needs)
        message = (
            "This request is not authorized to perform this operation using this permission. "
            f"{principal} lacks {wanted} at {scope}."
        )
        raise Refusal(reply(403, "AuthorizationPermissionMismatch", message, {}))

    def challenge(self, resource: str) -> str:
        """WWW-Authenticate as Azure Storage sends it."""
        authority = f"https://login.microsoftonline.com/{self._identity.tenant_id}/oauth2/authorize"
        return f"Bearer authorization_uri={authority} resource_id={resource}"


def token_middleware(gate: EntraGate, audience: str, reply: Reply, count: Callable[[str, bool], None]) -> Middleware:
    """Middleware for an application of somebody else's: the token is checked, its claims are in `request["claims"]`."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        challenge = f'Bearer authorization_uri="https://login.microsoftonline.com/", resource_id="{audience}"'
        try:
            _remember(request, gate.claims(request, [audience], reply, challenge))
        except Refusal as refusal:
            count(request.method, False)
            return refusal.response
        count(request.method, True)
        return await handler(request)

    return check


def _remember(request: web.Request, claims: Claims) -> None:
    with warnings.catch_warnings():  # aiohttp would rather see a RequestKey; our key is a name shared across packages
        warnings.simplefilter("ignore")
        request["claims"] = claims


def json_reply(status: int, code: str, message: str, headers: dict[str, str]) -> web.Response:
    """ARM's error shape: `{"error": {"code", "message"}}`."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)
