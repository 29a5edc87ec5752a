"""A real PostgreSQL for tests: one server per test process, one fresh database per test, any migrations applied.

    @pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")
    def test_x(database: Database) -> None:
        with database.connect() as connection: ...

A database with migrations is cloned from a template that has them (about 0.1 s), made once per process.
Roles belong to the server, not to a database: a migration creates one only where it does not exist yet.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from localcloud.emulators.ports import HOST
from localcloud.emulators.postgres.server import SUPERUSER, PostgresServer

ROOT = Path(__file__).resolve().parents[1]
_numbers = itertools.count(1)
Connection = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True)
class Database:
    """A database of one test; everything in it is the superuser's."""

    name: str
    port: int
    password: str

    @property
    def url(self) -> str:
        """For libpq, psycopg and psql."""
        return f"postgresql://{SUPERUSER}:{self.password}@{HOST}:{self.port}/{self.name}"

    def connect(self, *, autocommit: bool = False) -> Connection:
        """A new connection whose rows are dicts; close it (`with` does, and commits)."""
        return psycopg.connect(self.url, row_factory=dict_row, autocommit=autocommit)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """What `core.clients.postgres.Postgres` offers: commits at the end, rolls back on an error."""
        with self.connect() as connection:
            yield connection


class Databases:
    """The server of this process and its templates."""

    def __init__(self, folder: Path) -> None:
        self._server = PostgresServer(folder, _free_port, durable=False)
        self._server.start()
        self._templates: dict[tuple[str, ...], str] = {}

    def stop(self) -> None:
        self._server.stop()

    def fresh(self, migrations: tuple[str, ...]) -> Database:
        """A new database with the `.sql` files of these folders (relative to the project) applied in order."""
        template = self._templates.get(migrations) or self._template(migrations)
        return self._create(f"test_{next(_numbers)}", template)

    def drop(self, database: Database) -> None:
        with self._open("postgres").connect(autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database.name)))

    def _template(self, migrations: tuple[str, ...]) -> str:
        made = self._create(f"template_{next(_numbers)}", "template1")
        with made.connect() as connection:
            for folder in migrations:
                for file in sorted((ROOT / folder).glob("*.sql")):
                    connection.execute(file.read_bytes())
        self._templates[migrations] = made.name
        return made.name

    def _create(self, name: str, template: str) -> Database:
        statement = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        with self._open("postgres").connect(autocommit=True) as connection:
            connection.execute(statement)
        return self._open(name)

    def _open(self, name: str) -> Database:
        return Database(name, self._server.port, self._server.password)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One server per test process (0.7 s)."""
    running = Databases(tmp_path_factory.mktemp(f"postgres-{os.getpid()}"))
    yield running
    running.stop()


@pytest.fixture
def database(request: pytest.FixtureRequest, postgres_server: Databases) -> Iterator[Database]:
    """A fresh database with the folders of the test's `migrations` marker applied."""
    marker = request.node.get_closest_marker("migrations")
    made = postgres_server.fresh(tuple(marker.args) if marker else ())
    yield made
    postgres_server.drop(made)


@pytest.fixture
def postgres_url(database: Database) -> str:
    """The fresh database's address."""
    return database.url
