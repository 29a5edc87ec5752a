"""An app without work has no process; a message, a timer or a hand wakes it; much work gets it several."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from localcloud.host.functions import FunctionsHost
from localcloud.host.spec import AppSpec, LogLine
from tests.integration.host.queue_server import Message, QueueServer
from tests.integration.host.waiting import until

Make = Callable[..., AppSpec]


@pytest.fixture
def sleeper(spec: Make, packages: dict[str, Path], tmp_path: Path) -> Callable[..., AppSpec]:
    """An app that may sleep at once; a queue is looked at every minute, so that only the bell can be quick."""

    def make(server: QueueServer, *, poll: str = "00:01:00", **changes: Any) -> AppSpec:
        package = tmp_path / "reader"
        if not package.exists():
            shutil.copytree(packages["reader"], package)
        document = json.loads((package / "host.json").read_text())
        document["extensions"]["queues"] |= {"maxPollingInterval": poll, "batchSize": 1, "newBatchThreshold": 0}
        (package / "host.json").write_text(json.dumps(document))
        address = {"WORDS__queueServiceUri": server.address}
        defaults = {"instances": 0, "max_instances": 3, "idle_s": 0.2}
        return spec("reader", settings=address, package=package, **defaults | changes)

    return make


@asynccontextmanager
async def running(spec: AppSpec, server: QueueServer, lines: list[LogLine]) -> AsyncIterator[FunctionsHost]:
    host = FunctionsHost(spec, on_line=lines.append, queue_access=server)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


def alive(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


async def asleep(host: FunctionsHost) -> None:
    await until(lambda: not host.status().instances)


async def test_an_idle_app_ends_its_process_and_a_message_wakes_it(sleeper: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = []
        async with running(sleeper(server), server, lines) as host:
            pid = host.status().instances[0].pid
            await asleep(host)
            await until(lambda: not alive(pid))
            assert host.status().problem == ""
            await until(lambda: server.looks >= 3)  # the next look is far away
            server.queues["words"].append(Message("hello"))
            server.ring("words")
            await until(lambda: not server.queues["words"], limit_s=10)
            await asleep(host)
    assert [line.fields["body"] for line in lines if line.fields and line.event == "message"] == ["hello"]


async def test_without_a_bell_the_next_look_finds_it(sleeper: Make) -> None:
    async with QueueServer() as server:
        server.queues["words"] = []
        async with running(sleeper(server, poll="00:00:00.2000000"), server, []) as host:
            await asleep(host)
            server.queues["words"].append(Message("hello"))
            await until(lambda: not server.queues["words"], limit_s=10)


async def test_it_grows_with_its_backlog_and_sleeps_again(sleeper: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = []
        async with running(sleeper(server, idle_s=1), server, lines) as host:
            await asleep(host)
            server.queues["words"] += [Message("slow") for _ in range(9)]
            server.ring("words")
            await until(lambda: host.in_flight == 3, limit_s=30)
            assert len(host.status().instances) == 3
            assert server.most == 3
            await until(lambda: not server.queues["words"], limit_s=30)
            await asleep(host)
    taken = [line.fields["id"] for line in lines if line.fields and line.event == "message"]
    assert len(set(taken)) == len(taken) == 9
    assert {line.pid for line in lines if line.event == "message"} != {lines[0].pid}


async def test_a_known_package_is_not_started_to_be_known_again(sleeper: Make) -> None:
    async with QueueServer() as server:
        server.queues["words"] = []
        async with running(sleeper(server), server, []) as host:
            functions = [one.name for one in host.status().functions]
        async with running(sleeper(server), server, []) as host:
            assert (host.status().instances, [one.name for one in host.status().functions]) == ([], functions)
            server.queues["words"].append(Message("hello"))
            server.ring("words")
            await until(lambda: not server.queues["words"], limit_s=10)


async def test_a_timer_wakes_it_and_runs_alone(spec: Make) -> None:
    made = spec(settings={"TICK_SCHEDULE": "*/2 * * * * *"}, instances=0, max_instances=3, idle_s=0.1)
    host = FunctionsHost(made, on_line=lambda _: None)
    await host.start()
    try:
        await asleep(host)
        runs = host.status().functions[0].runs
        await until(lambda: host.status().functions[0].runs >= runs + 2, limit_s=20)
        results = host.results("tick")
        assert {result.ok for result in results} == {True}
        assert len({result.pid for result in results}) == len(results), "each run woke the app anew"
    finally:
        await host.stop()


async def test_fire_wakes_it_and_its_run_is_counted_at_once(spec: Make) -> None:
    host = FunctionsHost(spec(instances=0, idle_s=0.1), on_line=lambda _: None)
    await host.start()
    try:
        await asleep(host)
        runs = [asyncio.ensure_future(host.fire("tick")) for _ in range(2)]
        await until(lambda: host.in_flight == 1)
        assert [result.ok for result in await asyncio.gather(*runs)] == [True, True]
        assert len({result.pid for result in host.results("tick")}) == 1
    finally:
        await host.stop()


async def test_an_app_that_can_no_longer_start_says_so_and_keeps_its_message(sleeper: Make) -> None:
    lines: list[LogLine] = []
    async with QueueServer() as server:
        server.queues["words"] = []
        made = sleeper(server)
        async with running(made, server, lines) as host:
            await asleep(host)
            entry = made.package / "function_app.py"
            good = entry.read_text()
            entry.write_text("raise ImportError('a file is gone')\n")
            server.queues["words"].append(Message("hello"))
            server.ring("words")
            await until(lambda: "a file is gone" in host.status().problem)
            assert len(server.queues["words"]) == 1
            assert any("a file is gone" in line.text for line in lines)
            assert (await host.fire("read", "x")).outcome == "crashed"
            entry.write_text(good)
            await until(lambda: not server.queues["words"], limit_s=20)
            assert host.status().problem == ""


async def test_a_look_under_way_when_the_host_stops_loses_no_message(sleeper: Make) -> None:
    """What a listener is just taking as it is told to stop is visible again at once, not after ten minutes."""
    async with QueueServer() as server:
        server.queues["words"] = []
        server.answer_after_s = 0.3
        host = FunctionsHost(sleeper(server, poll="00:00:00.1000000"), on_line=lambda _: None, queue_access=server)
        await host.start()
        looks = server.looks
        server.queues["words"].append(Message("hello"))
        await until(lambda: server.looks > looks and server.queues["words"][0].tries == 1)
        await host.stop()
        left = server.queues["words"]
        assert not left or left[0].visible <= time.time()


async def test_short_runs_between_two_looks_keep_it_awake(spec: Make) -> None:
    made = spec(settings={"TICK_SCHEDULE": "* * * * * *"}, instances=0, idle_s=3)
    host = FunctionsHost(made, on_line=lambda _: None)
    await host.start()
    try:
        await until(lambda: host.status().functions[0].runs >= 5, limit_s=30)
        assert len({result.pid for result in host.results("tick")}) == 1
    finally:
        await host.stop()
