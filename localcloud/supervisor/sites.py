"""Two of Azure's web interfaces that a deployment speaks to: an app's deployment site, and management calls for apps.

Deployment site (Kudu; here a path of the door): `POST /{app}/api/publish?type=zip`
(OneDeploy, the way of Flex Consumption) and `GET /{app}/api/deployments/{id}`. Management:
`POST …/sites/{app}/syncfunctiontriggers`, after which a Consumption app runs the zip that its setting names. Only the
deployer may call either: it alone has a role on sites.
"""

import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from localcloud.emulators.cloud import LocalCloud
from localcloud.emulators.refusals import ArmManner, Denied
from localcloud.host.spec import HostError
from localcloud.supervisor.apps import App, Apps, app_token

MAX_PACKAGE_BYTES = 1 << 30  # Azure's limit for a zip deployment
STORAGE = "https://storage.azure.com"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SUCCESS, FAILED = 4, 3  # Kudu's words for a deployment's state


class Sites:
    """Takes packages and has them run."""

    def __init__(self, apps: Apps, cloud: LocalCloud) -> None:
        """`cloud` for the storage that packages pass through, by the app's own identity."""
        self._apps, self._cloud = apps, cloud
        self._deployments: dict[str, dict[str, object]] = {}

    def scm(self) -> web.Application:
        """The deployment sites."""
        app = web.Application(client_max_size=MAX_PACKAGE_BYTES, middlewares=[self._deployer_only])
        app.add_routes(
            [web.post("/{app}/api/publish", self._publish), web.get("/{app}/api/deployments/{id}", self._deployment)]
        )
        return app

    def management(self) -> web.Application:
        """The management calls."""
        app = web.Application(middlewares=[self._deployer_only])
        app.add_routes([web.post("/{id:.*}/syncfunctiontriggers", self._sync)])
        return app

    @property
    def _deployer_only(self) -> Any:
        deployer = self._cloud.identity.deployer.principal_id

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            caller = request["claims"]
            if caller["oid"] != deployer:
                denied = Denied(caller["oid"], str(caller.get("appid", "")), "Microsoft.Web/sites/write", request.path)
                return ArmManner().forbidden(denied)
            return await handler(request)

        return middleware

    async def _publish(self, request: web.Request) -> web.Response:
        app = self._find(request.match_info["app"])
        if "functionAppConfig" not in app.site.inputs:
            raise web.HTTPBadRequest(text="api/publish is for Flex Consumption; name the package in the app's settings")
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "package.zip"
            with archive.open("wb") as file:
                async for chunk in request.content.iter_chunked(1 << 20):
                    file.write(chunk)
            refused = await self._keep(app, archive)
            if refused:
                raise web.HTTPBadRequest(text=refused)
            return web.json_response(await self._run(app, archive), status=202)

    async def _deployment(self, request: web.Request) -> web.Response:
        app, wanted = self._find(request.match_info["app"]), request.match_info["id"]
        found = self._deployments.get(wanted)
        if wanted == "latest" and app.published:
            found = {"id": app.published.deployment, "status": SUCCESS, "status_text": "", "complete": True}
        if found is None:
            raise web.HTTPNotFound(text="no such deployment")
        return web.json_response(found)

    async def _sync(self, request: web.Request) -> web.Response:
        app = self._find(request.match_info["id"].rsplit("/", 1)[-1])
        url = app.settings().get("WEBSITE_RUN_FROM_PACKAGE")
        if not url:
            return web.Response(status=204)
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "package.zip"
            status = await self._fetch(app, url, archive)
            if status != 200:
                raise web.HTTPBadRequest(text=f"the package at {url} answered {status} to the app's identity")
            deployment = await self._run(app, archive)
        state = self._deployments[deployment]
        if state["status"] == FAILED:
            raise web.HTTPBadRequest(text=str(state["status_text"]))
        return web.Response(status=204)

    async def _run(self, app: App, archive: Path) -> str:
        began = time.time()
        try:
            deployment = await self._apps.publish(app.site.name, archive)
            state, text = SUCCESS, ""
        except HostError as error:
            deployment, state, text = f"failed-{int(began * 1000)}", FAILED, str(error)
        self._deployments[deployment] = {"id": deployment, "status": state, "status_text": text, "complete": True}
        return deployment

    async def _keep(self, app: App, archive: Path) -> str:
        """Put the package into the app's deployment container as the app, as the platform does; answers a refusal."""
        storage = app.site.inputs["functionAppConfig"]["deployment"]["storage"]
        url = f"{storage['value']}/released-package.zip"
        async with self._session() as session:
            with archive.open("rb") as file:
                headers = {**self._as_app(app), "x-ms-blob-type": "BlockBlob"}
                async with session.put(url, data=file, headers=headers) as response:
                    if response.status == 201:
                        return ""
                    return (
                        f"Failed to upload because the storage account answered {response.status}: "
                        f"{(await response.text())[:500]}; the app's identity needs Storage Blob Data Contributor"
                    )

    async def _fetch(self, app: App, url: str, archive: Path) -> int:
        async with self._session() as session, session.get(url, headers=self._as_app(app)) as response:
            if response.status == 200:
                with archive.open("wb") as file:
                    async for chunk in response.content.iter_chunked(1 << 20):
                        file.write(chunk)
            return response.status

    def _as_app(self, app: App) -> dict[str, str]:
        client = app.settings().get("AZURE_CLIENT_ID", "")
        token = app_token(self._cloud, client, STORAGE)
        return {"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04"}

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=self._cloud.endpoints["ca_file"]))
        )

    def _find(self, name: str) -> App:
        app = self._apps.get(name)
        if app is None:
            raise web.HTTPNotFound(text=f"no app of the name {name}")
        return app
