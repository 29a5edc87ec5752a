"""A timer, two queues, two apps: they sleep, one message wakes them one after the other, and it is all one trace."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.supervisor.shapes import CloudStatus, Fire
from tests.e2e.project import Project
from tests.integration.host.waiting import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the local cloud's end-to-end tests run on Linux"),
    pytest.mark.timeout(240),
]
QUEUES = """
    first, second = (Queue(name, QueueArgs(account=data)) for name in ("first-hop", "second-hop"))
    FunctionWorker(
        "relay",
        FunctionWorkerArgs(
            group=group, foundation=base, system=system.name, uses=[second.send()],
            steps=[On(first, run="handlers.log_ingest.relay")],
        ),
        opts=system.child,
    )
"""
HANDLER = '''"""A step of the test's own."""

import msgspec

from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.clients.storage_queue import StorageQueue
from core.messages.envelope import pack
from core.messages.ticks import TimerTick
from core.runtime.context import Context
from core.runtime.outcome import Done, Outcome
from core.runtime.settings import ca_file, identity_endpoint


class Hop(msgspec.Struct):
    n: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    azure_client_id: str
    {prefix}_queue_endpoint: str
    {prefix}_queue_name: str


def connect(settings: Settings) -> StorageQueue:
    endpoint, header = identity_endpoint()
    http = Http(ca_file=ca_file())
    identity = ManagedIdentity(http, endpoint=endpoint, header=header, client_id=settings.azure_client_id)
    return StorageQueue(
        identity, endpoint=settings.{prefix}_queue_endpoint, name=settings.{prefix}_queue_name, ca_file=ca_file()
    )


def handle(message: {kind}, context: Context[StorageQueue]) -> Outcome:
    context.log.info("sending", of=context.message_id)
    context.clients.send(pack(Hop(1), id=f"{prefix}-1", traceparent=context.traceparent))
    return Done()
'''
LAST = '''"""The last step."""

import msgspec

from core.runtime.context import Context
from core.runtime.outcome import Done, Outcome


class Hop(msgspec.Struct):
    n: int


def handle(hop: Hop, context: Context[None]) -> Outcome:
    context.log.info("arrived", of=context.message_id, n=hop.n)
    return Done()
'''


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("chain") / "project")
    stack = "stacks/log_ingest.py"
    declared = '    failed = Container("failed", ContainerArgs(account=data), opts=system.child)\n'
    project.override(schedule="0 0 0 1 1 *")  # the local one lets nobody sleep
    project.edit(stack, declared, declared + QUEUES)
    steps = 'steps=[Every(settings.schedule, run="handlers.log_ingest.ingest")'
    begin = 'Every("0 0 0 1 1 *", run="handlers.log_ingest.begin"), On(second, run="handlers.log_ingest.last")'
    project.edit(stack, steps, f"{steps}, {begin}")
    project.edit(stack, "uses=[source.consume(),", "uses=[first.send(), source.consume(),")
    project.edit(stack, "import Every\n", "import Every, On\n")
    queue = "from components.storage.queue import Queue, QueueArgs\n"
    project.edit(stack, "from components.system", f"{queue}from components.system")
    handlers = project.root / "handlers" / "log_ingest"
    (handlers / "begin.py").write_text(HANDLER.replace("{prefix}", "first_hop").replace("{kind}", "TimerTick"))
    (handlers / "relay.py").write_text(HANDLER.replace("{prefix}", "second_hop").replace("{kind}", "Hop"))
    (handlers / "last.py").write_text(LAST)
    try:
        project.up("--no-sample")
        fire(project, "ingest")  # takes S3's test event
        yield project
    finally:
        project.down()


def asleep(status: CloudStatus) -> bool:
    return not any(app.instances for app in status.apps)


def fire(cloud: Project, function: str) -> None:
    (app,) = [one.name for one in cloud.stack.status().apps if one.name.startswith("log-ingest")]
    cloud.stack.require().call("POST", "/fire", Fire(app=app, function=function), object)
    cloud.settle()


def traced(cloud: Project) -> dict[str, Any]:
    lines = cloud.json("logs", "--lines", "200")["lines"]
    begun = [line["fields"]["trace_id"] for line in lines if line["event"] == "sending" and line["function"] == "begin"]
    found: dict[str, Any] = cloud.json("logs", "--trace", begun[-1][:12])
    assert found["trace_id"] == begun[-1]
    return found


def test_a_message_wakes_app_after_app_in_one_trace(cloud: Project) -> None:
    asyncio.run(until(lambda: asleep(cloud.stack.status()), limit_s=60))
    table = cloud.run("status").stdout
    assert "asleep" in table
    assert "in trouble" not in table
    fire(cloud, "begin")
    found = traced(cloud)
    spans = [(one["depth"], one["function"], one["outcome"]) for one in found["spans"]]
    assert spans == [(0, "begin", "done"), (1, "relay", "done"), (2, "last", "done")]
    assert len({one["app"] for one in found["spans"]}) == 2
    arrived = [line["fields"] for line in found["spans"][2]["lines"] if line["event"] == "arrived"]
    assert [(one["of"], one["n"]) for one in arrived] == [("second_hop-1", 1)]
    offsets = [one["offset_s"] for one in found["spans"]]
    assert offsets == sorted(offsets)
    text = cloud.run("logs", "--trace", found["trace_id"]).stdout
    assert text.splitlines()[0].endswith(f"3 invocations in 2 apps, {found['seconds']:.3f} s")
    unknown = cloud.run("logs", "--trace", "f" * 32)
    assert (unknown.returncode, "got no line of it" in unknown.stderr) == (1, True)


def test_after_down_and_up_a_sleeping_app_is_woken_just_so(cloud: Project) -> None:
    cloud.json("down")
    cloud.up("--no-sample")
    (relay,) = [app for app in cloud.stack.status().apps if app.name.startswith("relay")]
    assert (relay.instances, len(relay.functions)) == ([], 1), "it need not be started to be known"
    fire(cloud, "begin")
    assert [one["function"] for one in traced(cloud)["spans"]] == ["begin", "relay", "last"]
