"""Service Bus: no keys, one role a verb and an entity, its own rules kept, nothing that nobody empties or hears of."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.link import Link
from components.messaging.namespace import Namespace, NamespaceArgs, host_of
from components.messaging.queue import Queue, QueueArgs
from components.messaging.rule import Correlation, Rule
from components.messaging.subscription import Subscription, SubscriptionArgs
from components.messaging.topic import Topic, TopicArgs
from components.roles import ROLES
from components.storage.queue import Queue as StorageQueue
from components.storage.queue import QueueArgs as StorageQueueArgs
from components.workers.function_worker import FunctionWorker, FunctionWorkerArgs
from components.workers.steps import Every
from tests.components.program import SUBSCRIPTION, Base, Declared, declare, links_of, project
from tests.contract.security.forms import ARM, arm_template

BUS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo-test/providers/Microsoft.ServiceBus/namespaces/bus-test-eefa8"
HOST = "bus-test-eefa8.servicebus.windows.net"


def bus(base: Base, name: str = "bus", **more: Any) -> Namespace:
    args = NamespaceArgs(group=base.group, foundation=base.foundation, **more)
    return Namespace(name, args, opts=base.system.child)


def on_bus(make: Callable[[Namespace], Any], tier: str = "Standard", **changes: Any) -> Declared:
    """What `make` declares on a namespace."""
    return declare(lambda: make(bus(Base(**changes), tier=tier)))


def test_a_namespace_has_no_keys_and_no_old_tls() -> None:
    namespace = on_bus(lambda _: None).one("servicebus:Namespace").inputs
    assert namespace | {"tags": None} == {
        "namespaceName": "bus-test-eefa8",
        "resourceGroupName": "demo-test",
        "location": "westeurope",
        "sku": {"name": "Standard", "tier": "Standard"},
        "disableLocalAuth": True,
        "minimumTlsVersion": "1.2",
        "publicNetworkAccess": "Enabled",
        "tags": None,
    }


def test_premium_says_zones_and_units() -> None:
    namespace = declare(lambda: bus(Base(), tier="Premium", messaging_units=4)).one("servicebus:Namespace").inputs
    assert namespace["sku"] == {"name": "Premium", "tier": "Premium", "capacity": 4}
    assert namespace["zoneRedundant"] is True


def test_who_changes_a_namespace_is_logged() -> None:
    found = on_bus(lambda _: None)
    kept = [one.inputs for one in found.all("DiagnosticSetting") if one.inputs["name"] == "operations"]
    assert [(one["resourceUri"], one["workspaceId"]) for one in kept] == [(BUS, found.one("Workspace").id)]
    assert kept[0]["logs"] == [{"category": "OperationalLogs", "enabled": True}]


def everything(namespace: Namespace) -> None:
    """One of each."""
    jobs = Queue("jobs", QueueArgs(namespace=namespace, duplicates_s=600))
    events = Topic("events", TopicArgs(namespace=namespace, duplicates_s=60))
    rule, large = Rule(sql="type = 'paid'"), Rule(correlation=Correlation(label="large"), action="SET big = 1")
    Subscription("billing", SubscriptionArgs(topic=events, rule=rule, more_rules={"large": large}))
    Subscription("audit", SubscriptionArgs(topic=events, forward_to=jobs))


def test_where_data_is_kept_everything_that_holds_messages_is_protected_and_the_namespace_locked() -> None:
    found = on_bus(everything, keeps_data=True)
    kinds = ("servicebus:Namespace", "servicebus:Queue", "servicebus:Topic", "servicebus:Subscription")
    assert {one.protect for kind in kinds for one in found.all(kind)} == {True}
    assert BUS in {one.inputs["scope"] for one in found.all("ManagementLockByScope")}


def test_a_queue_is_what_its_declaration_says() -> None:
    def make(namespace: Namespace) -> None:
        late = Queue("late", QueueArgs(namespace=namespace, consumer="operator"))
        args = QueueArgs(
            namespace=namespace, lock_s=120, max_delivery_count=5, duplicates_s=600, time_to_live_s=7 * 86400,
            sessions=True, size_mb=2048, forward_dead_letters_to=late,
        )  # fmt: skip
        Queue("work-items", args)

    found = on_bus(make)
    queue = found.one("servicebus:Queue", "work-items")
    assert queue.inputs == {
        "queueName": "work-items",
        "namespaceName": "bus-test-eefa8",
        "resourceGroupName": "demo-test",
        "lockDuration": "PT2M",
        "maxDeliveryCount": 5,
        "maxSizeInMegabytes": 2048,
        "requiresDuplicateDetection": True,
        "duplicateDetectionHistoryTimeWindow": "PT10M",
        "defaultMessageTimeToLive": "P7D",
        "deadLetteringOnMessageExpiration": True,
        "requiresSession": True,
        "forwardDeadLetteredMessagesTo": "late",
    }
    assert found.one("servicebus:Queue", "late").urn in queue.dependencies  # Azure wants the target first
    assert found.one("servicebus:Namespace").urn in queue.dependencies


@pytest.mark.parametrize(
    ("more", "queues"),
    [
        ({}, ["jobs", "jobs-dead"]),
        ({"dead_letter_queue": False}, ["jobs"]),
        ({"consumer": "operator"}, ["jobs"]),
        ({"consumer": "external"}, ["jobs"]),
    ],
)
def test_only_a_step_has_a_queue_for_what_it_gives_up(more: dict[str, Any], queues: list[str]) -> None:
    found = on_bus(lambda namespace: Queue("jobs", QueueArgs(namespace=namespace, **more)))
    assert sorted(one.inputs["queueName"] for one in found.all("servicebus:Queue")) == queues


def test_a_queues_verbs_are_one_role_each_on_it_alone() -> None:
    def make(base: Base) -> dict[str, Link]:
        jobs = Queue("work-items", QueueArgs(namespace=bus(base)))
        return {
            "send": jobs.send(),
            "receive": jobs.receive(),
            "manage": jobs.manage(),
            "scale": jobs.scale(),
            "trigger": jobs.trigger("the-client"),
        }

    where = {"WORK_ITEMS_NAMESPACE": HOST, "WORK_ITEMS_QUEUE": "work-items"}
    queue, dead = f"{BUS}/queues/work-items", f"{BUS}/queues/work-items-dead"
    assert links_of(make) == {
        "send": {"settings": where, "grants": [["bus.send", queue]], "aws": []},
        "receive": {"settings": where, "grants": [["bus.receive", queue]], "aws": []},
        "manage": {"settings": where, "grants": [["bus.manage", queue]], "aws": []},
        "scale": {"settings": {}, "grants": [["bus.count", BUS]], "aws": []},
        "trigger": {
            "settings": {
                "WORK_ITEMS__fullyQualifiedNamespace": HOST,
                "WORK_ITEMS__credential": "managedidentity",
                "WORK_ITEMS__clientId": "the-client",
                "WORK_ITEMS_DEAD_LETTER_QUEUE": "work-items-dead",
            },
            "grants": [["bus.receive", queue], ["bus.count", BUS], ["bus.send", dead]],
            "aws": [],
        },
    }


def test_a_topic_is_sent_to_and_a_subscription_received_from() -> None:
    def make(base: Base) -> dict[str, Link]:
        events = Topic("events", TopicArgs(namespace=bus(base)))
        billing = Subscription("billing", SubscriptionArgs(topic=events))
        return {"send": events.send(), "receive": billing.receive(), "trigger": billing.trigger("the-client")}

    topic, subscription = f"{BUS}/topics/events", f"{BUS}/topics/events/subscriptions/billing"
    found = links_of(make)
    assert found["send"] == {
        "settings": {"EVENTS_NAMESPACE": HOST, "EVENTS_TOPIC": "events"},
        "grants": [["bus.send", topic]],
        "aws": [],
    }
    where = {"NAMESPACE": HOST, "TOPIC": "events", "SUBSCRIPTION": "billing"}
    assert found["receive"] == {
        "settings": {f"EVENTS_BILLING_{name}": value for name, value in where.items()},
        "grants": [["bus.receive", subscription]],
        "aws": [],
    }
    assert found["trigger"]["grants"] == [
        ["bus.receive", subscription],
        ["bus.count", BUS],
        ["bus.send", f"{BUS}/queues/events-billing-dead"],
    ]
    assert found["trigger"]["settings"]["EVENTS_BILLING_DEAD_LETTER_QUEUE"] == "events-billing-dead"


def test_a_worker_that_receives_has_the_roles_and_the_settings(tmp_path: Path) -> None:
    def main() -> None:
        base = Base(project(tmp_path, {"demo.tick": ["jobs_namespace: str", "jobs_queue: str"]}))
        jobs = Queue("jobs", QueueArgs(namespace=bus(base), dead_letter_queue=False))
        steps = [Every("0 * * * * *", run="handlers.demo.tick")]
        uses = [jobs.receive(), jobs.send(), jobs.scale()]
        args = FunctionWorkerArgs(group=base.group, foundation=base.foundation, system="demo", steps=steps, uses=uses)
        FunctionWorker("demo", args, opts=base.system.child)
        base.system.finish({})  # the worker is its consumer

    found = declare(main)
    assert found.app_settings()["JOBS_NAMESPACE"] == HOST
    wanted = {("bus.send", f"{BUS}/queues/jobs"), ("bus.receive", f"{BUS}/queues/jobs"), ("bus.count", BUS)}
    assert {(ROLES[verb].id, scope) for verb, scope in wanted} <= found.grants()  # type: ignore[index]


def test_the_default_rule_is_replaced_and_others_stand_beside_it() -> None:
    found = on_bus(everything)
    rules = {one.name: one.inputs for one in found.all("servicebus:DefaultRule")}
    paths = {"resourceGroupName": "demo-test", "namespaceName": "bus-test-eefa8", "topicName": "events"}
    assert rules == {
        "events-billing": {
            **paths,
            "subscriptionName": "billing",
            "filterType": "SqlFilter",
            "sqlFilter": {"sqlExpression": "type = 'paid'"},
        },
        "events-audit": {  # takes everything, and says so: a rule that is taken away must not leave it without any
            **paths,
            "subscriptionName": "audit",
            "filterType": "SqlFilter",
            "sqlFilter": {"sqlExpression": "1=1"},
        },
    }
    assert found.one("servicebus:Rule").inputs == {
        **paths,
        "subscriptionName": "billing",
        "ruleName": "large",
        "filterType": "CorrelationFilter",
        "correlationFilter": {"label": "large"},
        "action": {"sqlExpression": "SET big = 1"},
    }
    subscription = found.one("servicebus:Subscription", "events-billing")
    assert subscription.inputs["deadLetteringOnFilterEvaluationExceptions"] is True
    assert subscription.urn in found.one("servicebus:DefaultRule", "events-billing").dependencies


def test_every_resource_has_the_form_that_scanners_read() -> None:
    found = on_bus(everything, alert_emails=("one@example.com",))
    declared = {one.type.removeprefix("azure-native:") for one in found.custom}
    assert {kind for kind in ARM if kind.startswith("servicebus:")} | {"monitor:MetricAlert"} <= declared
    for one in arm_template(found.custom)["resources"]:
        assert one["name"].count("/") == one["type"].count("/") - 1, one["type"]
        assert one["type"] != "Microsoft.Insights/metricAlerts" or "odata.type" in one["properties"]["criteria"]


def test_every_entity_is_watched_by_azures_own_metrics() -> None:
    found = on_bus(everything, alert_emails=("one@example.com",))
    alerts = {one.name: one.inputs for one in found.all("MetricAlert")}
    assert set(alerts) == {
        *("bus-jobs-dead-letters", "bus-jobs-backlog", "bus-jobs-waiting"),
        *("bus-events-dead-letters", "bus-events-backlog", "bus-events-waiting"),
        *("bus-jobs-dead-dead-letters", "bus-jobs-dead-backlog"),
        *("bus-events-billing-dead-dead-letters", "bus-events-billing-dead-backlog"),
    }
    told = {}
    for name, alert in alerts.items():
        assert (alert["scopes"], alert["actions"]) == ([BUS], [{"actionGroupId": found.one("ActionGroup").id}])
        (one,) = alert["criteria"]["allOf"]
        (entity,) = one["dimensions"]
        assert (entity["name"], entity["values"]) == (
            "EntityName",
            [re.sub("^bus-|-(dead-letters|backlog|waiting)$", "", name)],
        )
        told[name] = (one["timeAggregation"], one["metricName"], one["operator"], one["threshold"], alert["windowSize"])
    assert told["bus-jobs-dead-letters"] == ("Maximum", "DeadletteredMessages", "GreaterThan", 0, "PT15M")
    assert told["bus-jobs-backlog"] == ("Average", "ActiveMessages", "GreaterThan", 1000, "PT15M")
    assert told["bus-jobs-waiting"] == ("Minimum", "ActiveMessages", "GreaterThan", 0, "PT1H")
    assert told["bus-jobs-dead-backlog"] == ("Average", "ActiveMessages", "GreaterThan", 0, "PT15M")


def test_a_name_with_a_dot_makes_settings_and_alerts() -> None:
    found = on_bus(lambda bus: Queue("eu.jobs-new", QueueArgs(namespace=bus)), alert_emails=("one@example.com",))
    assert "bus-eu-jobs-new-backlog" in {one.name for one in found.all("MetricAlert")}
    assert found.one("servicebus:Queue", "eu.jobs-new").id == f"{BUS}/queues/eu.jobs-new"
    links = links_of(lambda base: {"send": Queue("eu.jobs-new", QueueArgs(namespace=bus(base))).send()})
    assert links["send"]["settings"] == {"EU_JOBS_NEW_NAMESPACE": HOST, "EU_JOBS_NEW_QUEUE": "eu.jobs-new"}


def test_without_an_address_there_is_no_alert() -> None:
    assert on_bus(everything).all("MetricAlert") == []


def test_a_storage_queue_and_a_bus_queue_may_share_a_name() -> None:
    def main() -> None:
        base = Base()
        StorageQueue("jobs", StorageQueueArgs(account=base.account))
        Queue("jobs", QueueArgs(namespace=bus(base)))

    assert len(declare(main).all("Queue")) == 4  # each with its own place for what is given up


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://bus-prod.servicebus.windows.net:443/", "bus-prod.servicebus.windows.net"),
        ("https://bus.servicebus.chinacloudapi.cn:443/", "bus.servicebus.chinacloudapi.cn"),
        ("https://localhost:40443/", "localhost:40443"),
    ],
)
def test_a_host_is_its_endpoint_without_the_usual_port(endpoint: str, host: str) -> None:
    assert host_of(endpoint) == host
