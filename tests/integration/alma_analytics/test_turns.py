"""A turn is held by a connection. Whoever loses it in the middle of its work, while another delivery of the message
goes on, moves nothing any more: no page of a round that is over, no change of a record that is another's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.clients.faults import Transient
from tests.integration.alma_analytics.test_runs import JOB, check, library, rows_of
from tests.integration.alma_analytics.weather import Killed, Weather
from tests.integration.alma_analytics.world import Message, World, lose_turns
from tests.postgres import Database

pytestmark = pytest.mark.migrations("core/jobs/migrations", "core/alma_analytics/migrations")


def deliver_until(world: World, wanted: Callable[[Message], bool]) -> Message:
    """Delivers whatever is ready until a wanted message is; that one is left."""
    for _ in range(200):
        found = next((one for one in world.queue if wanted(one)), None)
        if found is not None:
            return found
        world._deliver(next(one for one in world.queue if one.visible <= world.clock.now))
    raise AssertionError("it never came")


def interrupt(monkeypatch: pytest.MonkeyPatch, target: object, name: str, do: Callable[[], None]) -> None:
    """`do` happens once, when the call was served and before its caller goes on."""
    whole, left = getattr(target, name), [do]

    def call(*args: Any, **more: Any) -> Any:
        answer = whole(*args, **more)
        if left:
            left.pop()()
        return answer

    monkeypatch.setattr(target, name, call)


def deliver_while(world: World, database: Database, message: Message, other: Callable[[], object],
                  monkeypatch: pytest.MonkeyPatch, call: str) -> None:  # fmt: skip
    """Delivers `message`; in the middle of its first `call` the turn is lost and `other` happens."""

    def meanwhile() -> None:
        lose_turns(database)
        other()

    interrupt(monkeypatch, world.alma, call, meanwhile)
    with pytest.raises(Transient):  # the turn's end
        world._handle(message)


def test_a_page_that_comes_after_its_turn_is_dropped(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(database, Weather())
    wanted = library(world)
    world.start(JOB)
    message = deliver_until(world, lambda one: b'"page":2' in one.body and b'"main"' in one.body)
    deliver_while(world, database, message, lambda: world._handle(message), monkeypatch, "report_page")
    assert rows_of(database, "select round, next_page from alma.fetch where side = 'main'") == [
        {"round": 2, "next_page": 1}
    ]
    world.run()
    assert check(world, database, wanted) == "done"


def test_a_batch_that_another_delivery_did_is_not_done_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database, Weather())
    wanted = library(world)
    world.start(JOB)
    message = deliver_until(world, lambda one: one.queue == "alma-update")
    deliver_while(world, database, message, lambda: world._handle(message), monkeypatch, "get")
    world.run()
    assert check(world, database, wanted) == "done"
    assert set(world.alma.applied.values()) == {1}


def test_a_change_that_is_under_way_elsewhere_is_not_sent_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database, Weather())
    wanted = library(world)
    world.start(JOB)
    message = deliver_until(world, lambda one: one.queue == "alma-update")
    put = world.alma.put

    def dies(*_args: Any) -> None:
        raise Killed

    def other() -> None:  # its change is marked; whether it arrived nobody knows yet
        monkeypatch.setattr(world.alma, "put", dies)
        with pytest.raises(Killed):
            world._handle(message)
        monkeypatch.setattr(world.alma, "put", put)

    deliver_while(world, database, message, other, monkeypatch, "get")
    assert not world.alma.applied
    world.run()
    assert check(world, database, wanted) == "done"
