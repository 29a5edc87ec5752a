"""The function apps of a running local cloud: what is declared of each, which package it runs, and its host.

A site that is created or changed (control plane) and a package that is published (sites.py) meet here; an app runs once
it has both. Packages stay unpacked under `apps/<name>/`, so a restart runs what was published.
"""

import asyncio
import re
import secrets
import shutil
import sys
import uuid
from pathlib import Path

import msgspec

from components.packaging.archive import unpack
from localcloud.control.kinds import Site, Values
from localcloud.emulators.cloud import LocalCloud
from localcloud.host.bus_access import TokenBusAccess
from localcloud.host.functions import FunctionsHost
from localcloud.host.queue_access import TokenQueueAccess
from localcloud.host.spec import AppSpec, AppStatus, HostError, InvocationResult
from localcloud.supervisor.logbook import Logbook

MOST_INSTANCES = 4
"""Of one app here, whatever it declares: a laptop's share of a region."""
VAULT_REFERENCE = re.compile(r"@Microsoft\.KeyVault\(SecretUri=(?P<uri>[^)]+)\)")


class Published(msgspec.Struct, frozen=True):
    """Which package an app runs: the folder it is unpacked in, relative to the app's own."""

    folder: str
    deployment: str


class App:
    """One app: its site, its package, its host."""

    def __init__(self, site: Site, folder: Path) -> None:
        """`folder` is the app's own."""
        self.site, self.folder = site, folder
        self.header = secrets.token_urlsafe(24)
        self.host: FunctionsHost | None = None
        self.problem = ""
        self.started_with: bytes = b""

    @property
    def published(self) -> Published | None:
        """What was published last."""
        try:
            return msgspec.json.decode((self.folder / "published.json").read_bytes(), type=Published)
        except FileNotFoundError:
            return None

    def settings(self) -> dict[str, str]:
        """App settings as declared, references unresolved."""
        listed = (self.site.inputs.get("siteConfig") or {}).get("appSettings") or []
        return {item["name"]: str(item.get("value", "")) for item in listed}

    def most_instances(self) -> int:
        """The limit that the site declares: Flex says it in one place, Consumption in two."""
        flex = (self.site.inputs.get("functionAppConfig") or {}).get("scaleAndConcurrency") or {}
        config = self.site.inputs.get("siteConfig") or {}
        setting = self.settings().get("WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT", "")
        said = [
            flex.get("maximumInstanceCount"),
            config.get("functionAppScaleLimit"),
            setting if setting.isdigit() else 0,
        ]
        return min((int(one) for one in said if one), default=MOST_INSTANCES)

    def identity_ids(self) -> list[str]:
        """ARM ids of the identities that the site may use."""
        return [str(id_) for id_ in (self.site.inputs.get("identity") or {}).get("userAssignedIdentities") or []]


