"""A storage queue service small enough for these tests: real HTTP, real XML."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Self
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.emulators.bell import Bell
from localcloud.host.queue_client import QueueClient, QueueSession


@dataclass
class Message:
    body: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receipt: str = ""
    tries: int = 0
    visible: float = 0


class QueueServer:
    """Queues by name. `most` is the largest number of messages that were invisible at one time."""

    def __init__(self) -> None:
        self.queues: dict[str, list[Message]] = {}
        self.most = 0
        self.looks = 0
        self.answer_after_s = 0.0
        """How long the answer with messages is on its way."""
        self.bell = Bell()
        self._session = QueueSession()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}/account"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def queue(self, service_uri: str, queue: str, client_id: str | None) -> QueueClient:  # noqa: ARG002 - one identity
        """QueueAccess for the host."""
        return QueueClient(self._session, service_uri, queue, dict)

    def ear(self, service_uri: str, queue: str) -> AbstractContextManager[asyncio.Event]:
        """Rung by `ring`."""
        return self.bell.ear(f"{service_uri}/{queue}")

    def ring(self, queue: str) -> None:
        self.bell.ring(f"{self.address}/{queue}")

    async def close(self) -> None:
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.Response:
        _, queue, *rest = request.path.strip("/").split("/")
        if not rest:
            self.queues.setdefault(queue, [])
            return web.Response(status=201)
        if queue not in self.queues:
            return web.Response(status=404, headers={"x-ms-error-code": "QueueNotFound"})
        messages = self.queues[queue]
        if len(rest) == 1:
            if request.method != "GET":
                return await self._post(messages, request)
            answer = self._get(messages, request)
            await asyncio.sleep(self.answer_after_s)
            return answer
        return self._settle(messages, rest[1], request)

    def _get(self, messages: list[Message], request: web.Request) -> web.Response:
        self.looks += 1
        now = time.time()
        if "peekonly" in request.query:
            seen = [one for one in messages if one.visible <= now][:1]
            return web.Response(text=f"<QueueMessagesList>{''.join(map(_xml, seen))}</QueueMessagesList>")
        visible = [one for one in messages if one.visible <= now][: int(request.query["numofmessages"])]
        for message in visible:
            message.tries += 1
            message.receipt = str(uuid.uuid4())
            message.visible = now + int(request.query["visibilitytimeout"])
        self.most = max(self.most, sum(one.visible > now for one in messages))
        return web.Response(text=f"<QueueMessagesList>{''.join(map(_xml, visible))}</QueueMessagesList>")

    async def _post(self, messages: list[Message], request: web.Request) -> web.Response:
        text = ET.fromstring(await request.text()).findtext("MessageText") or ""  # noqa: S314 - the SDK wrote it
        messages.append(Message(text))
        return web.Response(status=201, text=f"<QueueMessagesList>{_xml(messages[-1])}</QueueMessagesList>")

    def _settle(self, messages: list[Message], identity: str, request: web.Request) -> web.Response:
        found = [one for one in messages if one.id == identity and one.receipt == request.query["popreceipt"]]
        if not found:
            return web.Response(status=404, headers={"x-ms-error-code": "MessageNotFound"})
        if request.method == "DELETE":
            messages.remove(found[0])
            return web.Response(status=204)
        found[0].receipt = str(uuid.uuid4())
        found[0].visible = time.time() + int(request.query["visibilitytimeout"])
        times = {"x-ms-popreceipt": found[0].receipt, "x-ms-time-next-visible": formatdate(usegmt=True)}
        return web.Response(status=204, headers=times)


def _xml(message: Message) -> str:
    now = formatdate(usegmt=True)
    return (
        f"<QueueMessage><MessageId>{message.id}</MessageId><InsertionTime>{now}</InsertionTime>"
        f"<ExpirationTime>{now}</ExpirationTime><PopReceipt>{message.receipt}</PopReceipt>"
        f"<TimeNextVisible>{now}</TimeNextVisible><DequeueCount>{message.tries}</DequeueCount>"
        f"<MessageText>{escape(message.body)}</MessageText></QueueMessage>"
    )
