"""Packages of steps on Service Bus: what they hold, and that Microsoft's worker binds and runs them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.packaging.archive import unpack
from components.packaging.builder import build, plan
from components.packaging.errors import PackageError
from components.packaging.manifest import App, Function, QueueTrigger
from components.packaging.target import Target
from tests.contract.packages.project import REPOSITORY
from tests.integration.host.bus.demo import HANDLERS, app

HEADERS = {"version": 1, "traceparent": f"00-{'3' * 32}-{'4' * 16}-01", "attempt": 2}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in HANDLERS.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    pins = (REPOSITORY / "handlers/requirements.txt").read_text()
    (tmp_path / "project/handlers/requirements.txt").write_text(pins)
    return tmp_path / "project"


def unpacked(root: Path, one: App) -> Path:
    built = build(plan(one, root=root, target=Target.local()), root / "out", progress=lambda _: None)
    return unpack(built.path, root / "package")


def test_only_a_package_with_such_a_trigger_holds_the_sdk(root: Path) -> None:
    storage = Function(name="work", run="handlers.demo.work", trigger=QueueTrigger(queue="jobs", connection="JOBS"))
    without = plan(App(name="a", system="s", functions=(storage,)), root=root, target=Target.local())
    held = plan(app(), root=root, target=Target.local())
    assert "azure-servicebus" not in {one.name for one in without.distributions}
    assert not [name for name in without.contents if "bus" in name]
    assert "azure-servicebus" in {one.name for one in held.distributions}
    assert {"core/runtime/bus_functions.py", "core/clients/bus_sender.py"} <= held.contents.keys()
    assert not {"core/runtime/receiver.py", "core/runtime/bus_hand.py"} & held.contents.keys()  # a container's
    assert "bus" not in without.manifest


def test_the_manifest_says_what_triggers_and_how_a_container_receives(root: Path) -> None:
    manifest = plan(app(sessions=True, topic=True, prefetch_count=3), root=root, target=Target.local()).manifest
    assert manifest["functions"][0]["trigger"] == {
        "type": "bus_subscription",
        "topic": "events",
        "subscription": "work",
        "connection": "JOBS",
        "sessions": True,
        "batch": False,
    }
    assert manifest["bus"]["prefetch_count"] == 3


def test_a_handler_of_one_message_is_no_handler_of_a_batch(root: Path) -> None:
    (root / "handlers/demo/many.py").write_text(HANDLERS["handlers/demo/work.py"])
    with pytest.raises(PackageError, match=r"handlers.demo.many: handle must take a list of messages \(list\[Job\]\)"):
        unpacked(root, app(batch=True))


def body(do: str) -> str:
    return base64.b64encode(json.dumps({"do": do}).encode()).decode()


def test_microsofts_worker_runs_a_message(root: Path, real_worker: Callable[..., dict[str, Any]]) -> None:
    metadata = {
        "MessageId": ["string", "7"], "Subject": ["string", "Job"], "DeliveryCount": ["json", "2"],
        "ApplicationProperties": ["json", json.dumps(HEADERS)], "UserProperties": ["json", json.dumps(HEADERS)],
    }  # fmt: skip
    calls = [{"function": "work", "type": "bytes", "data": body(do), "metadata": metadata} for do in ("done", "raise")]
    answer = real_worker(unpacked(root, app(sessions=True)), calls)
    assert answer["init"] is None
    binding = answer["functions"][0]["bindings"][0]
    assert {name: binding[name] for name in ("type", "queueName", "connection", "isSessionsEnabled", "dataType")} == {
        "type": "serviceBusTrigger", "queueName": "jobs", "connection": "JOBS", "isSessionsEnabled": True,
        "dataType": "BINARY",
    }  # fmt: skip
    assert answer["invocations"] == [None, "NotDone: ValueError: a bug"]
    assert f'"trace_id":"{"3" * 32}","do":"done"' in answer["output"]
    assert '"attempt":3' in answer["output"]  # sends and deliveries together


def test_microsofts_worker_runs_a_batch(root: Path, real_worker: Callable[..., dict[str, Any]]) -> None:
    metadata = {
        "MessageIdArray": ["json", '["1", "2"]'], "SubjectArray": ["json", '["Job", "Job"]'],
        "ApplicationPropertiesArray": ["json", json.dumps([HEADERS, HEADERS])],
        "UserPropertiesArray": ["json", json.dumps([HEADERS, HEADERS])], "DeliveryCountArray": ["json", "[1, 1]"],
    }  # fmt: skip
    call = {"function": "many", "type": "collection_bytes", "data": [body("a"), body("b")], "metadata": metadata}
    answer = real_worker(unpacked(root, app(batch=True, topic=True)), [call])
    binding = answer["functions"][0]["bindings"][0]
    assert (binding["topicName"], binding["subscriptionName"], binding["cardinality"]) == ("events", "work", "MANY")
    assert answer["invocations"] == [None]
    assert '"does":["a","b"]' in answer["output"]
