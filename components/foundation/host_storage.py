"""The storage account that a function app's own host needs: leases, keys, and the package it runs.

One an app, never shared: its host must own the whole account, and an app that could write another's package would own
that app as well. Account keys are off.
"""

import pulumi
from pulumi_azure_native import authorization, storage

from components.foundation.identity import assign
from components.foundation.resource_group import ResourceGroup
from components.link import after
from components.roles import Grant
from components.storage.account import create_account

PACKAGES = "packages"


class HostStorage(pulumi.ComponentResource):
    """An account, its package container, and the deployer's right to write packages into it."""

    blob_endpoint: pulumi.Output[str]
    queue_endpoint: pulumi.Output[str]
    table_endpoint: pulumi.Output[str]
    package_container_url: pulumi.Output[str]

    def __init__(self, name: str, group: ResourceGroup, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name`: the app's."""
        super().__init__("millrace:foundation:HostStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        physical = group.environment.claim("storage_account", f"{name}-host")
        self.account = create_account(f"{name}-host", physical, group, holds_data=False, opts=child)
        self.packages = storage.BlobContainer(
            f"{name}-{PACKAGES}",
            account_name=after(physical, self.account),
            container_name=PACKAGES,
            resource_group_name=group.name,
            public_access=storage.PublicAccess.NONE,
            opts=child,
        )
        self.deployer = self._grant_deployer(name, group)
        endpoints = self.account.primary_endpoints
        self.blob_endpoint = endpoints.apply(lambda urls: urls.blob)
        self.queue_endpoint = endpoints.apply(lambda urls: urls.queue)
        self.table_endpoint = endpoints.apply(lambda urls: urls.table)
        self.package_container_url = pulumi.Output.concat(self.blob_endpoint, PACKAGES)
        self.register_outputs({"package_container_url": self.package_container_url})

    def host_grants(self, name: str) -> list[Grant]:
        """What the app's host needs here: its containers, and the table for its diagnostic events."""
        what = f"{name}-host"
        return [Grant("blob.own", what, self.account.id), Grant("table.write", what, self.account.id)]

    def _grant_deployer(self, name: str, group: ResourceGroup) -> authorization.RoleAssignment:
        # Whoever runs `pulumi up` owns the subscription's management, but has no right to any data of its own.
        deployer = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self)).object_id
        return assign(
            f"{name}-deployer",
            Grant("blob.write", f"{name}-packages", self.packages.id),
            deployer,
            self,
            group.environment.subscription_id,
            group.environment.deployer_type,
        )
