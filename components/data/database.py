"""A PostgreSQL database on a flexible server of its own: its schema by migrations, its callers by identity.

Declared here: the server (Entra only, TLS 1.2 or newer), its administrator (whoever deploys), the database, its
migrations and one login role per worker, a member of exactly one group role. Deliberately absent: passwords, and a
network of its own. Workers on Flex Consumption without one have no fixed address, so the server is reachable for what
runs in Azure, and closed to everyone without a token and a role (docs/security.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
from pulumi_azure_native import authorization, dbforpostgresql

from components.data.deployment import Login, Migrations
from components.data.migrations import find
from components.errors import require
from components.foundation.foundation import Foundation
from components.foundation.lock import lock
from components.foundation.resource_group import ResourceGroup
from components.link import DatabaseGrant, Link, after, setting_prefix
from components.monitoring.diagnostics import keep_audit_log

VERSION = "18"
STORAGE_GB = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32767)
"""learn.microsoft.com/azure/postgresql/flexible-server/concepts-storage: sizes of premium disks; they only grow."""
BACKUP_DAYS = (7, 35)
TIERS = {"B": "Burstable", "D": "GeneralPurpose", "E": "MemoryOptimized"}
PARAMETERS = {"require_secure_transport": "on", "ssl_min_protocol_version": "TLSv1.2"}
"""Azure's own defaults, said so that nobody changes them unnoticed."""
AZURE_ONLY = "0.0.0.0"  # noqa: S104  Azure's notation for "whatever has an address of Azure"


