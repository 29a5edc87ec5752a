"""One handler module, two platforms: what a step answers means the same on Functions and in a container."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.clients.service_bus import properties_of
from core.messages.envelope import BusMessage, to_bus
from tests.integration.host.bus.world import World
from tests.integration.host.waiting import until

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PLATFORMS = ["functions", "container"]


class Job(msgspec.Struct):
    do: str
    n: float = 0


def job(do: str, n: float = 0, *, id: str = "", session_id: str = "") -> BusMessage:  # noqa: A002
    return to_bus(Job(do, n), id=id or f"{do}-{n:g}", traceparent=TRACE, session_id=session_id)


async def send(world: World, *messages: BusMessage, **entity: str) -> None:
    sender = world.sender(**entity)
    await asyncio.to_thread(sender.send_all, messages)
    await asyncio.to_thread(sender.close)


def running(world: World, platform: str) -> Callable[..., Any]:
    return world.functions if platform == "functions" else world.container


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_each_outcome_means_the_same(world: World, package: Any, platform: str) -> None:
    async with world:
        world.queue(max_delivery_count=3)
        await send(world, job("done"), job("again", 2), job("dead"), job("raise"), BusMessage(body=b"{", id="plain"))
        async with running(world, platform)(package()):
            await until(lambda: len(world.events("invocation")) == 8)
            await until(lambda: world.active() == 0)
        began = [(one["do"], one["attempt"]) for one in world.events("began")]
        given_up = await (world.peek("jobs-dead") if platform == "functions" else world.peek("jobs", dead=True))
    assert sorted(began) == [
        ("again", 1), ("again", 2), ("dead", 1), ("done", 1), ("raise", 1), ("raise", 2), ("raise", 3),
    ]  # fmt: skip
    assert world.dead() == (1 if platform == "functions" else 3)  # what keeps failing, the broker gives up by itself
    found = {one.message_id: text_of(one) for one in given_up}
    reasons = {name: reason for name, (reason, _) in found.items() if name != "raise-0"}
    assert reasons.keys() == {"dead-0", "plain"}
    assert found["dead-0"] == ("nobody can do this", "given up by work at attempt 1")
    assert reasons["plain"].startswith("body must be a Job")
    (kept,) = [one for one in given_up if one.message_id == "dead-0"]
    assert json.loads(b"".join(kept.body)) == {"do": "dead", "n": 0.0}
    assert (kept.subject, properties_of(kept)["traceparent"]) == ("Job", TRACE)
    assert {one["trace_id"] for one in world.events("invocation") if one.get("reason") != reasons["plain"]} == {
        TRACE[3:35]
    }


def text_of(message: Any) -> tuple[str, str]:
    """Reason and description, wherever it lies."""
    found = properties_of(message)
    return found.get("DeadLetterReason", ""), found.get("DeadLetterErrorDescription", "")


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_batch_is_done_or_failed_together_and_what_cannot_be_read_is_put_aside_alone(
    world: World, package: Any, platform: str
) -> None:
    async with world:
        world.queue()
        await send(world, job("a"), BusMessage(body=b"?", id="unreadable"), job("again"), job("b"))
        async with running(world, platform)(package(batch=True)):
            await until(lambda: len(world.events("invocation")) >= 2)
            await until(lambda: world.active() == 0)
        given_up = await (world.peek("jobs-dead") if platform == "functions" else world.peek("jobs", dead=True))
    batches, does = world.events("batch"), ["a", "again", "b"]
    assert [(sorted(one["does"]), one["attempt"]) for one in batches] == [(does, 1), (does, 2)]
    assert {one.message_id for one in given_up} == {"unreadable"}
    assert len(given_up) == (2 if platform == "functions" else 1)  # there the host abandons the whole batch


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_sessions_keep_their_order_side_by_side(world: World, package: Any, platform: str) -> None:
    async with world:
        world.queue(requires_session=True)
        sessions = ("red", "green", "blue")
        await send(world, *(job("slow", n / 10, session_id=name) for n in range(1, 7) for name in sessions))
        shape = {"sessions": True, "max_concurrent_sessions": 2, "session_idle_timeout_s": 1}
        async with running(world, platform)(package(**shape)):
            await until(lambda: world.active() == 0)
    began = world.events("began")
    for name in sessions:
        assert [one["n"] for one in began if one["session"] == name] == [n / 10 for n in range(1, 7)]
    assert most_at_once(world) == 2


def most_at_once(world: World) -> int:
    """Calls that ran at one time, by their lines."""
    now = most = 0
    for line in world.lines:
        now += {"began": 1, "ended": -1}.get(line.event, 0)
        most = max(most, now)
    return most


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_lock_is_renewed_while_its_step_runs(world: World, package: Any, platform: str) -> None:
    async with world:
        world.queue(lock_s=5)
        await send(world, job("slow", 7))
        async with running(world, platform)(package()):
            await until(lambda: bool(world.events("invocation")))
            await until(lambda: world.active() == 0)
    assert [one["attempt"] for one in world.events("began")] == [1]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_namespace_that_goes_away_is_waited_for(world: World, package: Any, platform: str) -> None:
    async with world:
        world.queue()
        await send(world, job("done", 1))
        async with running(world, platform)(package()):
            await until(lambda: len(world.events("invocation")) == 1 and world.active() == 0)
            world.cut()
            await send(world, job("done", 2))
            await until(lambda: len(world.events("invocation")) == 2, limit_s=30)
            await world.close()
            await until(lambda: world.said("tried again until it works"), limit_s=30)
            await world.open()
            await send(world, job("done", 3))
            await until(lambda: len(world.events("invocation")) == 3 and world.active() == 0, limit_s=30)
    assert [one["n"] for one in world.events("began")] == [
        1,
        2,
        3,
    ]  # what the break caught unsettled is settled after it


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_what_is_in_hand_at_the_end_of_the_grace_is_given_back(world: World, package: Any, platform: str) -> None:
    async with world:
        world.queue()
        await send(world, job("slow", 60, id="long"), job("slow", 0.5, id="short"))
        grace: dict[str, Any] = {"grace_s": 2}
        async with running(world, platform)(package(), **grace):
            await until(lambda: len(world.events("began")) == 2)
        (left,) = await world.peek("jobs")
        assert (left.message_id, left.delivery_count) == ("long", 1)
        async with running(world, platform)(package(), grace_s=0):
            await until(lambda: len(world.events("began")) == 3, limit_s=30)  # its lock, of a minute, is not waited for


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_without_its_role_it_says_so_and_goes_on_with_it(world: World, package: Any, platform: str) -> None:
    async with world:
        world.queue()
        world.rights.clear()
        await send(world, job("done"))
        async with running(world, platform)(package()):
            await until(lambda: world.said("has no right"), limit_s=30)
            world.grant()
            await until(lambda: world.active() == 0, limit_s=30)
