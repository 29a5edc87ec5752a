"""Service Bus as a user meets it: `up` on a program with a namespace, a queue and a topic, then the commands that look
at it, send back and empty.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage

from tests.e2e.bus import client, row, send
from tests.e2e.project import Project, descendants
from tests.integration.host.waiting import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the local cloud's end-to-end tests run on Linux"),
    pytest.mark.timeout(240),
]
BUS = """
    bus = Namespace("bus", NamespaceArgs(group=group, foundation=base), opts=system.child)
    Queue("jobs", QueueArgs(namespace=bus, consumer="operator", max_delivery_count=3, lock_s=5))
    Queue("ordered", QueueArgs(namespace=bus, consumer="operator", sessions=True))
    events = Topic("events", TopicArgs(namespace=bus))
    Subscription("billing", SubscriptionArgs(topic=events, consumer="operator", rule=Rule(sql="kind = 'paid'")))
    Subscription("audit", SubscriptionArgs(topic=events, consumer="operator"))
"""
IMPORTS = """from components.messaging.namespace import Namespace, NamespaceArgs
from components.messaging.queue import Queue, QueueArgs
from components.messaging.rule import Rule
from components.messaging.subscription import Subscription, SubscriptionArgs
from components.messaging.topic import Topic, TopicArgs
"""


LETTERS = 200


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("bus") / "project")
    stack = "stacks/log_ingest.py"
    declared = '    failed = Container("failed", ContainerArgs(account=data), opts=system.child)\n'
    project.edit(stack, declared, declared + BUS)
    project.edit(stack, "from components.monitoring.collector", f"{IMPORTS}from components.monitoring.collector")
    try:
        project.up("--no-sample")
        project.stack.require().call("GET", "/operator", None, object)  # gives the operator its roles
        yield project
    finally:
        project.down()


def bodies(cloud: Project, *arguments: str) -> list[str]:
    return [one["body"] for one in cloud.json("queue", "peek", *arguments)["messages"]]


def test_up_makes_it_and_a_second_one_changes_nothing(cloud: Project) -> None:
    counts = cloud.up("--no-sample")["resources"]
    assert (counts["created"], counts["updated"], counts["deleted"]) == (0, 0, 0)
    kinds = cloud.resources()
    made = {kind.rpartition(":")[2]: count for kind, count in kinds.items() if ":servicebus:" in kind}
    assert made == {"Namespace": 1, "Queue": 2, "Topic": 1, "Subscription": 2, "DefaultRule": 2}
    names = {one["name"].partition("/")[2]: one["kind"] for one in cloud.json("status")["queues"]}
    assert {name for name, kind in names.items() if kind == "bus"} == {
        "jobs", "ordered", "events", "events/billing", "events/audit",
    }  # fmt: skip


def test_what_lies_there_is_counted_looked_at_and_emptied(cloud: Project) -> None:
    send(cloud, "events", "1", "2", topic=True, application_properties={"kind": "paid"})
    send(cloud, "events", "3", topic=True, application_properties={"kind": "open"})
    assert bodies(cloud, "events/billing") == ["1", "2"]
    assert bodies(cloud, "events/audit", "--limit", "2") == ["1", "2"]
    page = cloud.json("queue", "peek", "events/audit", "--limit", "2")
    assert [one["properties"] for one in page["messages"]] == [{"kind": "paid"}] * 2
    assert bodies(cloud, "events/audit", "--from", str(page["next"])) == ["3"]
    assert row(cloud, "events/audit").active == 3
    asked = cloud.run("queue", "purge", "events/audit")
    assert (asked.returncode, "say --yes" in asked.stderr) == (2, True)
    assert cloud.json("queue", "purge", "events/audit", "--yes")["purged"] == 3
    assert cloud.json("queue", "purge", "events/billing", "--yes")["purged"] == 2
    send(cloud, "ordered", "a", session_id="s")
    send(cloud, "ordered", "b", session_id="t")
    assert "--session ID" in cloud.run("queue", "peek", "ordered").stderr
    assert bodies(cloud, "ordered", "--session", "s") == ["a"]
    assert cloud.json("queue", "purge", "ordered", "--yes")["purged"] == 2
    unknown = cloud.run("queue", "peek", "none")
    assert (unknown.returncode, "events/billing" in unknown.stderr) == (1, True)


def test_what_is_due_later_is_listed_and_keeps_wait_waiting(cloud: Project) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    with client(cloud) as found, found.get_queue_sender("jobs") as sender:
        (number,) = sender.schedule_messages(ServiceBusMessage("later"), due)
        (listed,) = cloud.json("queue", "schedule", "list", "jobs")["messages"]
        assert (listed["body"], listed["state"], listed["sequence_number"]) == ("later", "scheduled", number)
        assert abs(datetime.fromisoformat(listed["scheduled"]) - due) < timedelta(seconds=1)
        assert row(cloud, "jobs").scheduled == 1
        waited = cloud.run("wait", "--timeout", "0.2")
        assert (waited.returncode, "jobs 1" in waited.stderr) == (1, True)
        sender.cancel_scheduled_messages(number)
    cloud.settle()


def test_dead_letters_are_listed_and_sent_back(cloud: Project) -> None:
    send(cloud, "jobs", '{"n": 1}', '{"n": 2}')
    with client(cloud) as found, found.get_queue_receiver("jobs") as receiver:
        for message in receiver.receive_messages(2, max_wait_time=10):
            receiver.dead_letter_message(message, reason="Broken", error_description="no total")
    assert row(cloud, "jobs").dead == 2
    status = cloud.json("status")
    assert [one["dead"] for one in status["queues"] if one["name"].endswith("/jobs")] == [status["dead_letters"]] == [2]
    assert bodies(cloud, "jobs", "--dead") == ['{"n": 1}', '{"n": 2}']
    first, second = cloud.json("dlq", "list", "--kind", "bus")["entries"]
    assert (first["reason"], first["origin"], first["system"]) == ("Broken: no total", "jobs", "log_ingest")
    assert cloud.json("dlq", "show", second["id"])["details"]["body"] == '{"n": 2}'
    assert cloud.json("dlq", "redrive", first["id"], "--yes")["done"] == 1
    assert cloud.json("dlq", "drop", "--reason", "broken", "--yes")["done"] == 1
    assert (row(cloud, "jobs").active, row(cloud, "jobs").dead) == (1, 0)
    assert cloud.json("queue", "purge", "jobs", "--yes")["purged"] == 1


def test_a_redrive_that_is_killed_loses_and_doubles_nothing(cloud: Project) -> None:
    """SIGKILL of the command in the middle; its locks run out, and the next one goes on."""
    with client(cloud) as found, found.get_queue_receiver("jobs") as receiver:
        with found.get_queue_sender("jobs") as sender:
            sender.send_messages([ServiceBusMessage(str(number)) for number in range(LETTERS)])
        left = LETTERS
        while left:
            for message in receiver.receive_messages(left, max_wait_time=10):
                receiver.dead_letter_message(message, reason="Broken")
                left -= 1
    command = [str(cloud.root / "millrace"), "dlq", "redrive", "--yes", "--rate", "50"]
    with subprocess.Popen(command, cwd=cloud.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        asyncio.run(until(lambda: row(cloud, "jobs").active >= LETTERS // 4, limit_s=60))
        (python,) = [pid for pid in descendants(process.pid) if pid != process.pid] or [process.pid]
        os.kill(python, signal.SIGKILL)
    assert 0 < row(cloud, "jobs").dead < LETTERS

    def emptied() -> bool:
        cloud.json("dlq", "redrive", "--yes")
        return int(row(cloud, "jobs").dead) == 0

    asyncio.run(until(emptied, limit_s=60))
    found_again = [int(body) for body in bodies(cloud, "jobs", "--limit", "10000")]
    assert sorted(found_again) == list(range(LETTERS))
    assert cloud.json("queue", "purge", "jobs", "--yes")["purged"] == LETTERS


def test_a_killed_supervisor_keeps_what_was_acknowledged(cloud: Project) -> None:
    send(cloud, "jobs", "kept")
    before = cloud.json("status")["endpoints"]["servicebus"]
    pid = min(cloud.processes())
    os.kill(pid, signal.SIGKILL)
    counts = cloud.up("--no-sample")["resources"]
    assert (counts["created"], counts["updated"], counts["deleted"]) == (0, 0, 0)
    assert cloud.json("status")["endpoints"]["servicebus"] == before
    assert bodies(cloud, "jobs") == ["kept"]


def test_what_nobody_can_change_makes_another_queue(cloud: Project) -> None:
    cloud.edit(
        "stacks/log_ingest.py", 'consumer="operator", max_delivery_count=3', 'consumer="operator", sessions=True'
    )
    cloud.up("--no-sample")
    assert cloud.json("status")["problems"] == {}
    send(cloud, "jobs", "in order", session_id="s")
    assert bodies(cloud, "jobs", "--session", "s") == ["in order"]  # and what lay in the other one is gone


def test_what_is_taken_out_of_the_program_is_gone(cloud: Project) -> None:
    cloud.edit("stacks/log_ingest.py", BUS.replace("max_delivery_count=3", "sessions=True", 1), "")
    cloud.edit("stacks/log_ingest.py", IMPORTS, "")
    assert cloud.up("--no-sample")["resources"]["deleted"] > 5
    status = cloud.json("status")
    assert "servicebus" not in status["endpoints"]
    assert not [one for one in status["queues"] if one["kind"] == "bus"]
    assert list((cloud.home / "cloud" / "service_bus").iterdir()) == []
