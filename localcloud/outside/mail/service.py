"""Resend behind the door: `POST /emails` and `GET /emails/{id}`, as strict as the real one.

Documented: bearer key (missing 401, wrong 401 `validation_error`), a User-Agent is needed (403), required fields,
idempotency for 24 hours, requests a second (the documentation said 2, later 5: here 2). Faults are the door's: service
`mail`, operations SendEmail and GetEmail.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from localcloud.emulators.door import Call, Refusal, Troubles
from localcloud.outside.mail.payload import No, Payload, payload_of, refusal
from localcloud.outside.mail.store import Kept, Store
from localcloud.outside.rate import SlidingSecond

FILE: Final = "settings.json"
MAX_KEY: Final = 256


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`settings.json` in the sink's folder."""

    per_second: Annotated[int, Meta(ge=0)] = 2
    """Requests in any second; 0: no limit."""
    latency_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0
    """While a mail is being taken."""
    domains: list[str] = []
    """Verified sender domains; none: any."""


class MailService:
    """One account."""

    name = "mail"
    troubles = Troubles(
        refusal,
        busy=(500, "internal_server_error"),
        throttled=(429, "rate_limit_exceeded"),
        expired=(401, "validation_error"),
    )

    def __init__(self, folder: Path, key: str, *, clock: Callable[[], float]) -> None:
        """`folder` holds the settings and `messages/`; `key` is the one API key."""
        self.store = Store(folder / "messages")
        self.folder, self._key, self._clock = folder, key, clock
        self._second = SlidingSecond()
        self._under_way: set[str] = set()

    async def admit(self, request: web.BaseRequest) -> Call:
        """Key, route, rate."""
        try:
            return self._admit(request)
        except No as no:
            headers = {"Retry-After": "1"} if no.status == 429 else None
            raise Refusal(refusal(no.status, no.name, no.message, headers)) from no

    def _admit(self, request: web.BaseRequest) -> Call:
        if not request.headers.get("User-Agent"):
            raise No(403, "1010", "Requests must have a User-Agent")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise No(401, "missing_api_key", "Missing API key in the authorization header.")
        twice = len(request.headers.getall("Authorization")) > 1
        if twice or not hmac.compare_digest(given.encode(errors="replace"), self._key.encode()):
            raise No(401, "validation_error", "API key is invalid")
        parts = request.path.strip("/").split("/")
        operation = {("POST", 1): "SendEmail", ("GET", 2): "GetEmail"}.get((request.method, len(parts)))
        if parts[0] != "emails" or operation is None:
            raise No(404, "not_found", "The requested endpoint does not exist")
        self._count()
        return Call(operation, "mail-key", parts[1:])

    def _count(self) -> None:
        most = self.settings().per_second
        if not self._second.take(self._clock(), most):
            raise No(429, "rate_limit_exceeded", f"Too many requests. You can only make {most} requests per second.")

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Takes a mail, or tells about one."""
        try:
            if call.operation == "GetEmail":
                return self._told(self.store.get(call.detail[0]))
            return web.json_response({"id": (await self._send(request)).id})
        except No as no:
            return refusal(no.status, no.name, no.message)

    def _told(self, kept: Kept | None) -> web.Response:
        if kept is None:
            raise No(404, "not_found", "Email not found")
        body = {"object": "email", "id": kept.id, "from": kept.sender, "to": kept.to, "subject": kept.subject,
                "created_at": kept.at, "last_event": "delivered"}  # fmt: skip
        return web.json_response(body)

    async def _send(self, request: web.BaseRequest) -> Kept:
        key = request.headers.get("Idempotency-Key", "")
        if "Idempotency-Key" in request.headers and not 1 <= len(key) <= MAX_KEY:
            raise No(400, "invalid_idempotency_key", f"The key must be between 1-{MAX_KEY} chars.")
        body = self._json(await request.read())
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        if key in self._under_way:
            raise No(409, "concurrent_idempotent_requests",
                     "Same idempotency key used while original request is still in progress.")  # fmt: skip
        before = self.store.of_key(key, self._clock()) if key else None
        if before is not None:
            if before.digest != digest:
                raise No(409, "invalid_idempotent_request",
                         "Same idempotency key used with a different request payload.")  # fmt: skip
            return before
        payload = payload_of(body)
        self._check_domain(payload)
        return await self._take(payload, key, digest)

    async def _take(self, payload: Payload, key: str, digest: str) -> Kept:
        self._under_way |= {key} - {""}
        try:
            await asyncio.sleep(self.settings().latency_ms / 1000)
            return self.store.put(payload, key=key, digest=digest, now=self._clock())
        finally:
            self._under_way.discard(key)

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise No(400, "validation_error", "The request body must be valid JSON.") from error

    def _check_domain(self, payload: Payload) -> None:
        domain = payload.sender.rstrip(">").rpartition("@")[2].lower()
        domains = self.settings().domains
        if domains and domain not in domains:
            raise No(403, "validation_error", f"The {domain} domain is not verified.")

    def settings(self) -> Settings:
        """As they are now; the defaults where the file is missing or wrong."""
        try:
            return msgspec.json.decode((self.folder / FILE).read_bytes(), type=Settings)
        except FileNotFoundError:
            return Settings()
        except msgspec.MsgspecError as error:
            raise No(500, "internal_server_error", f"{self.folder / FILE}: {error}; correct it") from error
