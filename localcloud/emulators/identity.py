"""The local tenant: who exists, which audiences exist, and tokens that look like Entra's v1 tokens.

A token carries `iss https://sts.windows.net/{tenant}/` (with the slash), `aud`, `sub` = `oid` = the principal id,
`appid`, `idtyp app`, `tid`, `ver 1.0`, and no `azp`. `aud` is the resource exactly as it was asked for: Microsoft's
own resources are accepted with and without a trailing slash, and an application's URI must be asked for as registered
(M confidence: read from Entra's v1 behaviour as AWS users report it, not from a specification).
"""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import jwt
import msgspec

from localcloud.emulators.private_files import private_folder
from localcloud.emulators.token_keys import TokenKeys

MANAGED_IDENTITY_LIFETIME_S: Final = 86_400
"""Entra gives tokens of managed identities 24 hours."""
DEPLOYER: Final = "deployer"
_CACHED_TOKENS: Final = 4096
MAX_TOKEN_BYTES: Final = 20_000
"""What STS takes at most; HTTP headers hold less."""
_SKEW_S: Final = 300
"""Entra back-dates nbf by five minutes; verifiers allow as much."""
KNOWN_AUDIENCES: Final = (
    "https://management.azure.com",
    "https://management.core.windows.net",
    "https://storage.azure.com",
    "https://vault.azure.net",
    "https://monitor.azure.com",
    "https://servicebus.azure.net",
    "https://ossrdbms-aad.database.windows.net",
    "https://containerregistry.azure.net",
    "https://graph.microsoft.com",
)

Claims = dict[str, Any]


