"""The one door in front of every HTTP emulator: it ends TLS, has each service check its caller, counts, and answers.

A service is two steps: `admit` says who calls and what for (or raises `Refusal` with the answer in the service's own
shape), `answer` does it. Between the two the door counts the call and asks the one fault hook. Bodies stay streams,
paths stay raw, nothing is decompressed on the way. `Troubles`: how a service words a fault.
"""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.emulators.disk import is_full
from localcloud.emulators.ports import HOST, Ports
from localcloud.emulators.whole import DoorRequest, Kept, unsent

MAX_BUFFERED_BODY: Final = 32 * 1024 * 1024
"""Bytes that `request.read()` may hold in memory; what may be larger (objects, blobs) is streamed."""
SHUTDOWN_S: Final = 2.0
log = logging.getLogger("millrace.door")


Reply = Callable[[int, str, str, dict[str, str]], web.Response]
"""(status, code, message, headers) → the refusal in the service's own shape."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """How a service words its own troubles: its shape, and (HTTP status, error code) of each."""

    reply: Reply
    busy: tuple[int, str] = (500, "InternalServerError")
    throttled: tuple[int, str] = (429, "TooManyRequests")
    expired: tuple[int, str] = (401, "InvalidAuthenticationToken")

    def refusal(
        self,
        trouble: Literal["busy", "throttled", "expired"],
        status: int = 0,
        code: str = "",
        retry_after_s: float = 0,
    ) -> web.Response:
        """The answer; `status` and `code` instead of the usual ones."""
        usual_status, usual_code = getattr(self, trouble)
        headers = {"Retry-After": f"{retry_after_s:.0f}"} if retry_after_s else {}
        return self.reply(status or usual_status, code or usual_code, f"{trouble}, as a fault declared it", headers)


@dataclass(frozen=True, slots=True)
class Call:
    """An admitted request: the service's name for the operation, the caller, and what `admit` already parsed.

    `variants`: fault kind → another `detail`, where the service has its own way of doing a thing twice or out of order.
    """

    operation: str
    caller: str
    detail: Any = None
    variants: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """An admitted call on its way, as the fault hook sees it."""

    service: str
    operation: str
    caller: str
    request: web.BaseRequest
    refuse: Callable[..., web.Response]
    """See `Troubles.refusal`."""
    carry_out: Callable[[str], Awaitable[web.Response]]
    """The service does its work (its variant for a fault kind, if it has one); its answer, whole and not yet sent."""
    variants: Mapping[str, Any] = field(default_factory=dict)


Fault = Callable[[RequestInfo], Awaitable[web.StreamResponse | None]]
"""Answers instead of the service when it returns a response; None lets the call through."""


class Refusal(Exception):  # noqa: N818 -- an answer, not a failure
    """A call that is turned away, with the answer as the real service would give it."""

    def __init__(self, response: web.Response, operation: str = "?") -> None:
        super().__init__(operation)
        self.response = response
        self.operation = operation


class Service(Protocol):
    """What stands behind a door."""

    name: str
    troubles: Troubles

    async def admit(self, request: web.BaseRequest) -> Call:
        """Authenticates and authorises; raises Refusal."""
        ...

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Carries the call out."""
        ...


