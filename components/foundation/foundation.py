"""What every system stands on: one group with logs, telemetry and a vault."""

import pulumi

from components.foundation.observability import Telemetry, Workspace
from components.foundation.resource_group import ResourceGroup
from components.foundation.vault import Vault
from components.monitoring.alerts import Alerts
from components.naming import Environment


class Foundation(pulumi.ComponentResource):
    """The core infrastructure of a stack; systems bring their own groups, identities and storage."""

    def __init__(
        self, environment: Environment, *, shared_keys: bool = False, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """`shared_keys`: see `Workspace`."""
        super().__init__("millrace:foundation:Foundation", "core", None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.environment = environment
        self.group = ResourceGroup("core", environment, opts=child)
        self.workspace = Workspace("logs", self.group, shared_keys=shared_keys, opts=child)
        self.telemetry = Telemetry("telemetry", self.workspace, opts=child)
        self.vault = Vault("vault", self.group, self.workspace, opts=child)
        self.alerts = Alerts(self.workspace, opts=child) if environment.alert_emails else None
        self.register_outputs({})
