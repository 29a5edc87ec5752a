"""A subscription of a Service Bus topic: a queue of copies, of those messages that its rules let through.

Every subscription is born with a rule `$Default` that takes everything, so a rule beside it narrows nothing. It is
declared here always, as whatever the program says: to take a rule away again changes it back, where deleting it would
leave the subscription without any rule, and so without any message. For a moment after it was made, a new subscription
takes everything; Azure's management knows no other way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pulumi
from pulumi_azure_native import servicebus

from components.errors import require
from components.link import after, setting_prefix
from components.messaging.entity import Delivering, DeliveryArgs
from components.messaging.forwarding import Stop
from components.messaging.queue import put_aside
from components.messaging.rule import Rule
from components.messaging.topic import Topic


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscriptionArgs(DeliveryArgs):
    """Of which topic, which messages, who empties it, and how."""

    topic: Topic
    rule: Rule = Rule()  # noqa: RUF009  frozen
    """What it takes: everything, unless said otherwise."""
    more_rules: Mapping[str, Rule] = field(default_factory=dict)
    """By name; a message that passes any one of them, or `rule`, is taken."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        self.check("Subscription")
        require(
            not self.more_rules or self.rule != Rule(),
            "Subscription",
            must="more_rules must come with a rule that does not take everything",
            got=f"{', '.join(self.more_rules)} beside a rule that takes everything",
            change="say the first of them with rule=",
        )
        require(
            "$default" not in {name.lower() for name in self.more_rules},
            "Subscription",
            must="more_rules must have names of their own",
            got="$Default",
            change="that one is rule=",
        )


class Subscription(Delivering):
    """One subscription with its rules and, if a step empties it, a queue `<topic>-<name>-dead`."""

    must: ClassVar[str] = "every subscription must have a consumer"
    change: ClassVar[str] = (
        'use its receive() or trigger(…) in a worker, or declare it with consumer="operator" or "external"'
    )

    def __init__(self, name: str, args: SubscriptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name` is the subscription's own name as well; settings and roles call it `<topic>-<name>`."""
        topic = args.topic
        below = pulumi.ResourceOptions(parent=topic)
        options = pulumi.ResourceOptions.merge(below, opts)
        super().__init__("millrace:messaging:Subscription", name, args.consumer, options)
        self.args, self.topic, self.namespace = args, topic, topic.namespace
        environment, within = topic.namespace.environment, f"{topic.namespace.physical}/{topic.what}"
        self.subscription_name = environment.claim("bus_subscription", name, within=within)
        self.what = f"{topic.what}-{self.subscription_name}"
        self.stop = Stop(f"{topic.what}/{self.subscription_name}")
        topic.stop.lead(self.stop, hops=0)
        topic.consumed_by.append(self.subscription_name)
        self._link_onward()
        self.resource = subscription = self._create()
        self.id, self.name = subscription.id, after(self.subscription_name, subscription)
        prefix = setting_prefix(self.what)
        self.settings = {
            f"{prefix}_NAMESPACE": topic.namespace.host,
            f"{prefix}_TOPIC": topic.what,
            f"{prefix}_SUBSCRIPTION": self.subscription_name,
        }
        self.default_rule = servicebus.DefaultRule(self.what, **self._rule(args.rule))
        self.rules = {name: self._add(name, rule, within) for name, rule in args.more_rules.items()}
        self.dead_letter = put_aside(self)
        self.register_outputs({"name": self.subscription_name})

    def _create(self) -> servicebus.Subscription:
        environment = self.namespace.environment
        return servicebus.Subscription(
            self.what,
            subscription_name=self.subscription_name,
            topic_name=self.topic.name,
            namespace_name=self.namespace.name,
            resource_group_name=self.namespace.group.name,
            # A message whose properties make a filter fail is one that nobody foresaw: kept, not dropped.
            dead_lettering_on_filter_evaluation_exceptions=True,
            opts=pulumi.ResourceOptions(
                parent=self, protect=environment.keeps_data or None, replace_on_changes=["requiresSession"]
            ),
            **self.args.inputs(),
        )

    def _add(self, name: str, rule: Rule, within: str) -> servicebus.Rule:
        physical = self.namespace.environment.claim("bus_rule", name, within=f"{within}/{self.subscription_name}")
        return servicebus.Rule(f"{self.what}-{physical}", rule_name=physical, **self._rule(rule))

    def _rule(self, rule: Rule) -> dict[str, Any]:
        return {
            "subscription_name": self.name,
            "topic_name": self.topic.what,
            "namespace_name": self.namespace.physical,
            "resource_group_name": self.namespace.group.name,
            "opts": pulumi.ResourceOptions(parent=self),
            **rule.inputs(),
        }
