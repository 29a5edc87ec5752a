"""A Service Bus topic: whatever is sent to it, each of its subscriptions gets a copy of its own."""

from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_azure_native import servicebus

from components.inbox import Consumer, check_consumer
from components.link import Link, after, setting_prefix
from components.messaging.entity import Entity
from components.messaging.forwarding import Stop
from components.messaging.limits import check_duplicates, check_life, check_tier, iso
from components.messaging.namespace import Namespace
from components.monitoring.bus_alerts import Watch


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicArgs:
    """Where the topic lives, and what it takes."""

    namespace: Namespace
    consumer: Consumer = "step"
    """`step`: a declared subscription (checked); `external`: somebody else makes them."""
    time_to_live_s: int | None = None
    """Seconds a message may wait in any subscription; None: what the subscription says."""
    duplicates_s: int | None = None
    """Seconds for which message ids are remembered, so that the same one again is dropped; None: not. Whether is fixed
    once made, how long is not.
    """
    size_mb: int = 1024
    """What it holds at most: 1024 to 5120, on Premium to 81920."""
    watch: Watch | None = Watch()  # noqa: RUF009  frozen
    """When to tell somebody, of all its subscriptions together (Azure counts no closer); None: never."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        check_consumer("Topic", self.consumer)
        check_life("Topic", self.time_to_live_s)
        check_duplicates("Topic", self.duplicates_s)
        check_tier("Topic", self.namespace.tier, size_mb=self.size_mb, life_s=self.time_to_live_s, features=["a topic"])


class Topic(Entity):
    """One topic. Without a subscription it would lose everything, so it counts as forgotten until it has one."""

    must: ClassVar[str] = "every topic must have a subscription, as it keeps nothing itself"
    change: ClassVar[str] = 'declare a Subscription of it, or declare it with consumer="external"'

    def __init__(self, name: str, args: TopicArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name` is the topic's own name as well."""
        below = pulumi.ResourceOptions(parent=args.namespace)
        options = pulumi.ResourceOptions.merge(below, opts)
        super().__init__("millrace:messaging:Topic", name, args.consumer, options)
        self.namespace, environment = args.namespace, args.namespace.environment
        self.what = environment.claim("bus_entity", name, within=args.namespace.physical)
        self.stop = Stop(self.what)
        self.resource = topic = servicebus.Topic(
            self.what,
            topic_name=self.what,
            namespace_name=args.namespace.name,
            resource_group_name=args.namespace.group.name,
            max_size_in_megabytes=args.size_mb,
            default_message_time_to_live=iso(args.time_to_live_s) if args.time_to_live_s else None,
            requires_duplicate_detection=args.duplicates_s is not None,
            duplicate_detection_history_time_window=iso(args.duplicates_s) if args.duplicates_s else None,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=environment.keeps_data or None,
                replace_on_changes=["requiresDuplicateDetection"],
            ),
        )
        self.id, self.name = topic.id, after(self.what, topic)
        prefix = setting_prefix(self.what)
        self.settings = {f"{prefix}_NAMESPACE": args.namespace.host, f"{prefix}_TOPIC": self.what}
        self._watch(args.watch)
        self.register_outputs({"name": self.what})

    def send(self) -> Link:
        """Publish, now or scheduled; nothing else."""
        return self._link("send", "bus.send")
