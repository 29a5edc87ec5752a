"""Tokens of the worker's managed identity, from the platform's identity endpoint.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
Written out instead of using azure-identity: that costs a quarter of a second at every cold start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from core.clients.faults import Transient
from core.clients.http import Http, failure

_EARLY_S = 300.0  # renewed this long before expiry: longer than one invocation


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_on: str | int | float
    """Unix time; the platform writes it as a string."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and the Unix time of its expiry."""

    text: str
    expires_on: float


class ManagedIdentity:
    """Tokens by audience, cached until shortly before they expire. Thread-safe."""

    def __init__(
        self, http: Http, *, endpoint: str, header: str, client_id: str, now: Callable[[], float] = time.time
    ) -> None:
        """`endpoint`, `header`: IDENTITY_ENDPOINT and IDENTITY_HEADER; `client_id`: which of the app's identities."""
        self._http = http
        self._endpoint = endpoint
        self._header = header
        self._client_id = client_id
        self._now = now
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        """By audience: one asks, the others wait for its answer."""

    def token(self, audience: str) -> str:
        """A token for `audience` (a resource such as https://storage.azure.com). Raises Transient."""
        return self.fetch(audience).text

    def fetch(self, audience: str) -> Token:
        """The same with its expiry."""
        if (known := self._known(audience)) is not None:
            return known
        with self._lock:
            asking = self._asking.setdefault(audience, threading.Lock())
        with asking:
            if (known := self._known(audience)) is not None:
                return known
            fresh = self._tokens[audience] = self._ask(audience)
            return fresh

    def _known(self, audience: str) -> Token | None:
        known = self._tokens.get(audience)
        return known if known is not None and known.expires_on - self._now() > _EARLY_S else None

    def forget(self, audience: str) -> None:
        """Drops the cached token: the service refused it."""
        self._tokens.pop(audience, None)

    def bearer(self, audience: str) -> dict[str, str]:
        """The Authorization header."""
        return {"Authorization": f"Bearer {self.token(audience)}"}

    def _ask(self, audience: str) -> Token:
        if not self._endpoint:
            raise Transient("managed identity: IDENTITY_ENDPOINT is not set; the app needs an identity assigned")
        query = urlencode({"api-version": "2019-08-01", "resource": audience, "client_id": self._client_id})
        answer = self._http.call("GET", f"{self._endpoint}?{query}", headers={"X-IDENTITY-HEADER": self._header})
        if answer.status != 200:
            raise Transient(failure(answer, f"managed identity: token for {audience}"))
        try:
            got = msgspec.json.decode(answer.body, type=_TokenAnswer)
            return Token(got.access_token, float(got.expires_on))
        except (msgspec.DecodeError, ValueError) as error:
            raise Transient(f"managed identity: unreadable answer for {audience} ({error})") from error
