"""What the command line asks of a running local cloud, over the supervisor's loopback API. Shapes are in shapes.py."""

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from localcloud.host.spec import HostError
from localcloud.supervisor.shapes import (
    Access,
    CloudStatus,
    Fire,
    Outside,
    Query,
    QueryAnswer,
    ResourceLine,
    Secret,
    TokenRequest,
)

if TYPE_CHECKING:
    from localcloud.supervisor.process import Supervisor


class Api:
    """The calls besides the control plane's own; each takes and gives one JSON document."""

    def __init__(self, supervisor: "Supervisor") -> None:
        """Mounted once the supervisor's parts run."""
        self._supervisor, self._cloud, self._apps = supervisor, supervisor.cloud, supervisor.apps
        self._fired: set[asyncio.Task[Any]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Where each call is found."""
        return [
            web.get("/status", self._status),
            web.get("/access", self._access),
            web.get("/outside", self._outside),
            web.get("/results/{system}", self._results),
            web.post("/secret", self._secret),
            web.post("/fire", self._fire),
            web.post("/query", self._query),
            web.post("/token", self._token),
            web.post("/stop", self._stop),
            *self._supervisor.faults.routes(),
            *self._supervisor.outside.routes(),
        ]

    async def _status(self, _request: web.Request) -> web.Response:
        dead = self._cloud.aws.dead_queues()
        plane = self._supervisor.plane
        apps = self._apps.statuses()
        answer = CloudStatus(
            apps=apps,
            problems={**self._apps.problems(), **self._cloud.problems()},
            queues=[depth for depth in await self._cloud.queues() if depth.name not in dead],
            resources=[ResourceLine(type=one.type, id=one.id, name=one.name) for one in plane.resources()],
            endpoints=self._endpoints(),
            in_flight=await self._cloud.in_flight(),
            busy=sum(app.in_flight for app in apps) + len(self._fired),
            fired=len(self._fired),
        )
        return _json(answer)

    def _endpoints(self) -> dict[str, str]:
        """Where each service is; of several vaults, databases or namespaces the one declared first."""
        vaults = self._cloud.vault.uris()
        vault = {"vault": vaults[0].rstrip("/")} if vaults else {}
        return {**self._cloud.endpoints, **vault, **self._cloud.postgres.endpoints(), **self._cloud.buses.endpoints()}

    async def _access(self, _request: web.Request) -> web.Response:
        endpoints = self._cloud.endpoints
        answer = Access(
            identity_endpoint=endpoints["identity"],
            identity_header=self._supervisor.deployer_header,
            client_id=self._cloud.identity.deployer.client_id,
            ca_file=endpoints["ca_file"],
            management=endpoints["management"],
            collector=endpoints["collector"],
            alma=endpoints["alma"],
            mail=endpoints["mail"],
        )
        return _json(answer)

    async def _outside(self, _request: web.Request) -> web.Response:
        key, secret = self._cloud.aws.vendor_keys()
        return _json(Outside(access_key=key, secret_key=secret, region=self._supervisor.tenancy.aws_region))

    async def _results(self, request: web.Request) -> web.Response:
        return _json(self._apps.results(request.match_info["system"]))

    async def _secret(self, request: web.Request) -> web.Response:
        wanted = msgspec.json.decode(await request.read(), type=Secret)
        vault = self._cloud.vault.name_of(wanted.vault_uri)
        if vault is None:
            return _refused(f"vault {wanted.vault_uri!r}: must be one that is declared; see ./millrace outputs")
        value = wanted.value or self._cloud.logs.shared_key(wanted.key_of_workspace)
        self._cloud.vault.set_secret(vault, wanted.name, value)
        await self._apps.restart()  # references are resolved when an app starts
        return _json(None)

    async def _fire(self, request: web.Request) -> web.Response:
        """Starts a run and returns; `/status` tells when it is over."""
        wanted = msgspec.json.decode(await request.read(), type=Fire)
        app = self._apps.get(wanted.app)
        if app is None or app.host is None:
            return _refused(f'app "{wanted.app}" does not run: {app.problem if app else "no such app"}; see status')
        task = asyncio.get_running_loop().create_task(self._apps.fire(wanted.app, wanted.function))
        self._fired.add(task)
        task.add_done_callback(self._fired.discard)
        await asyncio.sleep(0)
        if task.done() and isinstance(task.exception(), HostError):
            return _refused(str(task.exception()))
        return _json(None)

    async def _query(self, request: web.Request) -> web.Response:
        wanted = msgspec.json.decode(await request.read(), type=Query)
        try:
            columns, rows = await asyncio.to_thread(self._cloud.logs.query, wanted.sql)
        except sqlite3.Error as error:
            return _refused(f"query: must be one read-only SQL statement over the local tables, got an error: {error}")
        return _json(QueryAnswer(columns=columns, rows=rows))

    async def _token(self, request: web.Request) -> web.Response:
        wanted = msgspec.json.decode(await request.read(), type=TokenRequest)
        known = {principal.name: principal for principal in self._cloud.identity.principals()}
        principal = known.get(wanted.identity)
        if principal is None:
            return _refused(
                f"identity {wanted.identity!r}: must be one of {', '.join(sorted(known))}; declare it first"
            )
        try:
            return _json(self._cloud.identity.token(principal.principal_id, wanted.audience))
        except LookupError as error:
            return _refused(str(error))

    async def _stop(self, _request: web.Request) -> web.Response:
        self._supervisor.stopping.set()
        return _json(None)


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _refused(message: str) -> web.Response:
    return web.json_response({"refused": message}, status=409)