class Apps:
    """Every app of the local cloud."""

    def __init__(self, home: Path, cloud: LocalCloud, logbook: Logbook) -> None:
        """`home`: where apps are kept."""
        self._home, self._cloud, self._logbook = home, cloud, logbook
        self._apps: dict[str, App] = {}
        self._lock = asyncio.Lock()
        self.running = False
        """False while the control plane replays its record: hosts start once all of it is there."""

    async def start(self) -> None:
        """Run everything that was published before."""
        self.running = True
        for app in list(self._apps.values()):
            await self._run(app)

    async def stop(self) -> None:
        """Stop every host; work in hand has its grace."""
        self.running = False
        await asyncio.gather(*(app.host.stop() for app in self._apps.values() if app.host))

    async def kill(self, part: str = "") -> None:
        """SIGKILL for every instance of every app that has `part` in its name."""
        await asyncio.gather(*(app.host.kill() for name, app in self._apps.items() if app.host and part in name))

    async def put(self, site: Site) -> None:
        """A site was created or changed; its host starts anew only if what it sees changed."""
        app = self._apps.setdefault(site.name, App(site, self._home / site.name))
        app.site = site
        app.folder.mkdir(parents=True, exist_ok=True)
        await self._run(app)

    async def remove(self, name: str) -> None:
        """A site is gone, and its package with it."""
        app = self._apps.pop(name, None)
        if app is None:
            return
        if app.host:
            await app.host.stop()
        self._cloud.identity.unregister(app.header)
        shutil.rmtree(app.folder, ignore_errors=True)

    async def restart(self) -> None:
        """Start anew those apps that would see something else now (a secret that was put into a vault)."""
        for app in list(self._apps.values()):
            await self._run(app)

    def get(self, name: str) -> App | None:
        """An app by its physical name."""
        return self._apps.get(name)

    async def publish(self, name: str, archive: Path) -> str:
        """Run the package in `archive`; answers the deployment's id. Raises HostError when it does not load."""
        app = self._apps[name]
        deployment = uuid.uuid4().hex
        folder = unpack(archive, app.folder / f"package-{deployment[:12]}")
        before = app.published
        (app.folder / "published.json").write_bytes(msgspec.json.encode(Published(folder.name, deployment)))
        await self._run(app)
        if app.problem:
            raise HostError(app.problem)
        if before and before.folder != folder.name:
            shutil.rmtree(app.folder / before.folder, ignore_errors=True)
        return deployment

    async def fire(self, name: str, function: str) -> InvocationResult:
        """Run a function now."""
        app = self._apps.get(name)
        if app is None or app.host is None:
            known = ", ".join(sorted(self._apps)) or "none"
            raise HostError(f'app "{name}": must be one that runs, got {app.problem if app else known}; see status')
        return await app.host.fire(function)

    def statuses(self) -> list[AppStatus]:
        """Every app that runs."""
        return [app.host.status() for app in self._apps.values() if app.host]

    def results(self, system: str) -> list[InvocationResult]:
        """The last results of every function of a system, oldest first."""
        hosts = [app.host for app in self._apps.values() if app.host and app.host.spec.system == system]
        found = [result for host in hosts for one in host.status().functions for result in host.results(one.name)]
        return sorted(found, key=lambda result: result.started)

    def problems(self) -> dict[str, str]:
        """Apps that do not run, and why."""
        found = {name: app.problem for name, app in self._apps.items() if app.problem}
        return found | {one.name: one.problem for one in self.statuses() if one.problem}

    async def _run(self, app: App) -> None:
        published = app.published
        if not self.running or published is None:
            return
        async with self._lock:
            spec = self._spec(app, app.folder / published.folder)
            seen = msgspec.json.encode([spec.settings, str(spec.package), spec.max_instances])
            if app.host and seen == app.started_with:
                return
            if app.host:
                await app.host.stop()
                app.host = None
            app.problem, app.started_with = "", seen
            queues, buses = self._access()
            host = FunctionsHost(spec, on_line=self._logbook.write, queue_access=queues, bus_access=buses)
            try:
                await host.start()
            except HostError as error:
                app.problem = str(error)
                return
            app.host = host

    def _spec(self, app: App, package: Path) -> AppSpec:
        manifest: Values = msgspec.json.decode((package / "manifest.json").read_bytes())
        return AppSpec(
            name=app.site.name,
            system=manifest["system"],
            package=package,
            settings={name: self._resolve(value) for name, value in app.settings().items()},
            platform=self._platform(app),
            python=sys.executable,
            folder=app.folder / "host",
            instances=0,
            max_instances=min(app.most_instances(), MOST_INSTANCES),
        )

    def _resolve(self, value: str) -> str:
        """A Key Vault reference as the platform hands it over: the secret's value; empty while nobody put it there."""
        match = VAULT_REFERENCE.fullmatch(value)
        if match is None:
            return value
        vault_uri, _, name = match["uri"].partition("/secrets/")
        vault = self._cloud.vault.name_of(vault_uri + "/")
        return (self._cloud.vault.get_secret(vault, name.rstrip("/")) if vault else None) or ""

    def _platform(self, app: App) -> dict[str, str]:
        """What Azure itself adds to an app's environment, and what stands for it here; docs/local-cloud.md lists it."""
        endpoints = self._cloud.endpoints
        home = app.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        clients = [self._client_id(id_) for id_ in app.identity_ids()]
        self._cloud.identity.register_header(app.header, [client for client in clients if client])
        return {
            "IDENTITY_ENDPOINT": endpoints["identity"],
            "IDENTITY_HEADER": app.header,
            "REQUESTS_CA_BUNDLE": endpoints["ca_file"],
            "SSL_CERT_FILE": endpoints["ca_file"],
            "AWS_CA_BUNDLE": endpoints["ca_file"],
            "AWS_ENDPOINT_URL_S3": endpoints["s3"],
            "AWS_ENDPOINT_URL_SQS": endpoints["sqs"],
            "AWS_ENDPOINT_URL_STS": endpoints["sts"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(home / "no-aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-aws-credentials"),
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "WEBSITE_SITE_NAME": app.site.name,
            "WEBSITE_HOSTNAME": f"{app.site.name}.localhost",
            "WEBSITE_INSTANCE_ID": uuid.uuid5(uuid.NAMESPACE_DNS, app.site.name).hex,
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }

    def _client_id(self, identity_id: str) -> str | None:
        name = identity_id.rsplit("/", 1)[-1]
        found = next((p for p in self._cloud.identity.principals() if p.name == name), None)
        return found.client_id if found else None

    def _access(self) -> tuple[TokenQueueAccess, TokenBusAccess]:
        """The platform's own use of an app's identity: the same tokens the app itself would get."""

        def issue(client_id: str | None, audience: str) -> str:
            return app_token(self._cloud, client_id or "", audience)

        ca_file = self._cloud.endpoints["ca_file"]
        door, bell = self._cloud.door, self._cloud.storage.bell
        queues = TokenQueueAccess(issue, ca_file=ca_file, bell=bell, servers=door.server_at)
        return queues, TokenBusAccess(issue, ca_file=ca_file)


def app_token(cloud: LocalCloud, client_id: str, audience: str) -> str:
    """A token of an identity by its client id. Raises HostError for an unknown identity."""
    principal = cloud.identity.of_client(client_id)
    if principal is None:
        raise HostError(f"identity {client_id!r}: must exist, got no such client id; declare it and run up again")
    return cloud.identity.token(principal.principal_id, audience)
