"""One storage queue over REST, as a host uses it: take, look, hide, delete, put.

https://learn.microsoft.com/rest/api/storageservices/queue-service-rest-api
Written out: Microsoft's SDK takes four times the processor time a call, and a host makes two a message.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import aiohttp
from yarl import URL

from localcloud.emulators.inside import Inside, Servers

VERSION = "2021-12-02"
_TRIES = 4
_FIRST_WAIT_S = 0.1
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_UNAUTHORIZED = 401
"""A token that is good no more; for a role that is missing it is 403."""
_LIMIT_S = 30.0


class QueueError(Exception):
    """What the service answered, or why there was no answer."""

    def __init__(self, text: str, *, status: int = 0, code: str = "") -> None:
        """`status` 0: no answer."""
        super().__init__(text)
        self.status, self.code = status, code


@dataclass(slots=True)
class Taken:
    """A message in hand."""

    id: str
    receipt: str
    tries: int
    text: str
    times: dict[str, str]
    """InsertionTime, ExpirationTime and TimeNextVisible as the service writes them."""


class QueueSession:
    """Connections to queue services, kept open; one for each host. Made on the first call, on the running loop."""

    def __init__(self, ca_file: str | None = None, servers: Servers = lambda _port: None) -> None:
        """`ca_file`: the roots that the service's certificate is checked with; `servers`: those of this process."""
        self._ca_file, self._servers = ca_file, servers
        self._session: aiohttp.ClientSession | None = None

    def get(self) -> aiohttp.ClientSession:
        """The session."""
        if self._session is None:
            context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else None
            connector = Inside(self._servers, limit=0, ssl=context or True, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=_LIMIT_S), auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )  # fmt: skip
        return self._session

    async def close(self) -> None:
        """Closes what is open."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class QueueClient:
    """One queue. Methods raise QueueError."""

    def __init__(
        self,
        session: QueueSession,
        service_uri: str,
        name: str,
        headers: Callable[[], dict[str, str]],
        *,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        """`headers`: those of the caller's identity, asked for each call; `forget`: its token was refused, the next
        call needs another.
        """
        self._session, self._headers, self._forget = session, headers, forget
        self._url = f"{service_uri.rstrip('/')}/{name}"
        self.name = name

    async def take(self, count: int, hidden_s: int) -> list[Taken]:
        """At most `count` (32) messages, invisible to others for `hidden_s`."""
        body = await self._call("GET", f"/messages?numofmessages={count}&visibilitytimeout={hidden_s}")
        return [_taken(node) for node in ET.fromstring(body)]  # noqa: S314 - the queue service's own answer

    async def waiting(self) -> bool:
        """Whether a message is visible."""
        return b"<QueueMessage>" in await self._call("GET", "/messages?peekonly=true&numofmessages=1")

    async def hide(self, message: Taken, seconds: int) -> None:
        """Changes for how long a message in hand stays invisible; 0 gives it back. It has a new receipt then."""
        answer = await self._send("PUT", f"{_path(message)}&visibilitytimeout={seconds}")
        message.receipt = answer.headers.get("x-ms-popreceipt", message.receipt)

    async def delete(self, message: Taken) -> None:
        """Removes a message in hand; fine when it is gone, as by a try whose answer was lost."""
        try:
            await self._call("DELETE", _path(message))
        except QueueError as error:
            if error.status != 404:
                raise

    async def put(self, text: str) -> str:
        """Puts a message in that never expires; answers its id. Where the queue is missing it is made first."""
        document = f"<QueueMessage><MessageText>{escape(text, {chr(13): '&#13;'})}</MessageText></QueueMessage>"
        try:
            body = await self._call("POST", "/messages?messagettl=-1", document)
        except QueueError as error:
            if error.status != 404:
                raise
            await self._call("PUT", "")
            body = await self._call("POST", "/messages?messagettl=-1", document)
        found = ET.fromstring(body).find("QueueMessage/MessageId")  # noqa: S314 - the queue service's own answer
        return (found.text or "") if found is not None else ""

    async def _call(self, method: str, rest: str, data: str | None = None) -> bytes:
        return (await self._send(method, rest, data)).body

    async def _send(self, method: str, rest: str, data: str | None = None) -> _Answer:
        """The answer, after tries again for what passes."""
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(_FIRST_WAIT_S * 2.0**attempt)
            try:
                answer = await self._once(method, rest, data)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = QueueError(f"no answer ({type(error).__name__}: {error})")
                continue
            if answer.status < 300:
                return answer
            failure = QueueError(f"{answer.status} {answer.code}", status=answer.status, code=answer.code)
            if answer.status == _UNAUTHORIZED:
                self._forget()
            elif answer.status not in _PASSING:
                break
        raise failure

    async def _once(self, method: str, rest: str, data: str | None) -> _Answer:
        headers = {"x-ms-version": VERSION, **self._headers()}
        if data is not None:
            headers["Content-Type"] = "application/xml"
        url = URL(self._url + rest, encoded=True)
        async with self._session.get().request(method, url, headers=headers, data=data) as response:
            return _Answer(response.status, await response.read(), response.headers)


@dataclass(slots=True)
class _Answer:
    status: int
    body: bytes
    headers: Any

    @property
    def code(self) -> str:
        return str(self.headers.get("x-ms-error-code", ""))


def _path(message: Taken) -> str:
    return f"/messages/{message.id}?popreceipt={quote(message.receipt, safe='')}"


def _taken(node: ET.Element) -> Taken:
    values = {child.tag: child.text or "" for child in node}
    times = {name: values.get(name, "") for name in ("InsertionTime", "ExpirationTime", "TimeNextVisible")}
    return Taken(
        id=values["MessageId"], receipt=values["PopReceipt"], tries=int(values["DequeueCount"]),
        text=values.get("MessageText", ""), times=times,
    )  # fmt: skip
