"""A storage account for a system's own data: identities only, no keys, TLS 1.2, nothing public."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from components.foundation.lock import lock
from components.foundation.resource_group import ResourceGroup
from components.link import after


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountArgs:
    """Where the account lives."""

    group: ResourceGroup
    """Its resource group."""


class Account(pulumi.ComponentResource):
    """A general-purpose v2 account with soft delete; containers and queues name it as their account."""

    name: pulumi.Output[str]
    physical: str
    """The name that is known before the account exists."""
    blob_endpoint: pulumi.Output[str]
    queue_endpoint: pulumi.Output[str]

    def __init__(self, name: str, args: AccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name`: short, as account names have 24 characters in all."""
        super().__init__("millrace:storage:Account", name, None, opts)
        self.group = args.group
        environment = args.group.environment
        self.physical = physical = environment.claim("storage_account", name)
        child = pulumi.ResourceOptions(parent=self)
        self.account = create_account(name, physical, args.group, holds_data=True, opts=child)
        self.lock = lock(name, self.account.id, environment, parent=self)
        self.name = after(physical, self.account)
        self.blob_service = storage.BlobServiceProperties(
            f"{name}-blobs",
            account_name=self.name,
            resource_group_name=args.group.name,
            blob_services_name="default",
            delete_retention_policy={"enabled": True, "days": min(environment.retention_days, 365)},
            container_delete_retention_policy={"enabled": True, "days": min(environment.retention_days, 365)},
            opts=child,
        )
        self.blob_endpoint = self.account.primary_endpoints.apply(lambda urls: urls.blob)
        self.queue_endpoint = self.account.primary_endpoints.apply(lambda urls: urls.queue)
        self.register_outputs({"name": self.name})


def create_account(
    name: str, physical: str, group: ResourceGroup, *, holds_data: bool, opts: pulumi.ResourceOptions
) -> storage.StorageAccount:
    """The one way a storage account is declared here; `holds_data` adds zone redundancy and protection in prod."""
    environment = group.environment
    kept = holds_data and environment.keeps_data
    return storage.StorageAccount(
        name,
        account_name=physical,
        resource_group_name=group.name,
        location=environment.location,
        kind=storage.Kind.STORAGE_V2,
        sku={"name": storage.SkuName.STANDARD_ZRS if kept else storage.SkuName.STANDARD_LRS},
        access_tier=storage.AccessTier.HOT,
        allow_blob_public_access=False,
        allow_cross_tenant_replication=False,
        allow_shared_key_access=False,
        allowed_copy_scope=storage.AllowedCopyScope.AAD,  # copies go to and come from this tenant only
        default_to_o_auth_authentication=True,
        enable_https_traffic_only=True,
        is_local_user_enabled=False,
        minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
        # Reachable from anywhere, closed to everyone without a role: workers without a network of their own have no
        # fixed address (docs/security.md).
        network_rule_set={"bypass": storage.Bypass.AZURE_SERVICES, "default_action": storage.DefaultAction.ALLOW},
        sas_policy={"sas_expiration_period": "00.01:00:00", "expiration_action": "Log"},
        tags=environment.all_tags(),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=kept or None)),
    )
