"""Service Bus as a part of the local cloud: declared by the control plane, reached by the SDK with tokens and roles."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage

from localcloud.engine.provider import Refused
from tests.integration.emulators.bus_clients import OWNER, READER, RECEIVER, SENDER, Buses
from tests.integration.emulators.local import Local


def test_one_address_serves_messages_and_administration(buses: Buses) -> None:
    buses.put("Queue", queueName="orders", lockDuration="PT2M", maxDeliveryCount=3)
    assert buses.endpoint.startswith("https://localhost:")
    worker = buses.worker((SENDER, "/queues/orders"), (RECEIVER, "/queues/orders"), (READER, ""))
    with buses.client(worker) as client:
        with client.get_queue_sender("orders") as sender:
            sender.send_messages(ServiceBusMessage("x"))
        with client.get_queue_receiver("orders") as receiver:
            (got,) = receiver.receive_messages(1, max_wait_time=10)
            assert buses.depth("orders").in_flight == 1
            assert got.locked_until_utc is not None
            assert got.locked_until_utc - datetime.now(UTC) > timedelta(seconds=100)
            with buses.administration(worker) as administration:
                assert administration.get_queue_runtime_properties("orders").active_message_count == 1
                assert administration.get_queue("orders").max_delivery_count == 3
            receiver.complete_message(got)
    assert buses.depth("orders").moving == 0


def test_what_is_declared_again_changes_nothing_and_what_is_changed_keeps_its_messages(buses: Buses) -> None:
    declared = {"queueName": "kept", "maxDeliveryCount": 7, "requiresSession": False}
    id_ = buses.put("Queue", **declared).id
    buses.send("kept", "1", "2")
    with buses.administration(buses.worker((READER, ""))) as administration:
        before = administration.get_queue_runtime_properties("kept").updated_at_utc
        buses.put("Queue", **declared)
        assert administration.get_queue_runtime_properties("kept").updated_at_utc == before
        buses.update("Queue", id_, **{**declared, "maxDeliveryCount": 2})
        assert administration.get_queue("kept").max_delivery_count == 2
    assert buses.bodies("kept") == ["1", "2"]


@pytest.mark.parametrize("name", ["requiresSession", "requiresDuplicateDetection"])
def test_what_service_bus_lets_nobody_change_is_refused(buses: Buses, name: str) -> None:
    id_ = buses.put("Queue", queueName=f"fixed-{name.lower()}").id
    with pytest.raises(Refused, match=f"{name} property of an existing entity cannot be changed"):
        buses.update("Queue", id_, queueName=f"fixed-{name.lower()}", **{name: True})
    with pytest.raises(Refused, match="cannot change after creation"):  # an engine that creates what is there
        buses.put("Queue", queueName=f"fixed-{name.lower()}", **{name: True})
    buses.send(f"fixed-{name.lower()}", "still")
    assert buses.bodies(f"fixed-{name.lower()}") == ["still"]


def test_what_service_bus_refuses_is_not_in_the_record(buses: Buses) -> None:
    with pytest.raises(Refused, match="ForwardTo must name a queue or topic that exists, got 'nowhere'"):
        buses.put("Queue", queueName="forwards", forwardTo="nowhere")
    with pytest.raises(Refused, match="LockDuration must be more than 0 and at most 5 minutes"):
        buses.put("Queue", queueName="forwards", lockDuration="PT1H")
    assert not [one for one in buses.local.do(buses.plane.resources) if one.id.endswith("/forwards")]


def test_a_removed_entity_takes_its_messages_along(buses: Buses) -> None:
    id_ = buses.put("Queue", queueName="gone").id
    buses.send("gone", "lost")
    buses.remove("Queue", id_)
    assert buses.local.run(buses.plane.read("azure-native:servicebus:Queue", id_)) is None
    buses.put("Queue", queueName="gone")
    assert buses.bodies("gone") == []


def test_a_name_that_another_namespace_has_is_refused(buses: Buses) -> None:
    with pytest.raises(Refused, match=f"'{buses.name}' is not available"):
        buses.put("Namespace", resourceGroupName="another")
    assert buses.local.cloud.buses.hosts()[buses.name] == buses.host


def test_what_a_manager_changes_or_deletes_is_seen_by_a_refresh(buses: Buses) -> None:
    declared = {"queueName": "managed", "lockDuration": "PT60S", "maxDeliveryCount": 5, "requiresSession": False}
    id_ = buses.put("Queue", **declared).id

    def read() -> Any:
        return buses.local.run(buses.plane.read("azure-native:servicebus:Queue", id_))

    assert read().inputs == {**buses.place, **declared}  # one minute is a minute, however it is written
    with buses.administration(buses.worker((OWNER, "/queues/managed"))) as administration:
        properties = administration.get_queue("managed")
        properties.max_delivery_count, properties.lock_duration = 9, timedelta(minutes=2)
        administration.update_queue(properties)
        assert read().inputs == {**buses.place, **declared, "lockDuration": "PT2M", "maxDeliveryCount": 9}
        administration.delete_queue("managed")
    assert read() is None
    buses.remove("Queue", id_)


def test_a_subscription_takes_what_its_default_rule_says(buses: Buses) -> None:
    topic = buses.put("Topic", topicName="events").id
    buses.put("Subscription", topicName="events", subscriptionName="all")
    buses.put("Subscription", topicName="events", subscriptionName="paid")
    place = {"topicName": "events", "subscriptionName": "paid"}
    narrow = {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "kind = 'paid'"}}
    rule = buses.put("DefaultRule", **place, **narrow).id
    large = {"filterType": "CorrelationFilter", "correlationFilter": {"label": "large", "properties": {"eu": "yes"}}}
    action = {"action": {"sqlExpression": "SET big = 'yes'"}}
    buses.put("Rule", **place, ruleName="large", **large, **action)
    for body, label, properties in (
        ("a", "", {"kind": "paid"}),
        ("b", "", {"kind": "open"}),
        ("c", "large", {"kind": "open", "eu": "yes"}),
        ("d", "large", {"kind": "open"}),
    ):
        buses.send("events", body, topic=True, subject=label, application_properties=properties)
    assert buses.bodies("events", "all") == ["a", "b", "c", "d"]
    assert buses.bodies("events", "paid") == ["a", "c"]
    buses.put("DefaultRule", **place, filterType="SqlFilter", sqlFilter={"sqlExpression": "1=1"})
    buses.send("events", "e", topic=True)
    assert buses.bodies("events", "paid") == ["e"]
    buses.remove("DefaultRule", rule)  # then only `large` is left
    buses.send("events", "f", topic=True)
    assert buses.bodies("events", "paid") == []
    buses.remove("Topic", topic)
    assert not [one for one in buses.local.do(buses.local.cloud.buses.depths) if "events" in one.name]


def test_depths_count_what_moves_and_what_is_given_up(buses: Buses) -> None:
    buses.put("Queue", queueName="work")
    buses.put("Queue", queueName="work-dead")
    buses.put("Topic", topicName="news")
    buses.put("Subscription", topicName="news", subscriptionName="desk")
    buses.put("Queue", queueName="news-desk-dead")
    buses.send("work", "1", "2", "3")
    later = datetime.now(UTC) + timedelta(hours=1)
    buses.send("work", "later", scheduled_enqueue_time_utc=later)
    buses.send("news", "later", topic=True, scheduled_enqueue_time_utc=later)
    buses.send("news-desk-dead", "aside")
    with buses.receiver("work") as receiver:
        first, second = receiver.receive_messages(2, max_wait_time=10)
        receiver.dead_letter_message(first, reason="Broken", error_description="no")
        depth = buses.depth("work")
        assert (depth.active, depth.in_flight, depth.scheduled, depth.dead, depth.moving) == (1, 1, 1, 1, 3)
        receiver.complete_message(second)
    depth = buses.depth("news/desk")
    assert (depth.active, depth.dead, depth.kind) == (0, 1, "bus")
    assert buses.depth("news").scheduled == 1
    assert (buses.depth("news-desk-dead").dead_letters, buses.depth("news-desk-dead").moving) == (True, 0)
    assert buses.depth("work").dead_letters is False


def test_released_messages_come_back_at_once(buses: Buses) -> None:
    buses.put("Queue", queueName="held", lockDuration="PT5M")
    buses.put("Queue", queueName="held-sessions", lockDuration="PT5M", requiresSession=True)
    buses.send("held", "x")
    buses.send("held-sessions", "y", session_id="s")
    with buses.receiver("held") as one, buses.receiver("held-sessions", session_id="s") as other:
        assert len([*one.receive_messages(1, max_wait_time=10), *other.receive_messages(1, max_wait_time=10)]) == 2
        assert buses.local.do(buses.local.cloud.buses.release) == 2
        (again,) = one.receive_messages(1, max_wait_time=10)
        assert again.delivery_count == 1
        one.complete_message(again)
    assert buses.bodies("held-sessions", session_id="s") == ["y"]


def test_metrics_are_of_every_namespace(buses: Buses) -> None:
    buses.put("Queue", queueName="measured")
    buses.send("measured", "1", "2")
    with buses.receiver("measured") as receiver:
        one, two = receiver.receive_messages(2, max_wait_time=10)
        receiver.complete_message(one)
        page = buses.local.do(buses.local.cloud.buses.metrics)
        labels = f'{{namespace="{buses.name}",entity="measured"}}'
        for line in ("active{} 1", "locked{} 1", "sent_total{} 2", "received_total{} 2", "completed_total{} 1"):
            assert f"servicebus_messages_{line.format(labels)}" in page.splitlines()
        assert f'servicebus_connections{{namespace="{buses.name}"}}' in page
        receiver.complete_message(two)


def test_everything_is_there_after_a_stop(tmp_path: Path) -> None:
    local = Local(tmp_path / "cloud")
    buses = Buses(local, tmp_path, "again")
    buses.put("Queue", queueName="jobs")
    buses.send("jobs", "kept")
    folder = tmp_path / "cloud" / "service_bus"
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*")} == {0}
    buses.close()
    local.stop()
    local = Local(tmp_path / "cloud")
    try:
        again = Buses(local, tmp_path, "again")
        local.run(again.plane.replay())
        assert (again.endpoint, again.bodies("jobs")) == (buses.endpoint, ["kept"])
        again.remove("Namespace", again.scope)
        assert (local.cloud.buses.hosts(), list(folder.iterdir())) == ({}, [])
        again.close()
    finally:
        local.stop()


def test_a_log_that_cannot_be_read_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "cloud" / "service_bus" / "broken"
    folder.mkdir(parents=True)
    (folder / "000000000001.log").write_bytes(b"not a log at all, whatever it may be")
    local = Local(tmp_path / "cloud")
    try:
        with pytest.raises(Refused, match="000000000001"):
            Buses(local, tmp_path, "broken")
        assert "servicebus broken" in local.cloud.problems()
    finally:
        local.stop()