@dataclass(frozen=True, kw_only=True, slots=True)
class Administrator:
    """Who owns what migrations make. Several people who deploy share an Entra group and sign in under its name."""

    name: str = "deployer"
    """The role's name, and the administrator's in Azure's lists."""
    object_id: str | None = None
    """None: whoever deploys."""
    kind: Literal["ServicePrincipal", "User", "Group"] | None = None
    """None: what the stack's deployer is."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(
            (self.kind == "Group") <= bool(self.object_id),
            "Administrator",
            must="a group must be named by its object_id",
            got="none",
            change="set object_id to the Entra group's object id",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseArgs:
    """Where it lives, what is in it, how large it is."""

    group: ResourceGroup
    """Its resource group."""
    foundation: Foundation
    """Its audit log goes to the foundation's workspace."""
    migrations: Sequence[str]
    """Folders of migration files, from the project's root, in this order."""
    storage_gb: int = 32
    sku: str | None = None
    """The server's size (`Standard_D4ds_v5`). None: the smallest, or where data is kept the smallest that Azure keeps
    in two zones.
    """
    administrator: Administrator = field(default_factory=Administrator)
    """As whom deployments sign in."""
    admitted_addresses: Sequence[str] = ()
    """IPv4 addresses outside Azure that may connect: a person's who deploys from a laptop."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(
            self.storage_gb in STORAGE_GB,
            "Database",
            must=f"storage_gb must be one of {', '.join(map(str, STORAGE_GB))}",
            got=self.storage_gb,
            change="set storage_gb=32",
        )
        require(
            self.sku is None or _tier(self.sku),
            "Database",
            must="sku must be a size of a flexible server: Standard_B…, Standard_D… or Standard_E…",
            got=repr(self.sku),
            change='set sku="Standard_D2ds_v5"',
        )


class Database(pulumi.ComponentResource):
    """One database; `connect` lets a worker in."""

    endpoint: pulumi.Output[str]
    """`host` or `host:port`."""
    name: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name`: the database's own name too, hyphens as underscores."""
        super().__init__("millrace:data:Database", name, None, opts)
        self._name, self._args, self._environment = name, args, args.group.environment
        self._who = f'Database "{name}"'
        self._child = pulumi.ResourceOptions(parent=self)
        self._files = find(self._who, self._environment.project_root, args.migrations)
        self._physical = self._environment.claim("database_server", name)
        self.database_name = name.replace("-", "_")
        self.server = self._create_server()
        self.endpoint = self.server.fully_qualified_domain_name
        self.lock = lock(name, self.server.id, self._environment, parent=self)
        keep_audit_log(f"{name}-audit", self.server.id, args.foundation.workspace.id, parent=self)
        last = self._set_parameters()
        last = self._open_firewall(last)
        self._administrator_id = self._object_id()
        self.administrator = self._create_administrator(last)
        self.database = self._create_database()
        self.name = after(self.database_name, self.database)
        self.migrations = self._create_migrations()
        self.register_outputs({"name": self.name, "endpoint": self.endpoint})

    def connect(self, role: str) -> Link:
        """Sign in as a member of the group role `role`, which a migration creates and grants its rights to."""
        prefix = setting_prefix(self._name)
        return Link(
            name=f"{self._name}.connect",
            settings={f"{prefix}_ENDPOINT": self.endpoint, f"{prefix}_NAME": self.database_name},
            database=[DatabaseGrant(database=self, prefix=prefix, role=role)],
            needs=[self.migrations],
        )

    def admit(
        self, login: str, role: str, object_id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> Login:
        """A login role for a principal; `login`: its name."""
        require(
            login not in (role, self._args.administrator.name),
            self._who,
            must=f'the login "{login}" must have a name of its own',
            got=f'the name of the group role "{role}" or of the administrator',
            change="rename the worker or the role",
        )
        return self._login(login, role, object_id, opts, administrator=False)

    def operator(self, role: str) -> Login:
        """The administrator becomes a member of `role` too, for the people who look after the data."""
        return self._login(self._args.administrator.name, role, self._administrator_id, None, administrator=True)

    def _login(
        self,
        login: str,
        role: str,
        object_id: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None,
        *,
        administrator: bool,
    ) -> Login:
        needs = pulumi.ResourceOptions(parent=self, depends_on=[self.migrations])
        return Login(
            f"{self._name}-{login}",
            endpoint=self.endpoint,
            database=self.name,
            user=self._args.administrator.name,
            login=login,
            role=role,
            object_id=object_id,
            administrator=administrator,
            opts=pulumi.ResourceOptions.merge(needs, opts),
        )

    def _create_server(self) -> dbforpostgresql.Server:
        environment, group = self._environment, self._args.group
        kept = environment.keeps_data
        sku = self._args.sku or ("Standard_D2ds_v5" if kept else "Standard_B1ms")
        require(
            not kept or _tier(sku) != TIERS["B"],
            self._who,
            must="its server must be kept in two zones where data is kept, which burstable sizes are not",
            got=sku,
            change='set sku="Standard_D2ds_v5"',
        )
        return dbforpostgresql.Server(
            self._name,
            server_name=self._physical,
            resource_group_name=group.name,
            location=environment.location,
            version=VERSION,
            sku={"name": sku, "tier": _tier(sku)},
            storage={"storage_size_gb": self._args.storage_gb, "auto_grow": "Enabled" if kept else "Disabled"},
            auth_config={
                "active_directory_auth": "Enabled",
                "password_auth": "Disabled",
                "tenant_id": environment.tenant_id,
            },
            backup={
                "backup_retention_days": min(max(environment.retention_days, BACKUP_DAYS[0]), BACKUP_DAYS[1]),
                "geo_redundant_backup": "Enabled" if kept else "Disabled",
            },
            high_availability={"mode": "ZoneRedundant" if kept else "Disabled"},
            network={"public_network_access": "Enabled"},
            tags=environment.all_tags(),
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(protect=kept or None)),
        )

    def _set_parameters(self) -> pulumi.Resource:
        """One after another: a server that is being changed refuses every other change."""
        last: pulumi.Resource = self.server
        for parameter, value in PARAMETERS.items():
            last = dbforpostgresql.Configuration(
                f"{self._name}-{parameter.replace('_', '-')}",
                configuration_name=parameter,
                value=value,
                source="user-override",
                server_name=after(self._physical, self.server),
                resource_group_name=self._args.group.name,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[last]),
            )
        return last

    def _open_firewall(self, last: pulumi.Resource) -> pulumi.Resource:
        for number, address in enumerate((AZURE_ONLY, *self._args.admitted_addresses)):
            rule = "azure" if address == AZURE_ONLY else f"admitted-{number}"
            last = dbforpostgresql.FirewallRule(
                f"{self._name}-{rule}",
                firewall_rule_name=rule,
                start_ip_address=address,
                end_ip_address=address,
                server_name=after(self._physical, self.server),
                resource_group_name=self._args.group.name,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[last]),
            )
        return last

    def _object_id(self) -> pulumi.Input[str]:
        if self._args.administrator.object_id:
            return self._args.administrator.object_id
        return authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self)).object_id

    def _create_administrator(self, last: pulumi.Resource) -> dbforpostgresql.AdministratorsMicrosoftEntra:
        administrator = self._args.administrator
        return dbforpostgresql.AdministratorsMicrosoftEntra(
            f"{self._name}-{administrator.name}",
            object_id=self._administrator_id,
            principal_name=administrator.name,
            principal_type=administrator.kind or self._environment.deployer_type,
            tenant_id=self._environment.tenant_id,
            server_name=after(self._physical, self.server),
            resource_group_name=self._args.group.name,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[last]),
        )

    def _create_database(self) -> dbforpostgresql.Database:
        return dbforpostgresql.Database(
            self._name,
            database_name=self.database_name,
            charset="UTF8",
            collation="C",  # the same order of text everywhere; words for people are sorted where people see them
            server_name=after(self._physical, self.server),
            resource_group_name=self._args.group.name,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self.administrator], protect=self._environment.keeps_data or None
            ),
        )

    def _create_migrations(self) -> Migrations:
        return Migrations(
            self._name,
            endpoint=self.endpoint,
            database=self.name,
            user=self._args.administrator.name,
            files=self._files,
            root=self._environment.project_root,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.administrator, self.database]),
        )


def _tier(sku: str) -> str:
    """The tier of a size; empty for what is no size."""
    prefix, _, rest = sku.partition("_")
    return TIERS.get(rest[:1], "") if prefix == "Standard" else ""
