"""Who may do what. A connection shows tokens, each for an audience (`sb://host/queue`); what it then attaches needs one
of them. Shared access signatures are checked here; any other token by the verifier that the server was given.

Documented: the form of a shared access signature, its scope (one for `sb://host/q` is good for everything under it) and
its rights. Our reading: peek, locks, settlement, sessions and rules need Listen; schedule and cancel need Send.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus, urlsplit

from localcloud.emulators.service_bus.protocol.errors import Refused

Verb = Literal["send", "listen", "manage"]
EVERYTHING: frozenset[Verb] = frozenset({"send", "listen", "manage"})

Authorize = Callable[[str, str, Verb | None], float]
"""(token, entity, verb) → when the token ends, in seconds since the epoch. Raises Refused. Verb None: any verb.

The entity is a lower-case path, of the entity itself also where its dead letters are asked for.
"""

MOST_TOKENS = 1000
NO_KEYS = "LocalAuthDisabled: Authorization failed because SAS authentication has been disabled for the namespace."
"""The service's words where local authentication is off; here, where a server was given no keys."""
SAS_TYPE = "servicebus.windows.net:sastoken"
JWT_TYPE = "jwt"


@dataclass(frozen=True, slots=True)
class Key:
    """A shared access key and what it is good for."""

    secret: str
    rights: frozenset[Verb] = EVERYTHING


class SharedKeys:
    """Shared access signatures made with known keys: an `Authorize`."""

    def __init__(self, keys: Mapping[str, Key], clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock

    def __call__(self, token: str, entity: str, verb: Verb | None) -> float:
        """Checks signature, expiry, scope and right."""
        if not self._keys:
            raise Refused(NO_KEYS)
        fields = dict(
            part.split("=", 1) for part in token.removeprefix("SharedAccessSignature ").split("&") if "=" in part
        )
        try:
            scope, signature, expiry, name = (fields[part] for part in ("sr", "sig", "se", "skn"))
            ends = float(int(expiry))
        except (KeyError, ValueError) as error:
            raise Refused("MalformedToken: a shared access signature has sr, sig, se (a number) and skn") from error
        key = self._keys.get(unquote_plus(name))
        made = sign(scope, expiry, key.secret if key else "")
        if key is None or not hmac.compare_digest(made.encode(), unquote_plus(signature).encode()):
            raise Refused("InvalidSignature: The token has an invalid signature.")
        if ends <= self._clock():
            raise Refused("ExpiredToken: The token is expired.")
        if not covers(path_of(unquote_plus(scope)), entity):
            raise Refused(f"InvalidAudience: The token is for {path_of(unquote_plus(scope))!r}, not for {entity!r}.")
        if verb is not None and verb not in key.rights:
            raise Refused(f"the key {unquote_plus(name)!r} has no {verb.capitalize()} right")
        return ends

    def plain(self, name: str, secret: str) -> frozenset[Verb]:
        """Rights of a key shown by SASL PLAIN; raises Refused."""
        key = self._keys.get(name)
        if key is None or not hmac.compare_digest(key.secret.encode(), secret.encode()):
            raise Refused("the key's name or value is wrong")
        return key.rights


def sign(encoded_scope: str, expiry: str, secret: str) -> str:
    """The signature of a shared access signature: base64 of HMAC-SHA256 over scope and expiry."""
    made = hmac.new(secret.encode(), f"{encoded_scope}\n{expiry}".encode(), hashlib.sha256).digest()
    return base64.b64encode(made).decode()


def path_of(audience: str) -> str:
    """The entity path that an audience names (`sb://host:1/Orders/` → `orders`), empty for the namespace."""
    return (
        urlsplit(audience).path.strip("/").lower()
        if "://" in audience
        else audience.partition("/")[2].strip("/").lower()
    )


def covers(scope: str, entity: str) -> bool:
    """Is `entity` what the scope names, or something below it?"""
    return not scope or entity == scope or entity.startswith(scope + "/")


_SUB_QUEUE = re.compile(r"(/\$transfer)?/\$deadletterqueue$")


class Access:
    """What one connection has shown."""

    def __init__(self, keys: SharedKeys, authorize: Authorize | None) -> None:
        self._keys = keys
        self._authorize = authorize
        self._tokens: dict[str, tuple[Authorize, str]] = {}
        self._rights: frozenset[Verb] = frozenset()

    def plain(self, name: str, secret: str) -> None:
        """SASL PLAIN with a key's name and value. Raises Refused."""
        self._rights = self._keys.plain(name, secret)

    def put(self, kind: str, audience: str, token: str) -> None:
        """A token shown to `$cbs`; replaces an earlier one for the same audience. Raises Refused."""
        scope = path_of(audience)
        authorize = self._keys if token.startswith("SharedAccessSignature ") else self._of_entity
        if kind not in {SAS_TYPE, JWT_TYPE}:
            raise Refused(f"UnsupportedToken: {kind!r} tokens are not taken here")
        authorize(token, scope, None)
        if len(self._tokens) >= MOST_TOKENS and scope not in self._tokens:
            raise Refused(f"a connection shows at most {MOST_TOKENS} tokens")
        self._tokens[scope] = (authorize, token)

    def _of_entity(self, token: str, path: str, verb: Verb | None) -> float:
        if self._authorize is None:
            raise Refused("UnsupportedToken: only shared access signatures are taken here")
        return self._authorize(token, _SUB_QUEUE.sub("", path), verb)

    def check(self, entity: str, verb: Verb) -> float:
        """When the right to do `verb` on `entity` ends. Raises Refused."""
        if verb in self._rights:
            return float("inf")
        entity = entity.strip("/").lower()
        scopes = sorted((scope for scope in self._tokens if covers(scope, entity)), key=len, reverse=True)
        reason = "no token was shown for it"
        for place, scope in enumerate(scopes):
            authorize, token = self._tokens[scope]
            try:
                return authorize(token, entity, verb)
            except Refused as error:
                reason = reason if place else str(error)
        claim = f"{verb.capitalize()!r} claim(s) are required to perform this operation on {entity!r}"
        raise Refused(f"Unauthorized access. {claim}: {reason}")
