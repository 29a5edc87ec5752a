"""A Service Bus queue: who sends, who receives, what becomes of what is given up.

Deliberately absent: deletion when idle (a program's queue does not vanish behind it), partitions and express entities
(older ways to spread load, which cost order or durability).
"""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import servicebus

from components.link import Link, after, setting_prefix
from components.messaging.entity import Delivering, DeliveryArgs
from components.messaging.forwarding import Stop
from components.messaging.limits import check_duplicates, check_tier, iso
from components.messaging.namespace import Namespace
from components.monitoring.bus_alerts import Watch

FIXED = ["requiresSession", "requiresDuplicateDetection"]
"""What Service Bus lets nobody change afterwards: another value is another queue."""
GIVEN_UP = Watch(active=0, waiting_min=None)
"""Of a queue where given-up messages lie: every message is told of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueArgs(DeliveryArgs):
    """Where the queue lives, who empties it, and how."""

    namespace: Namespace
    duplicates_s: int | None = None
    """Seconds for which message ids are remembered, so that the same one again is dropped; None: not. Whether is fixed
    once made, how long is not.
    """
    size_mb: int = 1024
    """What it holds at most: 1024 to 5120, on Premium to 81920."""
    watch: Watch | None = Watch()  # noqa: RUF009  frozen
    """When to tell somebody; None: never."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        self.check("Queue")
        check_duplicates("Queue", self.duplicates_s)
        features = self.features() + (["duplicates_s"] if self.duplicates_s else [])
        check_tier("Queue", self.namespace.tier, size_mb=self.size_mb, life_s=self.time_to_live_s, features=features)


class Queue(Delivering):
    """One queue and, if a step empties it, a queue `<name>-dead` for what the step gives up on Functions."""

    def __init__(self, name: str, args: QueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name` is the queue's own name as well."""
        below = pulumi.ResourceOptions(parent=args.namespace)  # so that its system finds it, whoever declares it
        options = pulumi.ResourceOptions.merge(below, opts)
        super().__init__("millrace:messaging:Queue", name, args.consumer, options)
        self.args, self.namespace = args, args.namespace
        self.what = args.namespace.environment.claim("bus_entity", name, within=args.namespace.physical)
        self.stop = Stop(self.what)
        self._link_onward()
        self.resource = queue = self._create(args)
        self.id, self.name = queue.id, after(self.what, queue)
        prefix = setting_prefix(self.what)
        self.settings = {f"{prefix}_NAMESPACE": args.namespace.host, f"{prefix}_QUEUE": self.what}
        self.dead_letter = put_aside(self)
        self._watch(args.watch)
        self.register_outputs({"name": self.what})

    def send(self) -> Link:
        """Put messages in, now or scheduled; nothing else."""
        return self._link("send", "bus.send")

    def _create(self, args: QueueArgs) -> servicebus.Queue:
        environment = args.namespace.environment
        return servicebus.Queue(
            self.what,
            queue_name=self.what,
            namespace_name=args.namespace.name,
            resource_group_name=args.namespace.group.name,
            max_size_in_megabytes=args.size_mb,
            requires_duplicate_detection=args.duplicates_s is not None,
            duplicate_detection_history_time_window=iso(args.duplicates_s) if args.duplicates_s else None,
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None, replace_on_changes=FIXED),
            **args.inputs(),
        )


def put_aside(entity: Delivering) -> Queue | None:
    """The queue for what a step gives up on Functions, below the entity itself; None where no step does."""
    if entity.args.consumer != "step" or not entity.args.dead_letter_queue or entity.args.forward_to:
        return None
    namespace = entity.namespace
    args = QueueArgs(namespace=namespace, consumer="operator", watch=GIVEN_UP)
    return Queue(f"{entity.what}-dead", args, opts=pulumi.ResourceOptions(parent=entity))
