"""The Entra half of the door: bearer token → claims, claims + data action + scope → allowed or not."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from localcloud.emulators.access import Access
from localcloud.emulators.door import Refusal
from localcloud.emulators.identity import Claims, Identity, TokenRefused
from localcloud.emulators.refusals import MISSING, SCHEME, ArmManner, Denied, Manner


@dataclass(frozen=True, slots=True)
class Need:
    """One permission an operation asks for; `data` is false for the few control-plane actions that data planes
    check.
    """

    action: str
    data: bool = True


Needs = tuple[tuple[Need, ...], ...]
"""Any of the alternatives, each of which asks for all of its permissions."""


class EntraGate:
    """Checks callers of one cloud; the services say how a refusal looks."""

    def __init__(self, identity: Identity, access: Access) -> None:
        self._identity = identity
        self._access = access

    def claims(self, request: web.BaseRequest, audiences: Iterable[str], manner: Manner) -> Claims:
        """The claims of the bearer token, or a Refusal as the service words it."""

        def refuse(reason: str, detail: str) -> Refusal:
            return Refusal(manner.unauthenticated(reason, detail, self._identity.tenant_id), reason)

        given = request.headers.getall("Authorization", [""])
        scheme, _, token = given[0].partition(" ")
        if len(given) > 1:
            raise refuse("malformed", "there must be one Authorization header")
        if not token:
            raise refuse(MISSING, "there is no token")
        if scheme.lower() != "bearer":
            raise refuse(SCHEME, "the scheme must be Bearer")  # never shown: credentials of another scheme are a secret
        try:
            return self._identity.verify(token, list(audiences))
        except TokenRefused as refused:
            raise refuse(refused.reason, str(refused)) from refused

    def require(self, claims: Claims, needs: Needs, scope: str, manner: Manner, operation: str) -> str:
        """The caller's principal id when one alternative of `needs` is granted at `scope`; a Refusal otherwise."""
        principal = str(claims["oid"])
        for alternative in needs:
            if all(self._access.allowed(principal, need.action, scope, data=need.data) for need in alternative):
                return principal
        wanted = " or ".join(" and ".join(need.action for need in alternative) for alternative in needs)
        denied = Denied(principal, str(claims.get("appid", "")), wanted, scope)
        raise Refusal(manner.forbidden(denied), operation)


def token_middleware(gate: EntraGate, audience: str, count: Callable[[str, bool], None]) -> Middleware:
    """Middleware for an application of somebody else's: the token is checked, its claims are in `request["claims"]`."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _remember(request, gate.claims(request, [audience], ArmManner()))
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
