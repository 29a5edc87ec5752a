"""What only a container does: one bad message of a batch costs itself alone; a kill costs nothing but time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

from tests.integration.host.bus.test_both import job, send
from tests.integration.host.bus.world import World
from tests.integration.host.waiting import until


async def test_a_batch_that_is_given_up_is_dead_lettered_with_its_reason(world: World, package: Any) -> None:
    async with world:
        world.queue()
        await send(world, job("a"), job("dead"))
        async with world.container(package(batch=True)):
            await until(lambda: world.dead() == 2)
        kept = await world.peek("jobs", dead=True)
    assert {one.dead_letter_reason for one in kept} == {"not one of them"}
    assert world.active("jobs-dead") == 0


async def test_a_session_that_fails_goes_on_with_the_same_message(world: World, package: Any) -> None:
    async with world:
        world.queue(requires_session=True)
        what = [("again", 3), ("done", 1), ("dead", 0), ("done", 2)]
        await send(world, *(job(do, n, session_id="s") for do, n in what))
        async with world.container(package(sessions=True)):
            await until(lambda: world.active() == 0)
    began = [(one["do"], one["n"], one["attempt"]) for one in world.events("began")]
    assert began == [("again", 3, 1), ("again", 3, 2), ("again", 3, 3), ("done", 1, 1), ("dead", 0, 1), ("done", 2, 1)]


async def test_what_a_killed_container_had_in_hand_comes_again_when_its_lock_ends(world: World, package: Any) -> None:
    async with world:
        world.queue(lock_s=5)
        await send(world, job("slow", 60))
        async with world.container(package()) as process:
            await until(lambda: len(world.events("began")) == 1)
            os.kill(process.pid, signal.SIGKILL)
        async with world.container(package(), grace_s=0.2):
            await until(lambda: len(world.events("began")) == 2)
    assert [one["attempt"] for one in world.events("began")] == [1, 2]


async def test_a_message_whose_lock_was_lost_while_it_waited_is_not_begun(world: World, package: Any) -> None:
    """Fetched ahead, its lock not renewed any more, taken away by the broker: another delivery of it is to come."""
    async with world:
        world.queue(lock_s=5)
        await send(world, job("stuck", 7, id="first"), job("done", id="second"))
        shape = {"max_concurrent_calls": 1, "prefetch_count": 1, "max_auto_lock_renewal_s": 0}
        async with world.container(package(**shape)):
            await until(lambda: len(world.events("invocation")) >= 2 and world.active() == 0, limit_s=30)
    seconds = [(one["id"], one["attempt"]) for one in world.events("began") if one["id"] == "second"]
    assert seconds == [("second", 2)]


async def test_what_was_fetched_ahead_keeps_its_lock(world: World, package: Any) -> None:
    async with world:
        world.queue(lock_s=5)
        await send(world, *(job("slow", 3, id=f"{number}") for number in range(3)))
        async with world.container(package(max_concurrent_calls=1, prefetch_count=5)):
            await until(lambda: world.active() == 0, limit_s=30)
    assert [(one["id"], one["attempt"]) for one in world.events("began")] == [("0", 1), ("1", 1), ("2", 1)]


async def test_a_step_that_runs_for_too_long_ends_its_container(world: World, package: Any) -> None:
    """What else is in hand has the grace time, and is done; the message of the step that is stuck is given back."""
    async with world:
        world.queue()
        await send(world, job("slow", 60, id="stuck"), job("slow", 2, id="slow"))
        image = world._image(package(max_concurrent_calls=2))
        listed = json.loads((image / "manifest.json").read_bytes())
        (image / "manifest.json").unlink()
        (image / "manifest.json").write_text(json.dumps({**listed, "time_limit_s": 1}))
        async with world.container(package(max_concurrent_calls=2), grace_s=3) as process:
            assert await asyncio.wait_for(process.wait(), 30) == 1
        assert world.active() == 1
        (again,) = await world.peek("jobs")
    assert (again.message_id, again.delivery_count) == ("stuck", 1)
    assert world.said("a step must end within time_limit_s=1, this one still runs")


async def test_a_container_says_what_it_cannot_run(world: World, package: Any) -> None:
    async with world:
        world.queue()
        image = world._image(package())
        (image / "manifest.json").unlink()
        timer = {"name": "work", "run": "handlers.demo.work", "trigger": {"type": "timer", "schedule": "x"}}
        (image / "manifest.json").write_text(json.dumps({"app": "a", "functions": [timer]}))
        async with world.container(package()) as process:
            assert await asyncio.wait_for(process.wait(), 20) == 1
    assert world.said("function work: a container's steps must be triggered by Service Bus, got Timer")
