"""A declared database on a local cloud: migrated by the deployer, used by a worker, there after every end."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from core.clients.postgres import AUDIENCE
from localcloud.control import address
from tests.e2e.project import Project, living

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
    pytest.mark.timeout(240),
]

PROGRAM = """\
from components.data.database import Database, DatabaseArgs
from components.foundation.resource_group import ResourceGroup
from components.system import System
from components.workers.function_worker import FunctionWorker, FunctionWorkerArgs
from components.workers.steps import Every
from stacks.foundation import foundation
from stacks.settings import read_settings

settings = read_settings({"log_ingest"})
base = foundation(settings)
system = System("demo", settings.environment)
group = ResourceGroup("demo", settings.environment, opts=system.child)
database = Database(
    "database", DatabaseArgs(group=group, foundation=base, migrations=["core/demo/migrations"]), system.child
)
database.operator("demo_operator")
FunctionWorker(
    "demo-writer",
    FunctionWorkerArgs(
        group=group,
        foundation=base,
        system="demo",
        steps=[Every("0 0 0 1 1 *", run="handlers.demo.write")],
        uses=[database.connect("demo_writer")],
    ),
    system.child,
)
system.finish({})
"""
HANDLER = """\
import msgspec

from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.clients.postgres import AUDIENCE, Postgres
from core.messages.ticks import TimerTick
from core.runtime.context import Context
from core.runtime.outcome import Done, Outcome
from core.runtime.settings import ca_file, identity_endpoint


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    azure_client_id: str
    database_endpoint: str
    database_name: str
    database_user: str


def connect(settings: Settings) -> Postgres:
    endpoint, header = identity_endpoint()
    identity = ManagedIdentity(
        Http(ca_file=ca_file()), endpoint=endpoint, header=header, client_id=settings.azure_client_id
    )
    return Postgres(
        lambda: identity.token(AUDIENCE), endpoint=settings.database_endpoint, name=settings.database_name,
        user=settings.database_user, ca_file=ca_file(),
    )


def handle(tick: TimerTick, context: Context[Postgres]) -> Outcome:
    with context.clients.transaction() as tx:
        tx.execute("insert into demo.note (text) values (%s)", [context.invocation_id])
    return Done()
"""
FIRST = """\
do $$
begin
    if to_regrole('demo_writer') is null then
        create role demo_writer nologin;
    end if;
    if to_regrole('demo_operator') is null then
        create role demo_operator nologin;
    end if;
