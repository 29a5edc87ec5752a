"""The one table of roles: verb → built-in role → what it may be granted on.

Least privilege per verb (send is not receive, read is not write). Ids:
learn.microsoft.com/azure/role-based-access-control/built-in-roles. Nothing else in the project names a role.
"""

from dataclasses import dataclass
from typing import Literal

import pulumi

Verb = Literal[
    "blob.read",
    "blob.write",
    "blob.own",
    "queue.send",
    "queue.receive",
    "bus.send",
    "bus.receive",
    "bus.manage",
    "bus.count",
    "table.write",
    "secret.read",
    "logs.write",
    "telemetry.write",
]


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role and the kind of thing it is granted on."""

    name: str
    id: str
    scope: str


ROLES: dict[Verb, Role] = {
    "blob.read": Role("Storage Blob Data Reader", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "container"),
    "blob.write": Role("Storage Blob Data Contributor", "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "container"),
    # The Functions host keeps leases and keys in containers that it makes itself: its minimum is Owner of an account.
    "blob.own": Role("Storage Blob Data Owner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "host storage account"),
    "queue.send": Role("Storage Queue Data Message Sender", "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a", "queue"),
    # Message Processor lacks UpdateMessage, which a trigger needs to set a retry's visibility.
    "queue.receive": Role("Storage Queue Data Contributor", "974c5e8b-45b9-4653-ba55-5f855dd0fb88", "queue"),
    "bus.send": Role("Azure Service Bus Data Sender", "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39", "queue or topic"),
    "bus.receive": Role(
        "Azure Service Bus Data Receiver", "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0", "queue or subscription"
    ),
    "bus.manage": Role(
        "Azure Service Bus Data Owner", "090c5cfd-751d-490a-894a-3ce6f1109419", "queue, topic or subscription"
    ),
    # Who scales counts messages, and needs Microsoft.ServiceBus/namespaces/*/read for it: Reader has that and touches
    # no message, Data Owner would send and delete as well (docs/adr/0028-who-scales-reads-the-namespace.md).
    "bus.count": Role("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7", "namespace"),
    "table.write": Role(
        "Storage Table Data Contributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", "host storage account"
    ),
    "secret.read": Role("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6", "secret"),
    "logs.write": Role("Monitoring Metrics Publisher", "3913510d-42f4-4e42-8a64-420c390055eb", "collection rule"),
    "telemetry.write": Role("Monitoring Metrics Publisher", "3913510d-42f4-4e42-8a64-420c390055eb", "App Insights"),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """One verb on one thing. `what` names the thing for people; it also keeps the assignment's logical name stable."""

    verb: Verb
    what: str
    scope: pulumi.Input[str]

    @property
    def role(self) -> Role:
        """The built-in role that carries the verb."""
        return ROLES[self.verb]


def role_definition_id(role: Role, subscription_id: str) -> str:
    """Azure's id of a built-in role."""
    return f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role.id}"
