"""Azure's flexible servers as the control plane knows them: each a PostgreSQL of its own behind a door of its own.

Roles, principals and data are the server's own and survive; what is declared again at each start changes nothing.
"""

import asyncio
import logging
import shutil
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from localcloud.emulators.door import Door as HttpDoor
from localcloud.emulators.identity import Claims, Identity
from localcloud.emulators.ports import HOST, Ports
from localcloud.emulators.postgres.door import AUDIENCE, Decide, Door
from localcloud.emulators.postgres.server import SUPERUSER, PostgresServer
from localcloud.emulators.private_files import private_folder

SERVICE: Final = "postgres"
FAULTS: Final = frozenset({"refuse", "cut", "delay"})
"""What the door can do to an operation: `connect`, or `message` (bytes from the caller, refused by a cut)."""
CHECKED_S: Final = 0.5
PATIENCE_S: Final = 20.0
"""How long the control plane waits for a PostgreSQL that ended to be there again."""
RETRY_S: Final = 0.1
_AZURE: Final = Path(__file__).with_name("azure.sql")
_OWN: Final = frozenset({"postgres", "azure_maintenance", "azure_sys", "template0", "template1"})
"""Databases that exist on every server and are nobody's to make or drop."""
log = logging.getLogger("millrace.postgres")


class FlexibleServer:
    """One server and its door."""

    def __init__(self, folder: Path, name: str, ports: Ports, door: Callable[["FlexibleServer"], Door]) -> None:
        self._name, self._ports = name, ports
        self._server = PostgresServer(folder, lambda: ports.free(f"{SERVICE}-{name}-behind"))
        self.address = self.problem = ""
        self.door = door(self)
        self._superuser: psycopg.AsyncConnection[Any] | None = None
        self._asking = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """RuntimeError when PostgreSQL does not come up."""
        await self._start()
        sock = self._ports.listen(f"{SERVICE}-{self._name}")
        self.address = f"{HOST}:{sock.getsockname()[1]}"
        await self.door.open(sock)
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Data stays."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self.door.close()
        if self._superuser is not None:
            await self._superuser.close()
        await asyncio.to_thread(self._server.stop)

    def behind(self) -> tuple[int, str]:
        """Port and password."""
        return self._server.port, self._server.password

    async def principal_of(self, role: str) -> str | None:
        """The object id of whom a role was made for. ConnectionError while PostgreSQL does not answer."""
        try:
            rows = await self.ask("select pgaadauth.principal_of(%s)", role, patience_s=0)
        except psycopg.OperationalError as error:
            raise ConnectionError(str(error)) from error
        return rows[0][0]  # type: ignore[no-any-return]  # text or null

    async def ask(
        self, statement: str | sql.Composed, *values: object, patience_s: float = PATIENCE_S
    ) -> list[tuple[Any, ...]]:
        """One statement as the superuser, in the database `postgres`; again when PostgreSQL ended meanwhile."""
        query = statement.encode() if isinstance(statement, str) else statement
        deadline = time.monotonic() + patience_s
        async with self._asking:
            while True:
                kept = self._superuser
                try:
                    if kept is None or kept.closed:
                        self._superuser = kept = await self._connect()
                    cursor = await kept.execute(query, values or None)
                    return await cursor.fetchall() if cursor.description else []
                except psycopg.OperationalError:
                    if kept is not None and not kept.closed:
                        raise
                    self._superuser = None
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(RETRY_S)

    async def _start(self) -> None:
        await asyncio.to_thread(self._server.start)
        async with await self._connect() as connection:
            await connection.execute(_AZURE.read_bytes())

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            host=HOST,
            port=self._server.port,
            user=SUPERUSER,
            password=self._server.password,
            dbname="postgres",
            autocommit=True,
            sslmode="disable",
        )

    async def _keep(self) -> None:
        """Starts PostgreSQL again whenever it ends unasked."""
        while True:
            await asyncio.sleep(CHECKED_S)
            if self._server.running:
                continue
            self.problem = f"PostgreSQL {self._name} ended by itself and is started again; nothing committed is lost"
            log.error("%s", self.problem)
            try:
                await self._start()
            except (RuntimeError, OSError, psycopg.Error) as error:
                self.problem = str(error)
                log.error("%s", error)  # noqa: TRY400 -- a sentence for people; the next try follows
            else:
                self.problem = ""