class Door:
    """One TLS site per service, each on its own remembered port. `calls` and `refused` count (service, operation)."""

    def __init__(self, ports: Ports, context: Callable[[], ssl.SSLContext]) -> None:
        self._ports = ports
        self._context = context
        self._runners: dict[str, web.BaseRunner] = {}
        self._services: dict[str, str] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.fault: Fault | None = None

    @property
    def sites(self) -> list[str]:
        """The names of what is open."""
        return list(self._runners)

    async def open(self, service: Service, *, site: str | None = None) -> str:
        """Starts serving `service`; answers its address. `site` names the port when one service has several sites."""
        name = site or service.name
        self._services[name] = service.name

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            assert isinstance(request, DoorRequest)  # noqa: S101 -- `make` made it
            return await self._serve(service, request)

        loop = asyncio.get_running_loop()

        def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> DoorRequest:
            return DoorRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BUFFERED_BODY)

        server = web.Server(serve, request_factory=make, auto_decompress=False, access_log=None)
        return await self._start(name, web.ServerRunner(server, shutdown_timeout=SHUTDOWN_S), tls=True)

    async def open_app(self, name: str, app: web.Application, troubles: Troubles, *, tls: bool = True) -> str:
        """Starts serving an aiohttp application that does its own checks; its last middleware is the fault hook."""

        @web.middleware
        async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
            async def carry_out(_variant: str = "") -> web.Response:
                return unsent(await handler(request), Kept())

            operation = request.path.rstrip("/").rsplit("/", 1)[-1]
            info = RequestInfo(name, operation, "", request, troubles.refusal, carry_out)
            return (await self.fault(info) if self.fault else None) or await handler(request)

        app.middlewares.append(faulty)
        self._services[name] = name
        return await self._start(name, web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S), tls=tls)

    def server_at(self, port: int) -> web.Server | None:
        """Who answers at a port, for callers in this process (`inside.py`); None: nobody of ours."""
        for runner in self._runners.values():
            if any(address[1] == port for address in runner.addresses):
                return runner.server
        return None

    def services(self) -> set[str]:
        """What a fault can name: every service that has a site."""
        return set(self._services.values())

    async def close(self, name: str) -> None:
        """Stops one site; an unknown name is ignored."""
        runner = self._runners.pop(name, None)
        if runner is None:
            return
        # A TLS connection that a client keeps open would wait 30 s for the client's good-bye.
        connections = runner.server.connections if runner.server else []
        transports = [connection.transport for connection in connections if connection.transport]
        await runner.cleanup()
        for transport in transports:
            transport.abort()
        await asyncio.sleep(0)

    async def close_all(self) -> None:
        """Stops every site."""
        await asyncio.gather(*(self.close(name) for name in list(self._runners)))

    async def _start(self, name: str, runner: web.BaseRunner, *, tls: bool) -> str:
        await self.close(name)
        await runner.setup()
        sock = self._ports.listen(name)
        context = self._context() if tls else None
        site = web.SockSite(runner, sock, ssl_context=context, backlog=512)
        await site.start()
        self._runners[name] = runner
        return f"{'https' if tls else 'http'}://{HOST}:{sock.getsockname()[1]}"

    async def _serve(self, service: Service, request: DoorRequest) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            # S3 clients hold a body back until they see this; aiohttp only answers it for routed applications.
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            call = await service.admit(request)
        except Refusal as refusal:
            self.refused[service.name, refusal.operation] += 1
            return refusal.response
        self.calls[service.name, call.operation] += 1
        if self.fault is not None and (faulty := await self.fault(self._info(service, request, call))) is not None:
            return faulty
        return await self._answer(service, request, call)

    async def _answer(self, service: Service, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        try:
            return await service.answer(request, call)
        except Refusal as refusal:  # some refusals are only known while doing the work
            self.refused[service.name, call.operation] += 1
            return refusal.response
        except (ConnectionError, asyncio.CancelledError):
            raise  # the caller went away
        except Exception as error:
            if is_full(error):
                log.error("%s %s: the disk is full", service.name, call.operation)  # noqa: TRY400 -- no defect of ours
                return web.Response(status=503, text="The local cloud's disk is full; see ./millrace status")
            log.exception("%s %s failed in the local cloud itself", service.name, call.operation)
            raise

    def _info(self, service: Service, request: DoorRequest, call: Call) -> RequestInfo:
        async def carry_out(variant: str = "") -> web.Response:
            kept = Kept()
            varied = replace(call, detail=call.variants.get(variant, call.detail))
            return unsent(await self._answer(service, await request.again(kept), varied), kept)

        def refuse(*what: Any, **more: Any) -> web.Response:
            answer = service.troubles.refusal(*what, **more)
            return web.Response(status=answer.status) if request.method == "HEAD" else answer  # HEAD has no body

        return RequestInfo(service.name, call.operation, call.caller, request, refuse, carry_out, call.variants)
