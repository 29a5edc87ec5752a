"""The blob or the queue service behind the door: token and role, then Azurite."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

import aiohttp
from aiohttp import web

from localcloud.emulators.door import Call, Troubles
from localcloud.emulators.entra_gate import EntraGate
from localcloud.emulators.refusals import STORAGE as AUDIENCE
from localcloud.emulators.refusals import StorageManner, storage_reply
from localcloud.emulators.storage import Storage
from localcloud.emulators.storage_request import StorageRequest, read_request

_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding"}
    | {"upgrade", "authorization"}  # the caller's token ends here; Azurite gets our SAS instead
)
_FRONT: Final = ("x-forwarded-", "forwarded", "x-original-", "x-http-method", "x-ms-copy-source", "host")
"""Headers that only a front end may set (by prefix); a caller's are dropped."""
_CHUNK: Final = 256 * 1024


class StorageService:
    """The blob or the queue service behind the door: token and role, then Azurite with a SAS that only we know."""

    troubles: Troubles

    def __init__(self, kind: str, storage: Storage, gate: EntraGate) -> None:
        self.name = kind
        self._storage = storage
        self._gate = gate
        self.troubles = Troubles(
            storage_reply,
            busy=(500, "InternalError"),
            throttled=(503, "ServerBusy"),
            expired=(401, "InvalidAuthenticationInfo"),
        )

    async def admit(self, request: web.BaseRequest) -> Call:
        """Path style: /{account}/{container or queue}/{rest}. The container's or queue's ARM id is the scope."""
        account = request.raw_path.partition("?")[0].removeprefix("/").partition("/")[0]
        audiences = [AUDIENCE, f"https://{account}.{self.name}.core.windows.net"]
        manner = StorageManner()
        claims = self._gate.claims(request, audiences, manner)
        wanted = read_request(self.name, request)
        scope = self._storage.arm_ids.get(wanted.account, f"/unknown/{wanted.account}")
        if wanted.item:
            below = "blobServices/default/containers" if self.name == "blob" else "queueServices/default/queues"
            scope = f"{scope}/{below}/{wanted.item}"
        name = wanted.operation.name
        variants = {"duplicate": replace(wanted, twice=True)} if name == "GetMessages" else {}
        return Call(name, self._gate.require(claims, wanted.needs, scope, manner, name), wanted, variants)

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Streams the request to Azurite and the answer back, headers included."""
        if not self._storage.whole:
            return storage_reply(503, "ServerBusy", "The server is busy.")
        wanted: StorageRequest = call.detail
        query = _asked(request, wanted)
        url = self._storage.target(self._storage.base(self.name), wanted.account, wanted.raw_rest, query)
        if url is None:
            return storage_reply(404, "ResourceNotFound", f"The account {wanted.account} does not exist.")
        headers = [(k, v) for k, v in request.headers.items() if _passes(k.lower())]
        body = _body(request) if request.body_exists else None
        seen = bytearray() if self.name == "queue" else None
        try:
            async with self._storage.session.request(
                request.method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                skip_auto_headers=["Content-Type"],
            ) as upstream:
                response = await _relay(request, upstream, seen)
        except aiohttp.ClientConnectionError:  # Azurite is gone; clients retry what is 503
            return storage_reply(503, "ServerBusy", "The server is busy.")
        if seen is not None and response.status < 300:
            self._note(request, wanted, response, seen)
        return response

    def _note(
        self, request: web.BaseRequest, wanted: StorageRequest, response: web.StreamResponse, seen: bytearray
    ) -> None:
        hidden_s = "1" if wanted.twice else request.query.get("visibilitytimeout", "")
        if wanted.twice or request.method in {"POST", "PUT"}:
            self._storage.bell.ring(f"{wanted.account}/{wanted.item}", int(hidden_s) if hidden_s.isdigit() else 0)
        message = wanted.raw_rest.partition("/messages/")[2]
        place = wanted.account, wanted.item, message
        headers = response.headers
        self._storage.hidden.note(wanted.operation.name, place, hidden_s=hidden_s, headers=headers, body=seen)


def _asked(request: web.BaseRequest, wanted: StorageRequest) -> str:
    query = request.raw_path.partition("?")[2]
    if not wanted.twice:
        return query
    kept = [part for part in query.split("&") if part and not part.startswith("visibilitytimeout=")]
    return "&".join([*kept, "visibilitytimeout=1"])


def _passes(name: str) -> bool:
    return name not in _HOP and not name.startswith(_FRONT)


async def _relay(
    request: web.BaseRequest, upstream: aiohttp.ClientResponse, seen: bytearray | None
) -> web.StreamResponse:
    """`seen`: keeps the body too."""
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
    for key, value in upstream.headers.items():
        if key.lower() not in _HOP:
            response.headers.add(key, value)
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in upstream.content.iter_chunked(_CHUNK):
            await response.write(chunk)
            if seen is not None:
                seen += chunk
    await response.write_eof()
    return response


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(_CHUNK):
        yield chunk
