"""A blob container, and the verbs that a worker may have on it."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from components.link import Link, setting_prefix
from components.roles import Grant
from components.storage.account import Account


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerArgs:
    """Where the container lives."""

    account: Account
    """Its storage account."""


class Container(pulumi.ComponentResource):
    """One private container. Its URL reaches handlers as `{NAME}_URL`."""

    url: pulumi.Output[str]
    physical: str
    """Its name in the account."""

    def __init__(self, name: str, args: ContainerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name` is the container's own name as well."""
        super().__init__("millrace:storage:Container", name, None, opts)
        self._name, self.account = name, args.account
        environment = args.account.group.environment
        self.physical = physical = environment.claim("container", name, within=args.account.physical)
        self.container = storage.BlobContainer(
            name,
            account_name=args.account.name,
            container_name=physical,
            resource_group_name=args.account.group.name,
            public_access=storage.PublicAccess.NONE,
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None),
        )
        self.url = pulumi.Output.concat(args.account.blob_endpoint, physical)
        self.register_outputs({"url": self.url})

    def read(self) -> Link:
        """Read and list blobs."""
        return self._link("read")

    def write(self) -> Link:
        """Read, write and delete blobs."""
        return self._link("write")

    def _link(self, verb: str) -> Link:
        grant = Grant("blob.read" if verb == "read" else "blob.write", self._name, self.container.id)
        return Link(
            name=f"{self._name}.{verb}",
            settings={f"{setting_prefix(self._name)}_URL": self.url},
            grants=[grant],
            needs=[self.container],
        )
