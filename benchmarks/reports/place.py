"""A local cloud with the apps of alma_analytics that a benchmark needs: their built packages in the Functions host,
queues and blobs in Azurite behind the door, PostgreSQL behind its own, tokens and roles as always.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import psycopg

from benchmarks.reports.institution import KEY, Institution
from components.packaging.archive import unpack
from components.packaging.builder import build, plan
from components.packaging.manifest import App, Function, QueueTrigger
from components.packaging.target import Target
from core.alma_analytics import names
from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.clients.postgres import AUDIENCE, Postgres
from core.clients.storage_queue import StorageQueue
from core.jobs.outbox import Outbox
from localcloud.emulators.cloud import LocalCloud
from localcloud.host.functions import FunctionsHost
from localcloud.host.queue_access import TokenQueueAccess
from localcloud.host.spec import AppSpec
from stacks.alma_analytics import ALMA_AT_ONCE

ACCOUNT = "bench"
GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/bench"
ROLES = ("974c5e8b-45b9-4653-ba55-5f855dd0fb88", "ba92f5b4-2d11-453d-a403-e96b0029c9fe")  # queue, blob data contributor
PRINCIPAL, CLIENT = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
HEADER = "bench"
DATABASE, USER, ADMINISTRATOR = "alma", "bench", "deployer"
MIGRATIONS = ("core/jobs/migrations", "core/alma_analytics/migrations")
READY_S = 60


class Place:
    """The local cloud, its database new and empty. All methods belong to one asyncio loop; `database` and `outbox`,
    which are the benchmark's own way in, to other threads.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self.cloud = LocalCloud(folder / "cloud", tenant_id="t", subscription_id="s", aws_account="123456789012")
        self.authority = folder / "cloud" / "ca"

    async def __aenter__(self) -> Self:
        cloud = self.cloud
        await cloud.start()
        self.ca_file = cloud.endpoints["ca_file"]
        cloud.identity.put(PRINCIPAL, CLIENT, "bench")
        cloud.identity.register_header(HEADER, [CLIENT])
        for role in ROLES:
            cloud.access.assign(role, PRINCIPAL, role, GROUP)
        await cloud.storage.put_account(GROUP, ACCOUNT)
        await cloud.storage.put_container(f"{GROUP}/blobServices/default/containers/pages", ACCOUNT, "pages")
        for name in (*names.QUEUES, *(f"{name}-poison" for name in names.QUEUES)):
            await cloud.storage.put_queue(f"{GROUP}/queueServices/default/queues/{name}", ACCOUNT, name)
        self.database_endpoint = await cloud.postgres.put_server("bench")
        administrator = cloud.identity.deployer.principal_id
        await cloud.postgres.put_administrator("bench", ADMINISTRATOR, administrator, "ServicePrincipal")
        await cloud.postgres.put_database("bench", DATABASE)
        self.administrator_token = token = cloud.identity.token(administrator, AUDIENCE, 6 * 3600)
        await asyncio.to_thread(self._migrate, token)
        self.database = Postgres(
            lambda: token, endpoint=self.database_endpoint, name=DATABASE, user=ADMINISTRATOR, ca_file=self.ca_file
        )
        http = Http(ca_file=self.ca_file)
        identity = ManagedIdentity(http, endpoint=cloud.endpoints["identity"], header=HEADER, client_id=CLIENT)
        queues = {
            name: StorageQueue(identity, endpoint=self._queues, name=name, ca_file=self.ca_file, http=http)
            for name in names.QUEUES
        }
        self.outbox = Outbox(self.database, queues)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.database.close()
        await self.cloud.stop()

    @property
    def _queues(self) -> str:
        return f"{self.cloud.endpoints['queue']}/{ACCOUNT}"

    def _migrate(self, token: str) -> None:
        host, _, port = self.database_endpoint.partition(":")
        for database in ("postgres", DATABASE):
            with psycopg.connect(
                host=host, port=port, user=ADMINISTRATOR, dbname=database, password=token, sslmode="verify-full",
                sslrootcert=self.ca_file,
            ) as connection:  # fmt: skip
                if database == "postgres":
                    make = "select * from pgaadauth_create_principal_with_oid(%s, %s, 'service', false, false)"
                    connection.execute(make, [USER, PRINCIPAL])
                    continue
                for folder in MIGRATIONS:
                    for file in sorted((self._root / folder).glob("*.sql")):
                        connection.execute(file.read_bytes())
                connection.execute("grant alma_apifetcher, alma_updater to bench")

    def package(self, queue: str, run: str) -> Path:
        """The app's package with this one step, as the stack declares it."""
        step = Function(name=run.rpartition(".")[2], run=run, trigger=QueueTrigger(queue=queue, connection="WORK"))
        app = App(name="bench", system=names.SYSTEM, functions=(step,), queues=ALMA_AT_ONCE)
        declared = plan(app, root=self._root, target=Target.local())
        built = build(declared, self._folder / "out", progress=lambda _: None)
        return unpack(built.path, self._folder / f"package-{queue}")

    async def host(self, package: Path, alma: Institution, *, instances: int, sends: Iterable[str]) -> FunctionsHost:
        """An app with so many instances, ready; stop it."""
        settings = {
            "AZURE_CLIENT_ID": CLIENT,
            "WORK__queueServiceUri": self._queues,
            "WORK__clientId": CLIENT,
            "DATABASE_ENDPOINT": self.database_endpoint,
            "DATABASE_NAME": DATABASE,
            "DATABASE_USER": USER,
            "ALMA_URL": alma.url,
            "ALMA_KEY": KEY,
            "PAGES_URL": f"{self.cloud.endpoints['blob']}/{ACCOUNT}/pages",
        }
        for name in sends:
            prefix = name.upper().replace("-", "_")
            settings |= {f"{prefix}_QUEUE_ENDPOINT": self._queues, f"{prefix}_QUEUE_NAME": name}
        spec = AppSpec(
            name="bench", system=names.SYSTEM, package=package, python=sys.executable,
            folder=self._folder / "host" / uuid.uuid4().hex, instances=instances, max_instances=instances,
            settings=settings,
            platform={
                "TZ": "UTC", "HOME": str(self._folder), "REQUESTS_CA_BUNDLE": self.ca_file,
                "IDENTITY_ENDPOINT": self.cloud.endpoints["identity"], "IDENTITY_HEADER": HEADER,
            },
        )  # fmt: skip
        access = TokenQueueAccess(
            self._token, ca_file=self.ca_file, bell=self.cloud.storage.bell, servers=self.cloud.door.server_at
        )
        host = FunctionsHost(spec, on_line=lambda _: None, queue_access=access)
        await host.start()
        await until(lambda: all(one.state == "ready" for one in host.status().instances), READY_S)
        return host

    def _token(self, client_id: str | None, audience: str) -> str:
        who = self.cloud.identity.of_client(client_id or "")
        assert who is not None  # noqa: S101 - put above
        return self.cloud.identity.token(who.principal_id, audience)


async def until(holds: object, limit_s: float, every_s: float = 0.02) -> None:
    """Waits for a condition; TimeoutError when it does not come."""
    assert callable(holds)  # noqa: S101
    async with asyncio.timeout(limit_s):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - databases and hosts do not tell
            await asyncio.sleep(every_s)
