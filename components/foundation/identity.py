"""A user-assigned managed identity, and the role assignments that make it able to do something."""

from collections.abc import Sequence

import pulumi
from pulumi_azure_native import authorization, managedidentity

from components.foundation.resource_group import ResourceGroup
from components.roles import Grant, role_definition_id


class Identity(pulumi.ComponentResource):
    """Who a worker is. User-assigned, so that roles can be granted before the worker starts."""

    id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    principal_id: pulumi.Output[str]

    def __init__(self, name: str, group: ResourceGroup, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name`: the worker's."""
        super().__init__("millrace:foundation:Identity", name, None, opts)
        self._name, self._environment = name, group.environment
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=group.name,
            resource_name_=group.environment.claim("identity", name),
            location=group.environment.location,
            tags=group.environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id, self.client_id, self.principal_id = identity.id, identity.client_id, identity.principal_id
        self.register_outputs({"client_id": self.client_id, "principal_id": self.principal_id})

    def grant(self, grants: Sequence[Grant]) -> list[authorization.RoleAssignment]:
        """One assignment per verb and scope; give these to `depends_on` of what needs them."""
        different = {(grant.verb, grant.what, id(grant.scope)): grant for grant in grants}
        return [
            assign(
                f"{self._name}-{grant.verb}-{grant.what}",
                grant,
                self.principal_id,
                self,
                self._environment.subscription_id,
            )
            for grant in different.values()
        ]


def assign(
    name: str,
    grant: Grant,
    principal_id: pulumi.Input[str],
    parent: pulumi.Resource,
    subscription_id: str,
    principal_type: str = "ServicePrincipal",
) -> authorization.RoleAssignment:
    """Grant one verb to one principal. Azure's own name for it is left to the engine (a GUID kept in its state)."""
    return authorization.RoleAssignment(
        name,
        principal_id=principal_id,
        principal_type=principal_type,
        role_definition_id=role_definition_id(grant.role, subscription_id),
        scope=grant.scope,
        description=f"{grant.verb} on {grant.what}: {grant.role.name}",
        opts=pulumi.ResourceOptions(parent=parent),
    )
