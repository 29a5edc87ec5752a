"""One running local cloud with one flexible server, its administrator and a worker's role, per test module."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from core.clients.postgres import AUDIENCE, Postgres
from tests.integration.emulators.local import Local

SERVER = "db-test"


class Place:
    """The server as its callers see it. Database `app`: table `thing` that the role `worker` may read and add to."""

    def __init__(self, local: Local) -> None:
        self.local, self.servers = local, local.cloud.postgres
        self.admin = local.cloud.identity.deployer.principal_id
        self.worker, self.other = local.identity("worker"), local.identity("other")
        self.endpoint = local.run(self.servers.put_server(SERVER))
        local.run(self.servers.put_administrator(SERVER, "deployer", self.admin, "ServicePrincipal"))
        local.run(self.servers.put_database(SERVER, "app"))
        with self.connect("deployer", self.admin, "postgres") as connection:
            for role, principal in (("worker", self.worker), ("other", self.other)):
                connection.execute(
                    "select * from pgaadauth_create_principal_with_oid(%s, %s, 'service', false, false)",
                    [role, principal],
                )
        with self.connect("deployer", self.admin, "app") as connection:
            connection.execute("create table thing (number int primary key)")
            connection.execute("grant select, insert on thing to worker")

    def token(self, principal: str, audience: str = AUDIENCE) -> str:
        return self.local.do(lambda: self.local.cloud.identity.token(principal, audience))

    def connect(
        self, role: str, principal: str = "", database: str = "app", *, token: str = "", **more: Any
    ) -> psycopg.Connection[tuple[object, ...]]:
        """As any client of PostgreSQL does it."""
        host, _, port = self.endpoint.partition(":")
        given: dict[str, Any] = {"host": host, "port": port, "user": role, "dbname": database, "sslmode": "verify-full"}
        given |= {"sslrootcert": self.local.ca, "password": token or self.token(principal), **more}
        return psycopg.connect(**given)

    def client(self, role: str = "worker", principal: str = "", connections: int = 8) -> Postgres:
        """As a handler does it."""
        who = principal or self.worker
        return Postgres(
            lambda: self.token(who),
            endpoint=self.endpoint,
            name="app",
            user=role,
            ca_file=self.local.ca,
            connections=connections,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    local = Local(tmp_path_factory.mktemp("cloud"))
    yield Place(local)
    local.stop()
