from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from localcloud.host.functions import FunctionsHost
from localcloud.host.queues import QueueOptions, seconds
from localcloud.host.spec import AppSpec, HostError, LogLine
from tests.integration.host.queue_server import Message, QueueServer
from tests.integration.host.waiting import until

Make = Callable[..., AppSpec]


@pytest.fixture
def reader(spec: Make, packages: dict[str, Path], tmp_path: Path) -> Callable[..., AppSpec]:
    """A spec whose package has other queue options."""

    def make(server: QueueServer, **options: Any) -> AppSpec:
        changes = {name: options.pop(name) for name in ("grace_s", "max_instances") if name in options}
        package = shutil.copytree(packages["reader"], tmp_path / "reader")
        document = json.loads((package / "host.json").read_text())
        document["extensions"]["queues"] |= {"maxPollingInterval": "00:00:00.2000000"} | options
        (package / "host.json").write_text(json.dumps(document))
        address = {"WORDS__queueServiceUri": server.address}
        return spec("reader", settings=address, package=package, **changes)

    return make


@asynccontextmanager
async def running(spec: AppSpec, server: QueueServer, lines: list[LogLine]) -> AsyncIterator[FunctionsHost]:
    host = FunctionsHost(spec, on_line=lines.append, queue_access=server)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


def bodies(lines: list[LogLine]) -> list[str]:
    return [line.fields["body"] for line in lines if line.fields and line.event == "message"]


async def test_each_message_is_run_once_and_deleted(reader: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = [Message(f"word <{number}>") for number in range(40)]
        async with running(reader(server, batchSize=4, newBatchThreshold=2), server, lines) as host:
            await until(lambda: not server.queues["words"] and host.in_flight == 0)
            results = host.results("read")
    assert sorted(bodies(lines)) == sorted(f"word <{number}>" for number in range(40))
    assert {result.cause for result in results} == {"queue"}
    assert server.most <= 6  # batch size and threshold


async def test_a_function_may_leave_its_last_line_unended(reader: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = [Message("half a line")]
        async with running(reader(server), server, lines) as host:
            await until(lambda: not server.queues["words"] and host.in_flight == 0)
            assert [result.outcome for result in host.results("read")] == ["returned"]
    assert lines[-1].text == "half"


async def test_a_message_that_keeps_failing_goes_to_the_poison_queue(reader: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = [Message("bad"), Message("good")]
        async with running(reader(server, maxDequeueCount=3), server, lines) as host:
            await until(lambda: not server.queues["words"])
            assert host.status().functions[0].failures == 3
    assert [message.body for message in server.queues["words-poison"]] == ["bad"]
    tries = [line.fields["tries"] for line in lines if line.fields and line.fields.get("body") == "bad"]
    assert tries == [1, 2, 3]


async def test_a_message_whose_last_try_ended_with_its_process_is_not_tried_again(reader: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = [Message("killer", tries=5)]
        async with running(reader(server), server, lines):
            await until(lambda: not server.queues["words"])
    assert [message.body for message in server.queues["words-poison"]] == ["killer"]
    assert bodies(lines) == []


async def test_base64_is_taken_off_and_what_is_not_base64_is_poison(reader: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = [Message(base64.b64encode("grüße".encode()).decode()), Message("plain!")]
        async with running(reader(server, messageEncoding="base64"), server, lines):
            await until(lambda: not server.queues["words"])
    assert bodies(lines) == ["grüße"]
    assert [message.body for message in server.queues["words-poison"]] == ["plain!"]


async def test_a_message_in_hand_when_the_host_stops_is_given_back(reader: Make) -> None:
    async with QueueServer() as server:
        server.queues["words"] = [Message("slow")]
        host = FunctionsHost(reader(server, grace_s=0.2), on_line=lambda _: None, queue_access=server)
        await host.start()
        await until(lambda: host.in_flight == 1)
        await host.stop()
        (message,) = server.queues["words"]
        assert message.visible <= time.time()
        assert [result.outcome for result in host.results("read")] == ["crashed"]


async def test_a_backlog_adds_instances_up_to_the_limit(reader: Make) -> None:
    async with QueueServer() as server:
        server.queues["words"] = [Message("slow") for _ in range(12)]
        made = reader(server, max_instances=2, batchSize=1, newBatchThreshold=0)
        async with running(made, server, []) as host:
            await until(lambda: len(host.status().instances) == 2)
            await until(lambda: host.in_flight == 2)
            assert server.most == 2


async def test_an_empty_queue_is_asked_less_and_less_often(reader: Make) -> None:
    async with QueueServer() as server:
        server.queues["words"] = []
        made = reader(server, maxPollingInterval="00:01:00")
        async with running(made, server, []):
            await until(lambda: server.looks == 3)  # at 0, 0.1 and 0.3 s: the fourth comes at 0.7 s
            looks = server.looks
    assert looks == 3


async def test_a_queue_that_does_not_exist_is_said_and_waited_for(reader: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server, running(reader(server), server, lines):
        await until(lambda: any("words: cannot be read" in line.text for line in lines))
        server.queues["words"] = [Message("late")]
        await until(lambda: bodies(lines) == ["late"])


async def test_a_trigger_without_its_connection_is_refused(spec: Make) -> None:
    async with QueueServer() as server:
        host = FunctionsHost(spec("reader"), on_line=lambda _: None, queue_access=server)
        with pytest.raises(HostError, match=r'function "read": the app setting WORDS__queueServiceUri must hold'):
            await host.start()
    assert host.status().instances == []


async def test_fire_gives_a_queue_function_its_message(reader: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = []
        async with running(reader(server), server, lines) as host:
            assert (await host.fire("read", "by hand")).ok
            with pytest.raises(HostError, match=r'got "gone"; choose one of: read'):
                await host.fire("gone")
    assert bodies(lines) == ["by hand"]


@pytest.mark.parametrize("text", ["5 minutes", "5", "00:5", ""])
def test_a_time_span_is_read_or_refused(text: str) -> None:
    assert (seconds("1.02:03:04.5000000"), seconds("00:05:00")) == (93784.5, 300)
    with pytest.raises(HostError, match="time span"):
        seconds(text)


@pytest.mark.parametrize("queues", [{"batchSize": 33}, {"batchSize": 0}, {"messageEncoding": "utf-8"}])
def test_queue_options_that_the_platform_refuses_are_refused(queues: dict[str, Any]) -> None:
    with pytest.raises(HostError, match=r"host.json: .* must be"):
        QueueOptions.of({"extensions": {"queues": queues}})
