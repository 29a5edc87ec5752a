"""A resource group: where things live. Every other component finds its environment through its group."""

import pulumi
from pulumi_azure_native import resources

from components.link import after
from components.naming import Environment


class ResourceGroup(pulumi.ComponentResource):
    """One Azure resource group in the stack's one region."""

    name: pulumi.Output[str]
    """Its physical name, usable once it exists."""
    id: pulumi.Output[str]

    def __init__(self, name: str, environment: Environment, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name`: what it is for (`log-ingest`)."""
        super().__init__("millrace:foundation:ResourceGroup", name, None, opts)
        self.environment = environment
        physical = environment.claim("group", name)
        self.group = resources.ResourceGroup(
            name,
            resource_group_name=physical,
            location=environment.location,
            tags=environment.all_tags(),
            # Replacing or deleting a group takes everything in it along.
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None),
        )
        self.name = after(physical, self.group)
        self.id = self.group.id
        self.register_outputs({"name": self.name})
