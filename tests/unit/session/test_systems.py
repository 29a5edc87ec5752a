"""Which queues are a system's, under the names that `status` gives them."""

from typing import Any

from localcloud.engine.state import Record
from localcloud.session.systems import SYSTEM_TYPE, namespaces, queues_of

BUS = "azure-native:servicebus:"


def record(type_: str, urn: str, parent: str = "", outputs: dict[str, Any] | None = None, **inputs: Any) -> Record:
    return Record(
        urn=urn, type=type_, name=urn, parent=parent, custom=True, order=0, inputs=inputs, outputs=outputs or {}
    )  # fmt: skip


def test_queues_of_every_kind_are_named_as_status_names_them() -> None:
    bus: dict[str, Any] = {"namespaceName": "bus"}
    every = [
        record(SYSTEM_TYPE, "one"), record(SYSTEM_TYPE, "two"),
        record("aws:sqs/queue:Queue", "a", "one", name="events"),
        record("azure-native:storage:Queue", "b", "one", accountName="st", queueName="work"),
        record(BUS + "Queue", "c", "one", **bus, queueName="jobs"),
        record(BUS + "Topic", "d", "one", **bus, topicName="news"),
        record(BUS + "Subscription", "e", "d", **bus, topicName="news", subscriptionName="desk"),
        record(BUS + "Queue", "f", "two", **bus, queueName="others"),
    ]  # fmt: skip
    records = {one.urn: one for one in every}
    assert queues_of(["one"], records) == {"events", "st/work", "bus/jobs", "bus/news", "bus/news/desk"}
    assert queues_of(["two"], records) == {"bus/others"}


def test_namespaces_are_told_with_their_hosts() -> None:
    every = [
        record(BUS + "Namespace", name, namespaceName=name, outputs={"serviceBusEndpoint": endpoint})
        for name, endpoint in (("far", "https://far.servicebus.windows.net:443/"), ("close", "https://localhost:1/"))
    ]
    assert namespaces({one.urn: one for one in every}) == [
        ("close", "localhost:1"),
        ("far", "far.servicebus.windows.net"),
    ]
