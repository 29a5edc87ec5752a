"""What queues, topics and subscriptions share: links with one role a verb, how messages are handed out and on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from components.errors import require
from components.inbox import Consumer, Inbox, check_consumer
from components.link import Link, setting_prefix
from components.messaging.forwarding import Stop, check_forward
from components.messaging.limits import check_life, check_lock, iso
from components.messaging.namespace import Namespace
from components.monitoring.bus_alerts import Watch, watch_entity
from components.roles import Grant, Verb

if TYPE_CHECKING:
    from components.messaging.queue import Queue
    from components.messaging.topic import Topic


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryArgs:
    """How messages are handed out, of a queue and of a subscription alike."""

    consumer: Consumer = "step"
    """`step`: a worker's trigger or `receive()`, checked; `operator`: a person; `external`: somebody else's program."""
    lock_s: int = 60
    """Seconds for which a receiver alone has a message, 5 to 300; it may renew."""
    max_delivery_count: int = 10
    """Tries before a message goes to the dead-letter queue."""
    time_to_live_s: int | None = None
    """Seconds a message may wait; None: for ever."""
    dead_letter_expired: bool = True
    """Expired messages go to the dead-letter queue; False: they are gone."""
    sessions: bool = False
    """Messages of one session id are handed out in order, to one receiver at a time. Fixed once made."""
    forward_to: "Queue | Topic | None" = None
    """Hand everything on to this one; nobody receives here then."""
    forward_dead_letters_to: "Queue | Topic | None" = None
    """Hand on what was given up. None: it stays in the dead-letter queue of its own."""
    dead_letter_queue: bool = True
    """With consumer `step`: a queue `<name>-dead` beside it, for what a step on Functions gives up with a reason (its
    host can complete a message, not dead-letter it). False where only containers receive.
    """

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        self.check("Queue")

    def check(self, who: str) -> None:
        """Refuse what Service Bus would refuse."""
        check_consumer(who, self.consumer)
        check_lock(who, self.lock_s, self.max_delivery_count)
        check_life(who, self.time_to_live_s)
        require(
            not (self.sessions and self.forward_to),
            who,
            must="sessions and forward_to must not be used together",
            got="both",
            change="take one away; where messages are forwarded to may have sessions",
        )

    def features(self) -> list[str]:
        """Fields in use that tier Basic does not have."""
        used = {
            "sessions": self.sessions,
            "forward_to": self.forward_to,
            "forward_dead_letters_to": self.forward_dead_letters_to,
        }
        return [name for name, value in used.items() if value]

    def inputs(self) -> dict[str, Any]:
        """As azure-native takes them."""
        onward = {"forward_to": self.forward_to, "forward_dead_lettered_messages_to": self.forward_dead_letters_to}
        return {
            "lock_duration": iso(self.lock_s),
            "max_delivery_count": self.max_delivery_count,
            "default_message_time_to_live": iso(self.time_to_live_s) if self.time_to_live_s else None,
            "dead_lettering_on_message_expiration": self.dead_letter_expired,
            "requires_session": self.sessions,
            **{name: target.name for name, target in onward.items() if target},
        }


class Entity(Inbox):
    """One entity of a namespace. Subclasses make the resource and say which settings lead to it."""

    namespace: Namespace
    name: pulumi.Output[str]
    """Carries the dependency on the entity."""
    id: pulumi.Output[str]
    resource: pulumi.Resource
    what: str
    """Its name for people and roles; a subscription's begins with its topic's."""
    settings: dict[str, pulumi.Input[str]]
    """Where it is."""
    stop: Stop
    """Its place among those that forward."""

    @property
    def connection(self) -> str:
        """The prefix of its settings, as triggers name it."""
        return setting_prefix(self.what)

    def manage(self) -> Link:
        """Everything: send, receive, count, change; on a topic or subscription its rules as well."""
        return self._link("manage", "bus.manage")

    def _watch(self, watch: Watch | None) -> None:
        alerts = self.namespace.alerts
        if alerts and watch:
            watch_entity(alerts, self.namespace.label, self.namespace.id, self.what, watch, parent=self)

    def _link(self, name: str, verb: Verb, *, empties: bool = False) -> Link:
        return Link(
            name=f"{self.what}.{name}",
            settings=self.settings,
            grants=[Grant(verb, self.what, self.id)],
            needs=[self.resource],
            empties=[self] if empties else [],
        )


class Delivering(Entity):
    """A queue or a subscription: messages are received from it."""

    args: DeliveryArgs
    dead_letter: "Queue | None"
    """Where a step on Functions puts what it gives up; its own dead-letter queue is another place."""

    def receive(self) -> Link:
        """Take messages out and settle them, those of its dead-letter queue too; nothing else."""
        self._is_received_from("receive()")
        return self._link("receive", "bus.receive", empties=True)

    def scale(self) -> Link:
        """See how many messages wait: what a scale rule needs beside `receive()`."""
        return Link(name=f"{self.what}.scale", grants=[self.namespace.counting()])

    def trigger(self, client_id: pulumi.Input[str]) -> Link:
        """What a step's trigger needs: to take messages, to count them, and to put aside what the step gives up."""
        self._is_received_from("a trigger")
        grants = [Grant("bus.receive", self.what, self.id), self.namespace.counting()]
        settings: dict[str, pulumi.Input[str]] = {
            f"{self.connection}__fullyQualifiedNamespace": self.namespace.host,
            f"{self.connection}__credential": "managedidentity",
            f"{self.connection}__clientId": client_id,
        }
        needs = [self.resource]
        if self.dead_letter:
            grants += self.dead_letter.send().grants
            settings[f"{self.connection}_DEAD_LETTER_QUEUE"] = self.dead_letter.what
            needs.append(self.dead_letter.resource)
        return Link(name=f"{self.what}.trigger", settings=settings, grants=grants, needs=needs, empties=[self])

    def _is_received_from(self, by: str) -> None:
        require(
            not self.args.forward_to,
            self.who,
            must=f"{by} must be of something that keeps its messages",
            got=f"forward_to={self.args.forward_to.what!r}" if self.args.forward_to else "",
            change="receive where they are forwarded to",
        )

    def _link_onward(self) -> None:
        """Check where messages go from here; being forwarded is being emptied."""
        for field in ("forward_to", "forward_dead_letters_to"):
            target: Entity | None = getattr(self.args, field)
            if target is None:
                continue
            require(
                target.namespace is self.namespace,
                self.who,
                must=f"{field} must be a queue or topic of its own namespace {self.namespace.physical}",
                got=f'"{target.what}" of {target.namespace.physical}',
                change="declare it there",
            )
            check_forward(self.who, self.stop, target.stop)
            self.stop.lead(target.stop)
        if self.args.forward_to:
            self.consumed_by.append(f"forward_to {self.args.forward_to.what}")
