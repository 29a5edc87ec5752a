"""Where logs and telemetry go: a Log Analytics workspace and an App Insights component on it."""

import pulumi
from pulumi_azure_native import applicationinsights, operationalinsights

from components.foundation.lock import lock
from components.foundation.resource_group import ResourceGroup
from components.link import after
from components.roles import Grant


class Workspace(pulumi.ComponentResource):
    """A Log Analytics workspace. Its shared keys stay on only where the legacy collector must use them."""

    name: pulumi.Output[str]
    id: pulumi.Output[str]
    customer_id: pulumi.Output[str]

    def __init__(
        self, name: str, group: ResourceGroup, *, shared_keys: bool = False, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """`shared_keys`: let writers use the workspace's key (the HTTP Data Collector's only way)."""
        super().__init__("millrace:foundation:Workspace", name, None, opts)
        environment = group.environment
        self.group = group
        physical = environment.claim("workspace", name)
        self.workspace = operationalinsights.Workspace(
            name,
            workspace_name=physical,
            resource_group_name=group.name,
            location=environment.location,
            sku={"name": "PerGB2018"},
            retention_in_days=max(environment.retention_days, 30),  # 30 days is the plan's minimum, and free
            features={"disable_local_auth": not shared_keys, "enable_log_access_using_only_resource_permissions": True},
            tags=environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None),
        )
        self.lock = lock(name, self.workspace.id, environment, parent=self)
        self.name = after(physical, self.workspace)
        self.id, self.customer_id = self.workspace.id, self.workspace.customer_id
        self.register_outputs({"name": self.name})


class Telemetry(pulumi.ComponentResource):
    """App Insights that takes telemetry from identities only: its connection string is an address, no secret."""

    connection_string: pulumi.Output[str]

    def __init__(self, name: str, workspace: Workspace, opts: pulumi.ResourceOptions | None = None) -> None:
        """Lives in the workspace's group and writes into it."""
        super().__init__("millrace:foundation:Telemetry", name, None, opts)
        group = workspace.group
        self.component = applicationinsights.Component(
            name,
            resource_name_=group.environment.claim("insights", name),
            resource_group_name=group.name,
            location=group.environment.location,
            kind="web",
            application_type="web",
            ingestion_mode="LogAnalytics",
            workspace_resource_id=workspace.id,
            disable_local_auth=True,
            retention_in_days=90,  # the free minimum; the workspace's own retention decides what is kept
            tags=group.environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.connection_string = self.component.connection_string
        self.register_outputs({})

    def grant(self) -> Grant:
        """The right to send telemetry."""
        return Grant("telemetry.write", "telemetry", self.component.id)
