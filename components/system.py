"""A system: the parent of everything one pipeline declares, and the place where it is checked as a whole."""

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from components.errors import DeclarationError, require
from components.inbox import Inbox
from components.naming import Environment


class System(pulumi.ComponentResource):
    """Groups one system's resources; `finish` refuses what holds messages and nobody empties."""

    def __init__(self, name: str, environment: Environment) -> None:
        """`name` as the stack's configuration says it: `log_ingest`. All of it lives in the environment's region."""
        watch = pulumi.ResourceOptions(transformations=[_one_region(name, environment.location)])
        super().__init__("millrace:system:System", name, None, watch)
        self.name = name

    @property
    def child(self) -> pulumi.ResourceOptions:
        """Options that make a resource part of this system."""
        return pulumi.ResourceOptions(parent=self)

    def finish(self, outputs: Mapping[str, Any]) -> None:
        """Check the whole, then publish its outputs."""
        for inbox in _inboxes_below(self):
            require(
                not inbox.is_forgotten,
                f"{inbox.who} in system {self.name}",
                must=inbox.must,
                got="none",
                change=inbox.change,
            )
        self.register_outputs(dict(outputs))


def _one_region(system: str, region: str) -> pulumi.ResourceTransformation:
    """Refuses whatever of a system would be made elsewhere: latency, transfer cost and quotas are a region's own."""

    def look(args: pulumi.ResourceTransformationArgs) -> None:
        location = args.props.get("location")
        if isinstance(location, str) and location.lower().replace(" ", "") not in {region, "global"}:
            raise DeclarationError(
                f'{args.type_} "{args.name}" in system {system}',
                must=f"everything of a system must be in one region, {region}",
                got=location,
                change="take its location from the environment, or set azure-native:location for the whole stack",
            )

    return look


def _inboxes_below(part: pulumi.Resource) -> Iterator[Inbox]:
    """Everything of a system that holds messages, however deep; by name, so that the same one is refused each time."""
    children = part._childResources  # noqa: SLF001  Pulumi's own tree, which it shows to no one else
    for child in sorted(children, key=lambda one: one.who if isinstance(one, Inbox) else ""):
        if isinstance(child, Inbox):
            yield child
        yield from _inboxes_below(child)
