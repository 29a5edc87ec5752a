"""Alerts on what lies in a Service Bus entity, from the metrics that Azure keeps for every namespace.

Azure has counts (active, dead-lettered) by queue and by topic, every minute; none by subscription, and none for the age
of a message ("Azure Service Bus monitoring data reference"). So a topic's alerts are those of all its subscriptions,
and age is told by the only thing that follows from counts: when there was not one moment without a message within
`waiting_min`, either one has waited so long or the consumers do not keep up; both want somebody.
"""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor

from components.errors import require
from components.monitoring.alerts import Alerts

WINDOWS = {15: "PT15M", 30: "PT30M", 60: "PT1H", 360: "PT6H", 720: "PT12H", 1440: "P1D"}
"""Minutes; metric alerts take these windows (and shorter ones)."""
EVERY = "PT5M"


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """When somebody is told of an entity."""

    active: int = 1000
    """Messages that wait, on average of 15 minutes: more are told of."""
    waiting_min: int | None = 60
    """Minutes without one empty moment; 15, 30, 60, 360, 720 or 1440. None: may never be empty."""
    dead_letters: bool = True
    """Tell of every message in the dead-letter queue, until it is empty again."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(self.active >= 0, "Watch", must="active must be 0 or more", got=self.active, change="set active=1000")
        require(
            self.waiting_min is None or self.waiting_min in WINDOWS,
            "Watch",
            must=f"waiting_min must be one of {', '.join(map(str, WINDOWS))} minutes",
            got=self.waiting_min,
            change="set waiting_min=60, or None for an entity that is never empty",
        )


def watch_entity(
    alerts: Alerts, namespace: str, scope: pulumi.Input[str], entity: str, watch: Watch, *, parent: pulumi.Resource
) -> None:
    """`namespace`: its name in the program; `scope`: its id; `entity`: a queue or topic, as metrics name it."""
    base = f"{namespace}-{entity}".replace(".", "-")

    def tell(name: str, says: str, metric: str, over: int, aggregation: str, minutes: int) -> None:
        criterion = _criterion(metric, over, aggregation, entity)
        _rule(alerts, f"{base}-{name}", f"{entity} of {namespace}: {says}", criterion, minutes, scope, parent)

    if watch.dead_letters:
        tell("dead-letters", "a message was given up", "DeadletteredMessages", 0, "Maximum", 15)
    tell("backlog", f"more than {watch.active} messages wait", "ActiveMessages", watch.active, "Average", 15)
    if watch.waiting_min:
        says = f"messages have waited for {watch.waiting_min} minutes without a break"
        tell("waiting", says, "ActiveMessages", 0, "Minimum", watch.waiting_min)


def _criterion(metric: str, over: int, aggregation: str, entity: str) -> monitor.MetricCriteriaArgs:
    return monitor.MetricCriteriaArgs(
        name=metric,
        criterion_type="StaticThresholdCriterion",
        metric_namespace="Microsoft.ServiceBus/namespaces",
        metric_name=metric,
        time_aggregation=aggregation,
        operator=monitor.Operator.GREATER_THAN,
        threshold=over,
        dimensions=[monitor.MetricDimensionArgs(name="EntityName", operator="Include", values=[entity])],
    )


def _rule(
    alerts: Alerts,
    name: str,
    says: str,
    criterion: monitor.MetricCriteriaArgs,
    minutes: int,
    scope: pulumi.Input[str],
    parent: pulumi.Resource,
) -> None:
    environment = alerts.environment
    monitor.MetricAlert(
        name,
        rule_name=environment.claim("alert", name),
        resource_group_name=alerts.resource_group,
        location="global",
        description=f"{says}. Stack {environment.stack}.",
        enabled=True,
        severity=1,
        scopes=[scope],
        evaluation_frequency=EVERY,
        window_size=WINDOWS[minutes],
        criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
            odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", all_of=[criterion]
        ),
        actions=[monitor.MetricAlertActionArgs(action_group_id=alerts.group.id)],
        auto_mitigate=True,
        tags=environment.all_tags(),
        opts=pulumi.ResourceOptions(parent=parent),
    )
