"""A storage queue: what sends to it, what it triggers, and where its poison messages go."""

from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_azure_native import storage

from components.inbox import Consumer, Inbox, check_consumer
from components.link import Link, setting_prefix
from components.roles import Grant
from components.storage.account import Account


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueArgs:
    """Where the queue lives and who empties it."""

    account: Account
    """Its storage account."""
    consumer: Consumer = "step"
    """`step`: a worker's trigger (checked); `operator`: a person; `external`: somebody else's program."""
    encoding: Literal["none", "base64"] = "none"
    """How message bodies are encoded; Python's SDK sends plain text."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        check_consumer("Queue", self.consumer)


class Queue(Inbox):
    """One queue and, if a step empties it, its `-poison` queue, which the Functions host writes to."""

    def __init__(self, name: str, args: QueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name` is the queue's own name as well."""
        below = pulumi.ResourceOptions(parent=args.account)  # so that its system finds it, whoever declares it
        super().__init__("millrace:storage:Queue", name, args.consumer, pulumi.ResourceOptions.merge(below, opts))
        self.encoding, self.account = args.encoding, args.account
        self.queue_name = self._claim(name)
        poison = self._claim(f"{name}-poison") if args.consumer == "step" else None
        self.queue = self._create(self.queue_name)
        self.poison = self._create(poison) if poison else None
        self.register_outputs({"name": self.queue_name})

    @property
    def connection(self) -> str:
        """The prefix of the identity-based connection's settings, as triggers name it."""
        return setting_prefix(self.queue_name)

    def send(self) -> Link:
        """Put messages in; nothing else."""
        return Link(
            name=f"{self.queue_name}.send",
            settings={
                f"{self.connection}_QUEUE_ENDPOINT": self.account.queue_endpoint,
                f"{self.connection}_QUEUE_NAME": self.queue_name,
            },
            grants=[Grant("queue.send", self.queue_name, self.queue.id)],
            needs=[self.queue],
        )

    def trigger(self, client_id: pulumi.Input[str]) -> Link:
        """What a step's trigger needs: to take messages, and to put those that failed too often aside."""
        grants = [Grant("queue.receive", self.queue_name, self.queue.id)]
        if self.poison:
            grants.append(Grant("queue.send", f"{self.queue_name}-poison", self.poison.id))
        return Link(
            name=f"{self.queue_name}.trigger",
            settings={
                f"{self.connection}__queueServiceUri": self.account.queue_endpoint,
                f"{self.connection}__credential": "managedidentity",
                f"{self.connection}__clientId": client_id,
            },
            grants=grants,
            needs=[self.queue, *([self.poison] if self.poison else [])],
            empties=[self],
        )

    def _claim(self, name: str) -> str:
        return self.account.group.environment.claim("queue", name, within=self.account.physical)

    def _create(self, physical: str) -> storage.Queue:
        return storage.Queue(
            physical,
            account_name=self.account.name,
            queue_name=physical,
            resource_group_name=self.account.group.name,
            opts=pulumi.ResourceOptions(parent=self, protect=self.account.group.environment.keeps_data or None),
        )
