"""Runs that broke and go on, in every weather: nothing that was done is done again."""

from __future__ import annotations

import pytest

from core.alma_analytics import resume
from core.jobs import machine
from tests.integration.alma_analytics.test_runs import JOB, check, library, rows_of
from tests.integration.alma_analytics.weather import Weather
from tests.integration.alma_analytics.world import World
from tests.postgres import Database

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")
RUN = "run-1"


def retry(world: World, database: Database) -> resume.Plan:
    """What a person does."""
    world.weather.calm = True
    outbox = world.work().outbox
    with database.transaction() as tx:
        made = resume.resume(tx, outbox, RUN, traceparent="")
    outbox.flush(RUN)
    return made


def state(database: Database) -> str:
    with database.transaction() as tx:
        run = machine.find(tx, RUN)
    assert run is not None
    return run.state


def letters(world: World) -> list[str]:
    return sorted(world.mailbox.sent)


@pytest.mark.parametrize("seed", range(6))
def test_a_run_that_failed_while_fetching_is_done_after_a_retry(database: Database, seed: int) -> None:
    world = World(database, Weather(seed=seed, lost_answer=0.9))
    wanted = library(world)
    world.start(JOB)
    world.run()
    assert state(database) == "failed"
    assert letters(world) == [f"{RUN}/0"]
    retry(world, database)
    assert state(database) == "running"
    world.run()
    assert letters(world) == [f"{RUN}/0", f"{RUN}/1"]
    del world.mailbox.sent[f"{RUN}/0"]
    assert check(world, database, wanted) == "done"


def test_pages_that_disagree_are_fetched_anew(database: Database) -> None:
    world = World(database, Weather())
    wanted = library(world)
    columns, rows = world.alma.reports["/shared/audit"]
    world.start(JOB)
    while not rows_of(database, "select from alma.page where side = 'main' and page = 2"):
        world._deliver(world.queue[0])
    world.alma.reports["/shared/audit"] = (tuple(name.replace("Title", "Titel") for name in columns), rows)
    world.run()
    assert state(database) == "failed"
    made = retry(world, database)
    assert [again.queue for again in made.messages if again.anew] == ["api-fetch"]
    world.alma.reports["/shared/audit"] = (columns, rows)
    world.run()
    del world.mailbox.sent[f"{RUN}/0"]
    assert check(world, database, wanted) == "done"


@pytest.mark.parametrize("seed", range(12))
def test_a_retry_in_the_middle_of_everything_doubles_nothing(database: Database, seed: int) -> None:
    """A person is impatient: the messages are all still there, and go out once more."""
    world = World(database, Weather(seed=seed, double=0.1, kill=0.01))
    wanted = library(world)
    world.start(JOB)
    for _ in range(seed * 3):
        if world.queue:
            world._deliver(world.weather.random.choice(world.queue))
    if state(database) == "running":
        retry(world, database)
        world.weather.calm = False
    world.run()
    assert check(world, database, wanted) == "done"


@pytest.mark.parametrize("seed", range(6))
def test_a_run_whose_messages_are_all_lost_goes_on_where_it_stood(database: Database, seed: int) -> None:
    world = World(database, Weather(seed=seed))
    wanted = library(world)
    world.start(JOB)
    for _ in range(1 + seed * 2):
        world._deliver(world.weather.random.choice(world.queue))
    fetched = world.alma.requests
    world.queue.clear()
    retry(world, database)
    world.run()
    assert check(world, database, wanted) == "done"
    assert world.alma.requests == 4 + 2 + 2 * len(wanted), fetched  # as if nothing had been lost