class FlexibleServers:
    """All of one local cloud."""

    def __init__(
        self,
        home: Path,
        ports: Ports,
        identity: Identity,
        context: Callable[[], ssl.SSLContext],
        counts: HttpDoor,
    ) -> None:
        """Nothing runs yet. `counts`: whose `calls` and `refused` count connections too."""
        self._home, self._ports, self._identity, self._context = home, ports, identity, context
        self._counts = counts
        self._servers: dict[str, FlexibleServer] = {}
        self._failed: dict[str, str] = {}
        self.decide: Callable[[str, str], tuple[Any, float] | None] | None = None
        """The fault hook: (service, operation) → the fault that this meets."""

    async def put_server(self, name: str) -> str:
        """Starts it unless it runs; answers `host:port`. ValueError, and a problem in the status, when it does not
        come up: the rest of the cloud goes on.
        """
        if name not in self._servers:
            folder = private_folder(private_folder(self._home) / name)
            try:
                server = FlexibleServer(folder, name, self._ports, self._door)
                await server.start()
            except (RuntimeError, OSError) as error:
                self._failed[name] = str(error)
                raise ValueError(str(error)) from error
            self._servers[name] = server
            self._failed.pop(name, None)
        return self._servers[name].address

    async def remove_server(self, name: str) -> None:
        """Ends it and removes its data."""
        server = self._servers.pop(name, None)
        if server is not None:
            await server.stop()
        self._failed.pop(name, None)
        await asyncio.to_thread(shutil.rmtree, self._home / name, ignore_errors=True)

    async def put_database(self, server: str, name: str) -> None:
        """Azure makes a database the administrators' own; one that is there stays as it is."""
        if not await self.has_database(server, name):
            make = sql.SQL("create database {} owner azure_pg_admin").format(sql.Identifier(name))
            await self._servers[server].ask(make)

    async def has_database(self, server: str, name: str) -> bool:
        """Whether it is there."""
        return bool(await self._servers[server].ask("select 1 from pg_database where datname = %s", name))

    async def remove_database(self, server: str, name: str) -> None:
        """Drops it, whoever is connected."""
        if server in self._servers and name not in _OWN:
            drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            await self._servers[server].ask(drop)

    async def put_administrator(self, server: str, role: str, object_id: str, kind: str) -> None:
        """A role for the principal, in the group of administrators; one that is there stays as it is."""
        there = self._servers[server]
        if await there.principal_of(role) == object_id.lower():
            return
        make = "select pg_catalog.pgaadauth_create_principal_with_oid(%s, %s, %s, true, false)"
        await there.ask(make, role, object_id, "service" if kind == "ServicePrincipal" else kind.lower())

    async def remove_administrator(self, server: str, object_id: str) -> None:
        """The role stays (it owns what it made), but nobody can sign in as it any more."""
        if server in self._servers:
            await self._servers[server].ask(
                "delete from pgaadauth.principal where object_id = %s and is_admin", object_id.lower()
            )

    async def stop(self) -> None:
        """Ends all of them; data stays."""
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        self._servers.clear()

    def endpoints(self) -> dict[str, str]:
        """Where the first one is, as `status` shows it."""
        return {SERVICE: next(iter(self._servers.values())).address} if self._servers else {}

    def problems(self) -> dict[str, str]:
        """What does not work now, and why."""
        found = {**self._failed, **{name: server.problem for name, server in self._servers.items()}}
        return {f"{SERVICE} {name}": problem for name, problem in found.items() if problem}

    def connections(self) -> dict[str, int]:
        """How many are open, by server."""
        return {name: server.door.connections for name, server in self._servers.items()}

    def _door(self, server: FlexibleServer) -> Door:
        def count(admitted: bool) -> None:
            (self._counts.calls if admitted else self._counts.refused)[SERVICE, "connect"] += 1

        decide: Decide = lambda operation: self.decide(SERVICE, operation) if self.decide else None  # noqa: E731
        return Door(
            context=self._context,
            verify=self._verify,
            principal_of=server.principal_of,
            behind=server.behind,
            count=count,
            decide=decide,
        )

    def _verify(self, token: str) -> Claims:
        return self._identity.verify(token, [AUDIENCE])
