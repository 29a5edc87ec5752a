"""What one part hands another that uses it: settings to read, grants to hold. `uses=[queue.send(), table.write()]`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi

from components.roles import Grant

if TYPE_CHECKING:
    from components.aws.trust import EntraTrust
    from components.data.database import Database
    from components.inbox import Inbox

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsGrant:
    """What a worker may do on AWS: statements of its role's policy, and through which trust it gets there."""

    trust: "EntraTrust"
    prefix: str
    """Settings named `{prefix}_ROLE_ARN`, `{prefix}_AUDIENCE` tell the handler how to become that role."""
    statements: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseGrant:
    """As what a worker signs in to a database: a member of the group role `role`."""

    database: "Database"
    prefix: str
    """The setting `{prefix}_USER` tells the handler its login role."""
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A verb of a component, ready to be used by a worker."""

    name: str
    """For people: `progress.write`."""
    settings: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """App settings by name; a handler reads them through its `Settings` Struct."""
    grants: Sequence[Grant] = ()
    aws: Sequence[AwsGrant] = ()
    database: Sequence[DatabaseGrant] = ()
    needs: Sequence[pulumi.Resource] = ()
    """What must exist before a worker that uses this starts."""
    empties: Sequence["Inbox"] = ()
    """Where a worker that uses this takes messages from: it is their consumer."""


def setting_prefix(name: str) -> str:
    """A component's name as the beginning of a setting's name: `api-fetch` → `API_FETCH`."""
    return re.sub(r"[-.]", "_", name.upper())


def after(value: T, *resources: pulumi.Resource) -> pulumi.Output[T]:
    """A value we know already, but that may be used only after these resources exist.

    Physical names are ours, so a preview can show them; the output still carries the dependency that orders the work.
    """
    return pulumi.Output(set(resources), _known(value), _known(True))


async def _known(value: Any) -> Any:
    return value
