"""What only the Functions host does: sleeps, wakes, adds instances, survives a killed one, runs a function by hand."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.messages.envelope import BusMessage
from localcloud.emulators.service_bus.broker.options import QueueOptions, SubscriptionOptions, TopicOptions
from localcloud.host.bus_triggers import options_of
from localcloud.host.spec import HostError
from tests.integration.host.bus.test_both import TRACE, job, send
from tests.integration.host.bus.world import World
from tests.integration.host.waiting import until


@pytest.mark.parametrize("sessions", [False, True])
async def test_a_sleeping_app_is_woken_by_a_message_and_not_by_one_for_later(
    world: World, package: Any, sessions: bool
) -> None:
    async with world:
        world.queue(requires_session=sessions)
        shape = {"sessions": True, "session_idle_timeout_s": 1} if sessions else {}
        async with world.functions(package(**shape), instances=0, idle_s=2) as host:
            await until(lambda: not host.status().instances)
            sender, later = world.sender(), datetime.now(UTC) + timedelta(hours=1)
            number = await asyncio.to_thread(sender.schedule, job("done", 9, session_id="s"), later)
            await asyncio.to_thread(sender.send, job("done", 1, session_id="s"))
            await until(lambda: len(world.events("invocation")) == 1)
            await until(lambda: not host.status().instances, limit_s=30)
            await asyncio.to_thread(sender.cancel, number)
            await asyncio.to_thread(sender.send, job("done", 2, session_id="s"))
            await until(lambda: len(world.events("invocation")) == 2 and world.active() == 0)
            await asyncio.to_thread(sender.close)
    assert [(one["n"], one["attempt"]) for one in world.events("began")] == [(1, 1), (2, 1)]


async def test_a_backlog_adds_instances_and_each_takes_no_more_than_its_calls(world: World, package: Any) -> None:
    async with world:
        world.queue()
        await send(world, *(job("slow", 1, id=str(number)) for number in range(12)))
        async with world.functions(package(max_concurrent_calls=2), max_instances=2) as host:
            await until(lambda: len(host.status().instances) == 2)
            await until(lambda: world.active() == 0)
    now: dict[str, int] = {}
    for line in world.lines:
        if line.event in {"began", "ended"}:
            now[str(line.pid)] = now.get(str(line.pid), 0) + (1 if line.event == "began" else -1)
            assert now[str(line.pid)] <= 2
    assert len(now) == 2


async def test_a_message_whose_instance_is_killed_comes_again(world: World, package: Any) -> None:
    async with world:
        world.queue()
        await send(world, job("kill"))
        async with world.functions(package()):
            await until(lambda: len(world.events("began")) == 2)
            await until(lambda: world.active() == 0)
    assert [one["attempt"] for one in world.events("began")] == [1, 2]


async def test_a_topics_subscription_and_a_message_of_somebody_else(world: World, package: Any) -> None:
    async with world:
        world.service.create_topic("events", TopicOptions())
        world.service.create_subscription("events", "work", SubscriptionOptions())
        world.service.create_queue("jobs-dead", QueueOptions())
        world.grant()
        plain = BusMessage(body=b'{"do": "done"}', id="theirs", properties={"Diagnostic-Id": TRACE, "kind": "x"})
        await send(world, job("done", 1), plain, topic="events")
        async with world.functions(package(topic=True)):
            await until(lambda: len(world.events("invocation")) == 2)
            await until(lambda: world.active("events/subscriptions/work") == 0)
    assert sorted(one["id"] for one in world.events("began")) == ["done-1", "theirs"]
    assert {one["trace_id"] for one in world.events("invocation")} == {TRACE[3:35]}


@pytest.mark.parametrize("batch", [False, True])
async def test_a_function_is_run_by_hand(world: World, package: Any, batch: bool) -> None:
    async with world:
        world.queue()
        async with world.functions(package(batch=batch)) as host:
            result = await host.fire("many" if batch else "work", '{"do": "done"}')
            assert (result.ok, result.outcome, result.cause) == (True, "done", "admin")
            with pytest.raises(HostError, match=r"must have the function, got \"no\""):
                await host.fire("no")


async def test_what_cannot_be_put_aside_is_tried_again_and_given_up_by_the_broker(world: World, package: Any) -> None:
    async with world:
        world.queue(max_delivery_count=2)
        world.rights["client-of-the-app"].discard(("jobs-dead", "send"))
        await send(world, job("dead"))
        async with world.functions(package()):
            await until(lambda: world.dead() == 1, limit_s=40)
        assert world.active("jobs-dead") == 0
        (kept,) = await world.peek("jobs", dead=True)
    assert kept.dead_letter_reason == "MaxDeliveryCountExceeded"
    refused = world.events("not put aside")
    assert len(refused) == 2
    assert all(one["reason"].startswith("Denied: jobs-dead: send") for one in refused), refused


def host_json(**settings: Any) -> dict[str, Any]:
    return {"extensions": {"serviceBus": settings}}


def test_host_json_is_read_with_the_platforms_defaults() -> None:
    assert options_of({}) == options_of(host_json())
    assert (options_of({}).max_concurrent_calls, options_of({}).max_auto_lock_renewal_s) == (16, 300)
    assert options_of(host_json(sessionIdleTimeout="00:00:10")).session_idle_timeout_s == 10


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"maxConcurrentCalls": 0}, r"maxConcurrentCalls must be 1 or more, got 0"),
        ({"maxMessageBatchSize": "x"}, r"maxMessageBatchSize must be 1 or more, got 'x'"),
        ({"autoCompleteMessages": False}, r"autoCompleteMessages must be true"),
        ({"sessionIdleTimeout": "10"}, r"a time span must be written"),
    ],
)
def test_what_the_platform_would_refuse_is_refused(settings: dict[str, Any], error: str) -> None:
    with pytest.raises(HostError, match=error):
        options_of(host_json(**settings))


async def test_a_trigger_without_its_setting_says_which(world: World, package: Any, tmp_path: Path) -> None:
    async with world:
        package_here = shutil.copytree(package(), tmp_path / "elsewhere")
        manifest = json.loads((package_here / "manifest.json").read_text())
        manifest["functions"][0]["trigger"]["connection"] = "NOBODY"
        (package_here / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(
            HostError, match=r'function "work": NOBODY__fullyQualifiedNamespace must hold .* got no sett'
        ):
            await world.functions_host(package_here).start()
