"""The control plane over loopback HTTP: `POST /control/{call}` with a JSON body, a bearer secret, JSON back.

Engines run in other processes; this is the door they knock on. 200 carries the answer, 409 a refusal
`{"refused": message}`. The secret lies in a 0600 file beside the address (address.py).
"""

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from localcloud.control.plane import ControlPlane
from localcloud.engine.provider import Refused
from localcloud.engine.values import Values

LOG = logging.getLogger(__name__)


class Call(msgspec.Struct, kw_only=True):
    """The arguments of every call; each uses what it needs."""

    type: str = ""
    id: str = ""
    name: str = ""
    inputs: Values = {}
    old: Values | None = None
    preview: bool = False
    defaults: Values = {}
    seed: str = ""


def routes(plane: ControlPlane) -> list[web.RouteDef]:
    """The calls, to be mounted on the supervisor's API."""
    calls = _calls(plane)

    async def answer(request: web.Request) -> web.Response:
        asked = calls.get(request.match_info["call"])
        if asked is None:
            raise web.HTTPNotFound(text=f"no such call: {request.match_info['call']}")
        call = msgspec.json.decode(await request.read(), type=Call)
        try:
            result = await asked(call)
        except Refused as error:
            return web.json_response({"refused": str(error)}, status=409)
        except Exception as error:
            # Whoever waits for the answer is told what broke; the trace is in the supervisor's log.
            LOG.exception("%s of %s %s", request.match_info["call"], call.type, call.id or call.name)
            text = f"{call.type or call.name}: the local cloud failed, {type(error).__name__}: {error}"
            return web.json_response({"refused": text}, status=500)
        return web.Response(body=msgspec.json.encode(result), content_type="application/json")

    return [web.post("/control/{call}", answer)]


def _calls(plane: ControlPlane) -> dict[str, Callable[[Call], Awaitable[Any]]]:
    async def check(call: Call) -> Any:
        return plane.check(call.type, call.name, call.old, call.inputs, defaults=call.defaults, seed=call.seed)

    async def diff(call: Call) -> Any:
        return plane.diff(call.type, call.id, call.old or {}, call.inputs)

    async def create(call: Call) -> Any:
        return await plane.create(call.type, call.name, call.inputs, preview=call.preview)

    async def read(call: Call) -> Any:
        return {"found": await plane.read(call.type, call.id)}

    async def update(call: Call) -> Any:
        return await plane.update(call.type, call.id, call.old or {}, call.inputs, preview=call.preview)

    async def delete(call: Call) -> Any:
        return await plane.delete(call.type, call.id)

    async def invoke(call: Call) -> Any:
        return plane.invoke(call.name, call.inputs)

    return {
        "check": check,
        "diff": diff,
        "create": create,
        "read": read,
        "update": update,
        "delete": delete,
        "invoke": invoke,
    }


def require_secret(secret: str) -> Any:
    """Middleware: every call must carry the supervisor's secret."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), f"Bearer {secret}".encode()):
            raise web.HTTPUnauthorized(text="the supervisor's secret is required")
        return await handler(request)

    return middleware
