"""A Service Bus namespace: identities only, TLS 1.2, its operations logged; queues and topics name it as theirs.

Deliberately absent: shared access keys (local authentication is off, so a connection string opens nothing), and a
network of its own: workers without one have no fixed address, so the namespace is reachable from anywhere and closed to
everyone without a role (docs/security.md). Zones: Azure spreads Basic and Standard over them by itself and refuses
nothing; saying so is for Premium, where the property counts.
"""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import servicebus

from components.errors import require
from components.foundation.foundation import Foundation
from components.foundation.lock import lock
from components.foundation.resource_group import ResourceGroup
from components.link import after
from components.messaging.limits import MESSAGING_UNITS, TIERS, Tier
from components.monitoring.diagnostics import keep_bus_operations
from components.roles import Grant


@dataclass(frozen=True, kw_only=True, slots=True)
class NamespaceArgs:
    """Where it lives, and what it can do."""

    group: ResourceGroup
    """Its resource group."""
    foundation: Foundation
    """Its log goes to the foundation's workspace, its alerts to the foundation's action group."""
    tier: Tier = "Standard"
    """Basic has queues only, without sessions, duplicate detection and forwarding; messages of 256 KB there and on
    Standard. Premium is paid by the messaging unit.
    """
    messaging_units: int = 1
    """Premium only: 1, 2, 4, 8 or 16."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(
            self.tier in TIERS,
            "Namespace",
            must=f"tier must be {', '.join(TIERS[:-1])} or {TIERS[-1]}",
            got=repr(self.tier),
            change='set tier="Standard"',
        )
        require(
            self.messaging_units in MESSAGING_UNITS if self.tier == "Premium" else self.messaging_units == 1,
            "Namespace",
            must="messaging_units must be 1, 2, 4, 8 or 16 on tier Premium, and left out elsewhere",
            got=f"{self.messaging_units} on {self.tier}",
            change="set messaging_units=1",
        )


class Namespace(pulumi.ComponentResource):
    """A namespace without keys. Its host name reaches handlers with the settings of its queues and topics."""

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    label: str
    """Its name in the program."""
    physical: str
    """The name that is known before the namespace exists."""
    host: pulumi.Output[str]
    """The fully qualified name: `bus-prod-1a2b3.servicebus.windows.net`."""

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name`: the namespace's; the physical one adds stack and hash."""
        super().__init__("millrace:messaging:Namespace", name, None, opts)
        self.label, self.group, self.tier = name, args.group, args.tier
        self.environment = environment = args.group.environment
        self.alerts = args.foundation.alerts
        self.physical = environment.claim("bus_namespace", name)
        self.namespace = self._create(args)
        self.id = self.namespace.id
        self.lock = lock(name, self.id, environment, parent=self)
        keep_bus_operations(f"{name}-operations", self.id, args.foundation.workspace.id, parent=self)
        self.name = after(self.physical, self.namespace)
        self.host = self.namespace.service_bus_endpoint.apply(host_of)
        self.register_outputs({"name": self.name})

    def counting(self) -> Grant:
        """The right to see how many messages wait, which the platform's scale controller uses as the worker."""
        return Grant("bus.count", self.label, self.id)

    def _create(self, args: NamespaceArgs) -> servicebus.Namespace:
        environment, premium = self.environment, args.tier == "Premium"
        sku = servicebus.SBSkuArgs(
            name=servicebus.SkuName(args.tier),
            tier=servicebus.SkuTier(args.tier),
            capacity=args.messaging_units if premium else None,
        )
        return servicebus.Namespace(
            self.label,
            namespace_name=self.physical,
            resource_group_name=args.group.name,
            location=environment.location,
            sku=sku,
            disable_local_auth=True,
            minimum_tls_version=servicebus.TlsVersion.TLS_VERSION_1_2,
            public_network_access=servicebus.PublicNetworkAccess.ENABLED,
            zone_redundant=True if premium else None,
            tags=environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None),
        )


def host_of(endpoint: str) -> str:
    """`https://bus.servicebus.windows.net:443/`, as Azure gives it, without scheme and the usual port."""
    return endpoint.partition("://")[2].rstrip("/").removesuffix(":443")