class TokenRefused(Exception):  # noqa: N818 -- says what happened, as callers read it
    """A token that a service must not accept. `reason` is one of malformed, signature, issuer, tenant, audience,
    expired, early.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Principal(msgspec.Struct, frozen=True):
    """A managed identity: its object id, its application (client) id and the name people know it by."""

    principal_id: str
    client_id: str
    name: str


class Identity:
    """Managed identities, their tokens, and the verification every door uses. Nothing here does I/O after
    construction.
    """

    def __init__(self, folder: Path, *, tenant_id: str, clock: Callable[[], float] = time.time) -> None:
        self.tenant_id = tenant_id
        self.issuer = f"https://sts.windows.net/{tenant_id}/"
        self.keys = TokenKeys(private_folder(folder) / "token.key")
        self._clock = clock
        self._principals: dict[str, Principal] = {}
        self._headers: dict[str, frozenset[str]] = {}
        self._audiences = {_bare(uri) for uri in KNOWN_AUDIENCES}
        self._verified: OrderedDict[str, Claims] = OrderedDict()
        person = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.issuer}{DEPLOYER}"))
        self.deployer = Principal(person, str(uuid.uuid5(uuid.NAMESPACE_URL, person)), DEPLOYER)
        self._principals[DEPLOYER] = self._principals[person] = self.deployer

    def put(self, principal_id: str, client_id: str, name: str) -> None:
        """Declares a managed identity; the same again changes nothing."""
        self._principals[principal_id] = Principal(principal_id, client_id.lower(), name)

    def remove(self, principal_id: str) -> None:
        """Forgets an identity: no new tokens; those given out run until they end, as on Azure."""
        self._principals.pop(principal_id, None)

    def principals(self) -> list[Principal]:
        """Every identity, the deployer's last."""
        return [p for key, p in self._principals.items() if p is not self.deployer] + [self.deployer]

    def put_audience(self, uri: str) -> None:
        """Makes tokens for `uri` obtainable: an application registration's URI, or a service's own address."""
        self._audiences.add(_bare(uri))

    def remove_audience(self, uri: str) -> None:
        """Forgets an audience that `put_audience` named."""
        self._audiences.discard(_bare(uri))

    def register_header(self, secret: str, client_ids: Iterable[str]) -> None:
        """Lets the holder of X-IDENTITY-HEADER `secret` ask for the tokens of exactly these client ids."""
        self._headers[secret] = frozenset(client_id.lower() for client_id in client_ids)

    def unregister(self, secret: str) -> None:
        """Ends what `register_header` allowed."""
        self._headers.pop(secret, None)

    def allowed_clients(self, secret: str | None) -> frozenset[str] | None:
        """The client ids a header secret may ask for; None for an unknown secret."""
        return self._headers.get(secret or "")

    def of_client(self, client_id: str) -> Principal | None:
        """The identity with this client id."""
        return next((p for p in self._principals.values() if p.client_id == client_id.lower()), None)

    def token(self, principal: str, audience: str, lifetime_s: int = 3600) -> str:
        """A signed token of a principal id (or "deployer") for `audience`.

        KeyError for an unknown principal, LookupError for an audience the tenant does not know (AADSTS500011).
        """
        if principal not in self._principals:
            raise KeyError(
                f"token: the principal must be one that exists, got {principal!r}; declare the identity first."
            )
        if not self.knows_audience(audience):
            raise LookupError(
                f"AADSTS500011: The resource principal named {audience} was not found in the tenant named "
                f"{self.tenant_id}."
            )
        who = self._principals[principal]
        now = int(self._clock())
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now - _SKEW_S,
            "exp": now + lifetime_s,
            "appid": who.client_id,
            "appidacr": "2",
            "idp": self.issuer,
            "idtyp": "app",
            "oid": who.principal_id,
            "sub": who.principal_id,
            "tid": self.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        return jwt.encode(claims, self.keys.private, algorithm="RS256", headers={"kid": self.keys.kid})

    def knows_audience(self, audience: str) -> bool:
        """Whether a token for `audience` can be had."""
        return _bare(audience) in self._audiences

    def verify(self, token: str, audiences: Iterable[str]) -> Claims:
        """The claims of a token signed here, in time, and meant for one of `audiences` (a trailing slash is ignored).

        TokenRefused otherwise. The signature is checked once per token, times and audience on every call.
        """
        claims = self._verified.get(token)
        if claims is None:
            claims = self._check_signature(token)
            self._verified[token] = claims
            if len(self._verified) > _CACHED_TOKENS:
                self._verified.popitem(last=False)
        now = self._clock()
        if now >= claims["exp"]:
            self._verified.pop(token, None)
            raise TokenRefused("expired", f"the token expired {int(now - claims['exp'])} s ago")
        if now < claims["nbf"] - _SKEW_S:
            raise TokenRefused("early", "the token is not valid yet")
        wanted = {_bare(audience) for audience in audiences}
        if _bare(str(claims.get("aud"))) not in wanted:
            found = _quoted(claims.get("aud"))
            raise TokenRefused("audience", f"the token's audience is {found}, expected {min(wanted)}")
        return claims

    def check(self, token: str) -> Claims:
        """The claims of a token signed here, whatever its audience and times: STS does those checks itself, with
        AWS's words.
        """
        return self._check_signature(token)

    def _check_signature(self, token: str) -> Claims:
        try:
            if len(token) > MAX_TOKEN_BYTES:
                raise TokenRefused("malformed", f"the token has more than {MAX_TOKEN_BYTES} bytes")
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise TokenRefused("malformed", "the token is not a JSON web token") from error
        if header.get("alg") != "RS256" or header.get("kid") != self.keys.kid:
            raise TokenRefused("signature", "the token is not signed by a key of this tenant")
        # Times are checked against our own clock; PyJWT only knows the machine's.
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
        try:
            claims: Claims = jwt.decode(token, self.keys.public, algorithms=["RS256"], options=options)
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise TokenRefused("signature", "the token's signature is wrong") from error
        if claims.get("iss") != self.issuer:
            raise TokenRefused("issuer", f"the token's issuer is {_quoted(claims.get('iss'))}, expected {self.issuer}")
        if claims.get("tid") != self.tenant_id:
            raise TokenRefused("tenant", f"the token is of tenant {_quoted(claims.get('tid'))}")
        if not all(isinstance(claims.get(name), int) for name in ("exp", "nbf")):
            raise TokenRefused("malformed", "the token must have its times: exp and nbf")
        if not isinstance(claims.get("oid"), str):
            raise TokenRefused("malformed", "the token must name its principal: oid")
        return claims


def _quoted(claim: object) -> str:
    """A claim as a message may show it: it was written by the caller."""
    return ascii(claim)[:100]


def _bare(uri: str) -> str:
    return uri.rstrip("/").lower()
