"""A namespace behind TLS with a verifier of tokens, an identity endpoint, and the apps of demo.py in it.

The same package runs in the Functions host and, by `python -m core.runtime.receiver`, as a container would.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from azure.servicebus import ServiceBusReceivedMessage, ServiceBusSubQueue

from core.clients.bus_sender import BusSender
from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.clients.service_bus_aio import AioCredential, connect
from localcloud.emulators.service_bus.broker.options import QueueOptions
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.protocol.access import Verb
from localcloud.emulators.service_bus.protocol.errors import Refused
from localcloud.emulators.service_bus.server import Server
from localcloud.host.bus_access import TokenBusAccess
from localcloud.host.functions import FunctionsHost
from localcloud.host.spec import AppSpec, LogLine

APP_ID, TESTER, STRANGER = "client-of-the-app", "client-of-the-test", "client-of-another-tenant"
HEADER = "the-header"


class World:
    """All of it, in the test's own loop."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path]) -> None:
        self.folder = folder
        self.ca, self._key = certificate
        self.rights: dict[str, set[tuple[str, Verb]]] = {}
        self.service = Service()
        self.port = 0
        self.lines: list[LogLine] = []

    async def __aenter__(self) -> Self:
        self.service.start()
        await self.open()
        endpoint = web.Application()
        endpoint.router.add_get("/token", self._token)
        self._identity = web.AppRunner(endpoint)
        await self._identity.setup()
        await web.TCPSite(self._identity, "127.0.0.1", 0).start()
        self.identity_endpoint = f"http://127.0.0.1:{self._identity.addresses[0][1]}/token"
        return self

    async def __aexit__(self, fault: type[BaseException] | None, *_: object) -> None:
        if fault is not None:
            print(*(line.text for line in self.lines), sep="\n")  # noqa: T201 - pytest shows it
        await self.close()
        await self._identity.cleanup()
        self.service.close()

    async def open(self) -> None:
        """The namespace answers, on the port that it had."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.ca, self._key)
        self.server = Server(self.service, keys={}, authorize=self._authorize)
        self.port = await self.server.listen(("127.0.0.1", self.port), context)

    async def close(self) -> None:
        """It does not."""
        await self.server.close()

    def cut(self) -> None:
        """Break every connection, without a word."""
        for connection in list(self.server._connections):
            connection.transport.abort()

    async def _token(self, request: web.Request) -> web.Response:
        assert request.headers["X-IDENTITY-HEADER"] == HEADER
        assert request.query["resource"] == "https://servicebus.azure.net"
        return web.json_response(
            {"access_token": request.query["client_id"], "expires_on": str(int(time.time()) + 3600)}
        )

    def _authorize(self, token: str, entity: str, verb: Verb | None) -> float:
        if token == STRANGER:
            raise Refused("InvalidIssuer: Token issuer is invalid.")
        mine = {right for place, right in self.rights.get(token, set()) if place == entity.lower()}
        if token != TESTER and verb is not None and verb not in mine:
            raise Refused(f"{token} has no right {verb} on {entity}")
        return time.time() + 3600

    def grant(self) -> None:
        """What a trigger's link gives the app."""
        places = {path.lower() for path in ("jobs", "events/subscriptions/work")}
        self.rights[APP_ID] = {(place, "listen") for place in places} | {("jobs-dead", "send")}

    def queue(self, name: str = "jobs", **options: Any) -> None:
        self.service.create_queue(name, QueueOptions(**options))
        self.service.create_queue(f"{name}-dead", QueueOptions())
        self.grant()

    def identity(self, client_id: str = TESTER) -> ManagedIdentity:
        http = Http(ca_file=None, connections=2)
        return ManagedIdentity(http, endpoint=self.identity_endpoint, header=HEADER, client_id=client_id)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def sender(self, **entity: str) -> BusSender:
        """To the queue `jobs`, unless said otherwise."""
        where: dict[str, Any] = entity or {"queue": "jobs"}
        return BusSender(self.identity(), namespace=self.host, ca_file=str(self.ca), **where)

    async def peek(self, queue: str, *, dead: bool = False, most: int = 100) -> list[ServiceBusReceivedMessage]:
        """What lies there."""
        sub = ServiceBusSubQueue.DEAD_LETTER if dead else None
        async with (
            connect(AioCredential(self.identity()), namespace=self.host, ca_file=str(self.ca)) as client,
            client.get_queue_receiver(queue, sub_queue=sub) as receiver,
        ):
            return list(await receiver.peek_messages(max_message_count=most))

    def active(self, path: str = "jobs") -> int:
        return int(self.service.counts(path).active)

    def dead(self, path: str = "jobs") -> int:
        return int(self.service.counts(path).dead_letter)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "JOBS__fullyQualifiedNamespace": self.host,
            "JOBS__credential": "managedidentity",
            "JOBS__clientId": APP_ID,
            "JOBS_DEAD_LETTER_QUEUE": "jobs-dead",
        }

    @property
    def platform(self) -> dict[str, str]:
        return {
            "IDENTITY_ENDPOINT": self.identity_endpoint,
            "IDENTITY_HEADER": HEADER,
            "SSL_CERT_FILE": str(self.ca),
            "REQUESTS_CA_BUNDLE": str(self.ca),
            "HOME": str(self.folder),
            "TZ": "UTC",
        }

    def events(self, event: str) -> list[dict[str, Any]]:
        """Fields of the step's own lines."""
        return [line.fields for line in self.lines if line.event == event and line.fields]

    def said(self, part: str) -> bool:
        """Whether somebody spoke of it."""
        return any(part in line.text for line in self.lines)

    def functions_host(self, package: Path, **changes: Any) -> FunctionsHost:
        """Not started."""
        spec = AppSpec(
            name=package.name, system="demo", package=package, settings=self.settings, platform=self.platform,
            python=sys.executable, folder=self.folder / "host", **changes,
        )  # fmt: skip
        access = TokenBusAccess(lambda client_id, _audience: client_id or "", ca_file=str(self.ca))
        return FunctionsHost(spec, on_line=self.lines.append, bus_access=access)

    @asynccontextmanager
    async def functions(self, package: Path, **changes: Any) -> AsyncIterator[FunctionsHost]:
        """A running Functions host."""
        host = self.functions_host(package, **changes)
        await host.start()
        try:
            yield host
        finally:
            await host.stop()

    @asynccontextmanager
    async def container(self, package: Path, *, grace_s: float = 5) -> AsyncIterator[asyncio.subprocess.Process]:
        """A running container: a process that is told to stop when the block ends."""
        image = self._image(package)
        site = next(one for one in sys.path if one.endswith("site-packages"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-m", "core.runtime.receiver", "manifest.json", "--grace", str(grace_s), cwd=image,
            env={**self.settings, **self.platform, "PYTHONPATH": os.pathsep.join((str(image), site))},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=1 << 20,
        )  # fmt: skip
        reading = asyncio.create_task(self._read(process))
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), grace_s + 10)
            finally:
                if process.returncode is None:
                    process.kill()
                await reading

    def _image(self, package: Path) -> Path:
        """The package's handlers and manifest, with the whole of core beside them."""
        image = self.folder / "image"
        if not image.exists():
            image.mkdir()
            for name in ("handlers", "manifest.json"):
                (image / name).symlink_to(package / name)
            (image / "core").symlink_to(Path(__file__).parents[4] / "core")
        return image

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode().rstrip()
            try:
                fields = json.loads(text)
            except ValueError:
                fields = {}
            found = fields if isinstance(fields, dict) else {}
            event = str(found.get("event", ""))
            self.lines.append(LogLine(time="", app="", pid=process.pid, text=text, event=event, fields=found or None))
