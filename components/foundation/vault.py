"""A Key Vault for the secrets of others (an outside API's key). Our own parts need none: they have identities."""

import pulumi
from pulumi_azure_native import keyvault

from components.foundation.lock import lock
from components.foundation.observability import Workspace
from components.foundation.resource_group import ResourceGroup
from components.link import Link, after
from components.monitoring.diagnostics import keep_audit_log
from components.roles import Grant


class Vault(pulumi.ComponentResource):
    """RBAC only, soft delete always, purge protection where data is kept (it cannot be undone)."""

    uri: pulumi.Output[str]

    def __init__(
        self, name: str, group: ResourceGroup, workspace: Workspace, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Accesses are logged into the workspace."""
        super().__init__("millrace:foundation:Vault", name, None, opts)
        environment = group.environment
        physical = environment.claim("vault", name)
        properties = keyvault.VaultPropertiesArgs(
            tenant_id=environment.tenant_id,
            sku=keyvault.SkuArgs(family=keyvault.SkuFamily.A, name=keyvault.SkuName.STANDARD),
            enable_rbac_authorization=True,
            enable_soft_delete=True,
            soft_delete_retention_in_days=90 if environment.keeps_data else 7,
            # Azure refuses `false` here: the property is either true for ever or absent.
            enable_purge_protection=environment.keeps_data or None,
            public_network_access="Enabled",
        )
        self.vault = keyvault.Vault(
            name,
            vault_name=physical,
            resource_group_name=group.name,
            location=environment.location,
            properties=properties,
            tags=environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None),
        )
        self.lock = lock(name, self.vault.id, environment, parent=self)
        keep_audit_log(f"{name}-audit", self.vault.id, workspace.id, parent=self)
        self.name = after(physical, self.vault)
        self.uri = self.vault.properties.apply(lambda properties: properties.vault_uri or "")
        self.register_outputs({"uri": self.uri})

    def secret(self, secret_name: str, *, setting: str) -> Link:
        """A secret that a person puts in, handed to the app as a Key Vault reference under `setting`."""
        reference = pulumi.Output.concat("@Microsoft.KeyVault(SecretUri=", self.uri, "secrets/", secret_name, ")")
        scope = pulumi.Output.concat(self.vault.id, "/secrets/", secret_name)
        return Link(
            name=f"{secret_name}.read",
            settings={setting: reference},
            grants=[Grant("secret.read", secret_name, scope)],
        )
