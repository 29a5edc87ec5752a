"""Runs of the emulator under seeded faults: 16 producers, 16 consumers, four places; then every message is counted."""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from localcloud.faults.fault import Schedule
from localcloud.session.chaos_bus.broker import Broker
from localcloud.session.chaos_bus.clients import Weather, World
from localcloud.session.chaos_bus.truth import PLACES, Truth
from localcloud.session.chaos_bus.wire import GoneError, RefusedError
from localcloud.session.chaos_report import CampaignReport, Judged, RunReport, added_up
from localcloud.session.running import Working

SYSTEM: Final = "service_bus"
RUN_S: Final = 60.0
"""A run that takes longer hangs, which is wrong."""
_PRODUCERS: Final = (*["plain"] * 5, *["sessions"] * 5, *["topic"] * 6)
_CONSUMERS: Final = PLACES * 4
_QUIET_S: Final = 0.15


def run_campaign(
    schedules: list[Schedule], seeds: range, *, working: Working, on_run: Callable[[RunReport], None]
) -> CampaignReport:
    """Seed after seed; each seed takes the schedule that it counts to."""
    began = time.monotonic()
    runs: list[RunReport] = []
    with working(f"{len(seeds)} runs, {min(len(schedules), len(seeds))} schedules") as step:
        for seed in seeds:
            schedule = schedules[seed % len(schedules)]
            step.tell(f"seed {seed}, {schedule.name}, {sum(bool(run.wrong) for run in runs)} failed")
            runs.append(run(schedule, seed))
            on_run(runs[-1])
    return added_up(SYSTEM, runs, time.monotonic() - began)


def run(schedule: Schedule, seed: int) -> RunReport:
    """One seed, with a broker and data of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        truth, fired, stuck = asyncio.run(_run(schedule, seed, Path(folder)))
    judged = Judged(counts={}) if stuck else truth.judge()
    return RunReport(
        seed=seed, schedule=schedule.name, fired=fired, counts=judged.counts, rounds=1,
        seconds=round(time.monotonic() - began, 2), notes=judged.notes, wrong=[*stuck, *judged.wrong],
        replay=f"./millrace chaos {SYSTEM} --schedule {schedule.name} --seed {seed} --runs 1",
    )  # fmt: skip


async def _run(schedule: Schedule, seed: int, folder: Path) -> tuple[Truth, dict[str, int], list[str]]:
    broker, truth = Broker(folder), Truth()
    weather = Weather(schedule, seed, broker)
    stuck: list[str] = []
    try:
        async with asyncio.timeout(RUN_S):
            await broker.start()
            world = World(broker, truth, weather)
            await _work(world, seed)
            await asyncio.gather(*weather.killing)
            await broker.kill()
            await broker.start()  # locks end with the process: whatever is left is to be had
            await asyncio.gather(*(world.drain(place) for place in PLACES))
    except TimeoutError:
        stuck.append(f"the broker owed an answer, or the run took longer than {RUN_S:g} s")
    except (GoneError, RefusedError, ChildProcessError) as error:
        stuck.append(f"{type(error).__name__}: {error}")
    finally:
        await asyncio.gather(*weather.killing, return_exceptions=True)
        await broker.kill()
    return truth, dict(weather.fired), stuck


async def _work(world: World, seed: int) -> None:
    """Until all is sent and nothing more comes."""

    def chance(kind: str, number: int) -> random.Random:
        return random.Random(f"{seed} {kind} {number}")  # noqa: S311 - the same for the same seed

    loop = asyncio.get_running_loop()
    consumers = [loop.create_task(world.consume(place, chance("c", one))) for one, place in enumerate(_CONSUMERS)]
    try:
        await asyncio.gather(*(world.produce(entity, chance("p", one)) for one, entity in enumerate(_PRODUCERS)))
        before = -1
        while before != world.truth.deliveries:
            before = world.truth.deliveries
            await world.broker.up()
            await asyncio.sleep(_QUIET_S)
            faulty = [one.exception() for one in consumers if one.done()]
            if faulty and faulty[0] is not None:
                raise faulty[0]
    finally:
        for one in consumers:
            one.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
