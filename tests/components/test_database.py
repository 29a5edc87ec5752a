"""A database: Entra only, kept where data is kept, one role a worker, and migrations before anybody is let in."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.data.database import Administrator, Database, DatabaseArgs
from components.errors import DeclarationError
from components.workers.function_worker import FunctionWorker, FunctionWorkerArgs
from components.workers.steps import Every
from localcloud.engine.embedded import ProgramError
from localcloud.engine.state import Record
from tests.components.program import SUBSCRIPTION, TENANT, Base, Declared, declare, project

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo-test"
SERVER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/database-test-eefa8"
READS = ["database_endpoint: str", "database_name: str", "database_user: str"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = project(tmp_path, {"demo.step": READS})
    migrations = folder / "core/demo/migrations"
    migrations.mkdir(parents=True)
    (migrations / "0001_first.sql").write_text("create table one ();\n")
    (migrations / "0002_second.sql").write_text("create table two ();\n")
    return folder


def database(base: Base, **more: Any) -> Database:
    args: dict[str, Any] = {"migrations": ["core/demo/migrations"], **more}
    return Database("database", DatabaseArgs(group=base.group, foundation=base.foundation, **args), base.system.child)


def worker(base: Base, *roles: str, name: str = "demo-worker", **more: Any) -> None:
    one = database(base, **more)
    FunctionWorker(
        name,
        FunctionWorkerArgs(
            group=base.group,
            foundation=base.foundation,
            system="demo",
            steps=[Every("0 */5 * * * *", run="handlers.demo.step")],
            uses=[one.connect(role) for role in roles],
        ),
        base.system.child,
    )


def dynamic(found: Declared, name: str) -> Record:
    (one,) = [one for one in found.records if one.type == f"pulumi-python:dynamic/millrace:{name}"]
    return one


def wants(record: Record, **inputs: Any) -> None:
    assert {key: record.inputs.get(key) for key in inputs} == inputs


def test_a_server_knows_entra_only_and_its_smallest_form(root: Path) -> None:
    found = declare(lambda: database(Base(root)))
    wants(
        found.one("dbforpostgresql:Server"),
        authConfig={"activeDirectoryAuth": "Enabled", "passwordAuth": "Disabled", "tenantId": TENANT},
        backup={"backupRetentionDays": 30, "geoRedundantBackup": "Disabled"},
        highAvailability={"mode": "Disabled"},
        network={"publicNetworkAccess": "Enabled"},
        sku={"name": "Standard_B1ms", "tier": "Burstable"},
        storage={"storageSizeGB": 32, "autoGrow": "Disabled"},
        version="18",
        administratorLogin=None,
        administratorLoginPassword=None,
    )
    parameters = {one.inputs["configurationName"]: one.inputs["value"] for one in found.all("Configuration")}
    assert parameters == {"require_secure_transport": "on", "ssl_min_protocol_version": "TLSv1.2"}
    wants(found.one("FirewallRule"), startIpAddress="0.0.0.0", endIpAddress="0.0.0.0")
    wants(found.one("AdministratorsMicrosoftEntra"), principalName="deployer", principalType="ServicePrincipal")
    wants(found.one("dbforpostgresql:Database"), databaseName="database", charset="UTF8", collation="C")
    wants(found.one("DiagnosticSetting", "database-audit"), resourceUri=SERVER)
    assert not found.one("dbforpostgresql:Server").protect


def test_where_data_is_kept_it_is_in_two_zones_and_cannot_be_removed(root: Path) -> None:
    found = declare(lambda: database(Base(root, keeps_data=True, retention_days=365)))
    server = found.one("dbforpostgresql:Server")
    wants(
        server,
        backup={"backupRetentionDays": 35, "geoRedundantBackup": "Enabled"},
        highAvailability={"mode": "ZoneRedundant"},
        sku={"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"},
        storage={"storageSizeGB": 32, "autoGrow": "Enabled"},
    )
    assert server.protect
    assert found.one("dbforpostgresql:Database").protect
    wants(found.one("ManagementLockByScope", "database-lock"), scope=SERVER, level="CanNotDelete")


def test_changes_of_the_server_come_one_after_another(root: Path) -> None:
    """Azure refuses a second one while the first is under way."""
    found = declare(lambda: database(Base(root), admitted_addresses=["198.51.100.7"]))
    order = [one for one in sorted(found.custom, key=lambda one: one.order) if "dbforpostgresql" in one.type]
    for before, after in itertools.pairwise(order):
        assert before.urn in after.dependencies, (before.name, after.name)
    assert [one.type.rpartition(":")[2] for one in order] == [
        *("Server", "Configuration", "Configuration", "FirewallRule", "FirewallRule"),
        *("AdministratorsMicrosoftEntra", "Database"),
    ]


def test_migrations_are_named_by_their_content_and_come_after_the_database(root: Path) -> None:
    found = declare(lambda: database(Base(root)))
    migrations = dynamic(found, "Migrations")
    files = [line.split(" ") for line in migrations.inputs["files"]]
    assert [path for path, _ in files] == [
        f"core/demo/migrations/{name}" for name in ("0001_first.sql", "0002_second.sql")
    ]
    assert found.one("dbforpostgresql:Database").urn in migrations.dependencies
    assert found.one("AdministratorsMicrosoftEntra").urn in migrations.dependencies
    (root / "core/demo/migrations/0002_second.sql").write_text("create table other ();\n")
    again = dynamic(declare(lambda: database(Base(root))), "Migrations").inputs["files"]
    assert [line.split(" ") == old for line, old in zip(again, files, strict=True)] == [True, False]


def test_a_worker_signs_in_as_itself_and_is_a_member_of_its_role(root: Path) -> None:
    found = declare(lambda: worker(Base(root), "demo_worker"))
    login = dynamic(found, "DatabaseLogin")
    wants(login, login="demo-worker", role="demo_worker", user="deployer", database="database", administrator=False)
    assert login.inputs["object_id"] == found.one("UserAssignedIdentity").outputs["principalId"]
    assert dynamic(found, "Migrations").urn in login.dependencies
    assert login.urn in found.one("web:WebApp").dependencies
    settings = found.app_settings()
    assert settings["DATABASE_NAME"] == "database"
    assert settings["DATABASE_USER"] == "demo-worker"
    assert "DATABASE_ENDPOINT" in settings


def test_a_group_may_be_the_administrator(root: Path) -> None:
    group = "33333333-3333-4333-8333-333333333333"
    admins = Administrator(name="db-admins", object_id=group, kind="Group")
    found = declare(lambda: database(Base(root), administrator=admins))
    wants(
        found.one("AdministratorsMicrosoftEntra"),
        principalName="db-admins", principalType="Group", objectId=group,
    )  # fmt: skip
    assert dynamic(found, "Migrations").inputs["user"] == "db-admins"
    with pytest.raises(DeclarationError, match="a group must be named by its object_id"):
        Administrator(kind="Group")


def test_the_administrator_can_become_an_operator(root: Path) -> None:
    login = dynamic(declare(lambda: database(Base(root)).operator("demo_operator")), "DatabaseLogin")
    wants(login, login="deployer", role="demo_operator", administrator=True)


REFUSED: dict[str, tuple[Callable[[Base], object], str]] = {
    "size": (lambda base: database(base, storage_gb=33), "storage_gb must be one of 32, 64"),
    "sku": (lambda base: database(base, sku="B1ms"), "sku must be a size of a flexible server"),
    "no folder": (lambda base: database(base, migrations=["core/none"]), "folder core/none must hold migrations"),
    "two roles": (lambda base: worker(base, "one", "two"), "as one role, got one and two"),
    "same name": (lambda base: worker(base, "worker", name="worker"), 'login "worker" must have a name of its own'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(root: Path, case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises((ProgramError, DeclarationError), match=message):
        declare(lambda: make(Base(root)))


def test_a_burstable_server_cannot_keep_data(root: Path) -> None:
    with pytest.raises(ProgramError, match="kept in two zones"):
        declare(lambda: database(Base(root, keeps_data=True), sku="Standard_B2ms"))
