"""A broker on a stage: its clock is turned by hand, its deliveries are collected."""

import asyncio
from typing import Any

import pytest

from localcloud.emulators.service_bus.broker.interface import Path
from localcloud.emulators.service_bus.broker.link import Link
from localcloud.emulators.service_bus.broker.model import (
    DEAD_LETTER,
    Any_,
    BrokerError,
    Delivery,
    Envelope,
    Mode,
    Outcome,
)
from localcloud.emulators.service_bus.broker.options import QueueOptions, SubscriptionOptions, TopicOptions
from localcloud.emulators.service_bus.broker.replayable import ReplayableLog
from localcloud.emulators.service_bus.broker.service import Service

START = 1_700_000_000.0
DEAD = f"q/{DEAD_LETTER}"


class Receiving:
    """One receiver and what it got."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.ended: list[BrokerError] = []
        self.link: Link

    def take(self, count: int = 1) -> list[Delivery]:
        """Ask for up to that many more and return what came."""
        before = len(self.deliveries)
        self.link.credit(count)
        self.link.drain()
        return self.deliveries[before:]

    def one(self) -> Delivery:
        """The next message, which must be there."""
        [delivery] = self.take()
        return delivery


class Stage:
    """`now` is turned with `after`."""

    def __init__(self, log: ReplayableLog | None = None) -> None:
        self.now = START
        self.broker = Service(clock=lambda: self.now, log=log)

    def after(self, seconds: float) -> None:
        """Time passes, and what is due happens."""
        self.now += seconds
        self.broker.tick()

    def queue(self, path: str = "q", **options: Any) -> None:
        """Make a queue."""
        self.broker.create_queue(path, QueueOptions(**options))

    def topic(self, path: str = "t", **options: Any) -> None:
        """Make a topic."""
        self.broker.create_topic(path, TopicOptions(**options))

    def subscription(self, name: str = "s", topic: str = "t", **options: Any) -> None:
        """Make a subscription."""
        self.broker.create_subscription(topic, name, SubscriptionOptions(**options))

    def send(self, path: Path, *names: str, **fields: Any) -> list[int]:
        """One message for each name, which is its id and its body."""
        return self.broker.send(path, [message(name, **fields) for name in names])

    def receiver(
        self, path: Path, mode: Mode = "peek_lock", session: str | Any_ | None = None, wait_s: float = 0.01
    ) -> Receiving:
        """Open one; a refusal is raised."""
        receiving = Receiving()

        async def open_it() -> Link:
            return await self.broker.receiver(
                path,
                mode=mode,
                on_delivery=receiving.deliveries.append,
                on_end=receiving.ended.append,
                session=session,
                wait_s=wait_s,
            )

        receiving.link = asyncio.run(open_it())
        return receiving

    def names(self, path: Path) -> list[str]:
        """Ids of all messages there, in order."""
        return [str(found.envelope.message_id) for found in self.broker.peek(path, 0, 1000)]


def message(name: str, **fields: Any) -> Envelope:
    """A message whose body is its id."""
    return Envelope(raw=name.encode(), message_id=name, **fields)


def ids(deliveries: list[Delivery]) -> list[str]:
    """Of the messages delivered."""
    return [str(delivery.message.envelope.message_id) for delivery in deliveries]


def settle(stage: Stage, delivery: Delivery, outcome: Outcome) -> None:
    """Of a delivery with a lock."""
    assert delivery.lock_token is not None
    stage.broker.settle(delivery.lock_token, outcome)


def refused(condition: str) -> "pytest.RaisesExc[BrokerError]":
    """What follows is refused, with that condition."""
    return pytest.raises(BrokerError, check=lambda error: error.condition == condition)