end
$$;
create schema demo;
create table demo.note (id bigint generated always as identity primary key, text text not null);
grant usage on schema demo to demo_writer;
grant select, insert on demo.note to demo_writer;
"""
MIGRATIONS = "core/demo/migrations"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("database") / "project")
    write(project, "__main__.py", PROGRAM)
    for package in ("handlers/demo", "core/demo"):
        write(project, f"{package}/__init__.py", "")
    write(project, "handlers/demo/write.py", HANDLER)
    write(project, f"{MIGRATIONS}/0001_first.sql", FIRST)
    try:
        project.up("--no-sample")
        yield project
    finally:
        project.down()


def write(project: Project, file: str, text: str) -> None:
    path = project.root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def connected(project: Project, role: str, identity: str = "", **more: Any) -> psycopg.Connection[Any]:
    endpoints = project.stack.status().endpoints
    host, _, port = endpoints["postgres"].partition(":")
    token = project.token(identity or role, AUDIENCE)
    return psycopg.connect(
        host=host, port=port, user=role, dbname="database", password=token, sslmode="verify-full",
        sslrootcert=endpoints["ca_file"], **more,
    )  # fmt: skip


def notes(project: Project) -> int:
    with connected(project, "deployer") as connection:
        return int(connection.execute("select count(*) from demo.note").fetchone()[0])  # type: ignore[index]


def fire(project: Project) -> None:
    assert project.stack.fire_timers("demo") == 1
    project.settle()


def test_the_worker_s_own_token_lets_it_write_what_its_group_may(cloud: Project) -> None:
    before = notes(cloud)
    fire(cloud)
    assert notes(cloud) == before + 1
    worker = cloud.worker()
    with connected(cloud, "demo-writer", worker, autocommit=True) as connection:
        assert connection.execute("select session_user").fetchone() == ("demo-writer",)
        connection.execute("insert into demo.note (text) values ('by hand')")
        for statement in (
            "delete from demo.note",
            "drop table demo.note",
            "create table public.mine ()",
            "create schema mine",
            "select * from millrace.migration",
            "set role demo_operator",
            "set role deployer",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
    for role, identity in (("demo-writer", "deployer"), ("deployer", worker), ("demo_writer", worker)):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connected(cloud, role, identity)


def test_the_same_again_changes_nothing(cloud: Project) -> None:
    counts = cloud.up("--no-sample")["resources"]
    assert (counts["created"], counts["updated"], counts["deleted"]) == (0, 0, 0)


def test_a_file_that_was_applied_and_then_changed_is_refused(cloud: Project) -> None:
    write(cloud, f"{MIGRATIONS}/0001_first.sql", FIRST + "-- changed\n")
    ran = cloud.run("up", "--no-sample")
    said = " ".join((ran.stdout + ran.stderr).split())
    assert ran.returncode == 1
    assert "core/demo/migrations/0001_first.sql: it must be what was applied (" in said
    assert "add a new file for the change" in said
    write(cloud, f"{MIGRATIONS}/0001_first.sql", FIRST)
    assert cloud.up("--no-sample")["resources"]["deleted"] == 0


def test_one_that_fails_leaves_nothing_behind_and_can_be_mended(cloud: Project) -> None:
    file = f"{MIGRATIONS}/0002_more.sql"
    write(cloud, file, "create table demo.more (id int);\nselect nothing_of_this_name;\n")
    ran = cloud.run("up", "--no-sample")
    said = " ".join((ran.stdout + ran.stderr).split())
    assert ran.returncode == 1
    assert 'PostgreSQL refused it (at character 41): column "nothing_of_this_name" does not exist' in said
    with connected(cloud, "deployer") as connection:
        assert connection.execute("select to_regclass('demo.more')").fetchone() == (None,)
    write(cloud, file, "commit;\ncreate table demo.more (id int);\n")
    assert "it must leave its transaction open" in " ".join(cloud.run("up", "--no-sample").stderr.split())
    write(cloud, file, "create table if not exists demo.more (id int);\n")
    cloud.up("--no-sample")
    with connected(cloud, "deployer") as connection:
        found = connection.execute("select path, applied_by from millrace.migration order by 1").fetchall()
    assert found == [(f"{MIGRATIONS}/0001_first.sql", "deployer"), (file, "deployer")]


def kill_the_supervisor(cloud: Project) -> None:
    running = address.read(cloud.home)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)


def kill_postgres(cloud: Project) -> None:
    (file,) = Path(cloud.home / "cloud/postgres").glob("*/data/postmaster.pid")
    os.kill(int(file.read_text().split("\n", 1)[0]), signal.SIGKILL)


def kill_both(cloud: Project) -> None:
    kill_the_supervisor(cloud)
    kill_postgres(cloud)


def down(cloud: Project) -> None:
    cloud.json("down")


@pytest.mark.parametrize("end", [kill_the_supervisor, kill_postgres, kill_both, down])
def test_what_was_committed_is_there_after_every_end(cloud: Project, end: Any) -> None:
    fire(cloud)
    before, processes = notes(cloud), cloud.processes()
    end(cloud)
    counts = cloud.up("--no-sample")["resources"]
    assert (counts["created"], counts["updated"], counts["deleted"]) == (0, 0, 0)
    if end is not kill_postgres:
        assert living(processes) == set()
    assert notes(cloud) == before
    fire(cloud)
    assert notes(cloud) == before + 1


def test_reset_forgets_it_and_up_makes_it_anew(cloud: Project) -> None:
    cloud.json("reset")
    assert not cloud.home.exists()
    cloud.up("--no-sample")
    assert notes(cloud) == 0
    fire(cloud)
    assert notes(cloud) == 1
