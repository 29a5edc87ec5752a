"""A step on Service Bus: its trigger, host.json, settings, roles and alerts follow from the declaration."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.messaging.namespace import Namespace, NamespaceArgs
from components.messaging.queue import Queue, QueueArgs
from components.messaging.subscription import Subscription, SubscriptionArgs
from components.messaging.topic import Topic, TopicArgs
from components.packaging.declaration import load
from components.packaging.manifest import BusOptions, BusQueueTrigger, BusSubscriptionTrigger
from components.storage.queue import Queue as StorageQueue
from components.storage.queue import QueueArgs as StorageQueueArgs
from components.workers.function_worker import FunctionWorker, FunctionWorkerArgs
from components.workers.steps import On
from localcloud.engine.embedded import ProgramError
from tests.components.program import Base, Declared, declare, project

HANDLERS: dict[str, list[str]] = {"demo.work": [], "demo.audit": [], "demo.old": []}
HOST = "bus-test-eefa8.servicebus.windows.net"
Steps = Callable[["Parts"], list[On]]


class Parts(Base):
    """What a worker of these tests can be triggered by."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        args = NamespaceArgs(group=self.group, foundation=self.foundation)
        self.bus = Namespace("bus", args, opts=self.system.child)
        self.events = Topic("events", TopicArgs(namespace=self.bus))

    def queue(self, name: str = "jobs", **more: Any) -> Queue:
        return Queue(name, QueueArgs(namespace=self.bus, **more))

    def subscription(self, name: str = "audit", **more: Any) -> Subscription:
        return Subscription(name, SubscriptionArgs(topic=self.events, **more))

    def storage(self, name: str = "jobs") -> StorageQueue:
        return StorageQueue(name, StorageQueueArgs(account=self.account), opts=self.system.child)


def worker(root: Path, steps: Steps, **more: Any) -> Declared:
    def main() -> None:
        parts = Parts(project(root, HANDLERS))
        common: dict[str, Any] = {"group": parts.group, "foundation": parts.foundation, "system": "demo"}
        args = FunctionWorkerArgs(steps=steps(parts), **common, **more)
        FunctionWorker("demo", args, opts=parts.system.child)

    return declare(main)


def both(parts: Parts) -> list[On]:
    return [
        On(parts.queue(sessions=True), run="handlers.demo.work"),
        On(parts.subscription(), run="handlers.demo.audit", batch=True),
        On(parts.storage(), run="handlers.demo.old"),
    ]


def test_the_package_is_declared_with_its_triggers_and_options(tmp_path: Path) -> None:
    found = worker(tmp_path, both, bus=BusOptions(max_concurrent_sessions=3))
    app = load(found.one("Package").inputs["declaration"])
    triggers = {one.name: one.trigger for one in app.functions}
    assert triggers["work"] == BusQueueTrigger(queue="jobs", connection="JOBS", sessions=True)
    assert triggers["audit"] == BusSubscriptionTrigger(
        topic="events", subscription="audit", connection="EVENTS_AUDIT", batch=True
    )
    assert app.bus.max_concurrent_sessions == 3
    assert app.modules == ("core.runtime.bus_functions",)


def test_settings_say_where_and_as_whom(tmp_path: Path) -> None:
    found = worker(tmp_path, both)
    listed = found.one("web:WebApp").inputs["siteConfig"]["appSettings"]
    settings = {one["name"]: one["value"] for one in listed}
    assert {
        name: settings[name] for name in settings if name.startswith("EVENTS_AUDIT") and "clientId" not in name
    } == {
        "EVENTS_AUDIT__fullyQualifiedNamespace": HOST,
        "EVENTS_AUDIT__credential": "managedidentity",
        "EVENTS_AUDIT_DEAD_LETTER_QUEUE": "events-audit-dead",
    }
    assert settings["JOBS_DEAD_LETTER_QUEUE"] == "jobs-dead"
    assert settings["JOBS__queueServiceUri"].startswith("https://")  # a storage queue of the same name has its own


def test_the_dead_queue_is_watched_and_no_storage_queue_is_thought_of(tmp_path: Path) -> None:
    def only_bus(parts: Parts) -> list[On]:
        return [On(parts.queue(), run="handlers.demo.work"), On(parts.subscription(), run="handlers.demo.audit")]

    assert not [one for one in worker(tmp_path, only_bus).custom if "poison" in one.name]


REFUSED: dict[str, tuple[Steps, str]] = {
    "batch of a storage queue": (
        lambda parts: [On(parts.storage(), run="handlers.demo.work", batch=True)],
        "batch=True must be of Service Bus: a storage queue's trigger hands over one message a call, got storage queue",
    ),
    "nowhere to give up to": (
        lambda parts: [On(parts.queue(dead_letter_queue=False), run="handlers.demo.work")],
        'queue "jobs" must have a place for what the step gives up, got dead_letter_queue=False; take',
    ),
    "forwarded on": (
        lambda parts: [On(parts.queue(forward_to=parts.queue("next")), run="handlers.demo.work")],
        "a trigger must be of something that keeps its messages",
    ),
    "somebody else's": (
        lambda parts: [On(parts.subscription(consumer="external"), run="handlers.demo.audit")],
        'subscription "events-audit" must be declared with consumer="step" to trigger a step, got consumer=',
    ),
    "two steps on one": (
        lambda parts: [
            On(one, run=run) for one in [parts.subscription()] for run in ("handlers.demo.work", "handlers.demo.old")
        ],
        'subscription "events-audit" must trigger one step, got work and old; give each step a subscription of its own',
    ),
    "a topic": (
        lambda parts: [On(parts.events, run="handlers.demo.work")],  # type: ignore[arg-type]
        r"On\(…\) must be given a declared queue or subscription, got",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_right_is_refused_with_the_change_to_make(tmp_path: Path, case: str) -> None:
    steps, message = REFUSED[case]
    with pytest.raises(ProgramError, match=message):
        worker(tmp_path, steps)


@pytest.mark.parametrize(
    ("options", "message"), [({"max_concurrent_calls": 0}, "max_concurrent_calls must be 1 or more")]
)
def test_options_that_the_host_would_refuse_are_refused(tmp_path: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(ProgramError, match=f"{message}, got 0; set max_concurrent_calls=16"):
        worker(tmp_path, both, bus=BusOptions(**options))


def test_an_app_without_service_bus_is_declared_as_ever(tmp_path: Path) -> None:
    """Its text is an input of its package's resource: a new kind of trigger changes nobody's but its own."""
    found = worker(tmp_path, lambda parts: [On(parts.storage(), run="handlers.demo.old")])
    assert "bus" not in json.loads(found.one("Package").inputs["declaration"])
