"""Any sequence of operations on one queue, compared with a model that a page can hold; the same with restarts."""

import shutil
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from localcloud.emulators.service_bus.broker.link import Link
from localcloud.emulators.service_bus.broker.model import (
    DEAD_LETTER,
    Abandon,
    BrokerError,
    Complete,
    DeadLetter,
    Defer,
    Delivery,
    Outcome,
    Release,
    State,
)
from localcloud.emulators.service_bus.storage.journal import Journal
from tests.unit.emulators.service_bus.stage import Stage, message

LOCK_S, MOST = 30.0, 3
OUTCOMES: dict[str, Outcome] = {
    "complete": Complete(),
    "abandon": Abandon(),
    "defer": Defer(),
    "dead": DeadLetter("r"),
    "release": Release(),
}


@dataclass
class Copy:
    """What the model knows of a message."""

    number: int
    name: str
    expires: float | None
    count: int = 0
    deferred: bool = False
    scheduled: float | None = None
    locked_until: float | None = None
    token: uuid.UUID | None = None


@dataclass
class Model:
    """A queue with locks of 30 s, three deliveries and dead letters on expiry."""

    last: int = 0
    live: dict[int, Copy] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)

    def number(self) -> int:
        self.last += 1
        return self.last

    def bury(self, copy: Copy) -> None:
        del self.live[copy.number]
        self.dead.append(copy.name)

    def unlock(self, copy: Copy, now: float, *, delivered: bool) -> None:
        copy.locked_until = copy.token = None
        copy.count += delivered
        if (delivered and copy.count >= MOST) or (
            not copy.deferred and copy.expires is not None and copy.expires <= now
        ):
            self.bury(copy)

    def tick(self, now: float) -> None:
        for copy in list(self.live.values()):
            if copy.locked_until is not None and copy.locked_until <= now:
                self.unlock(copy, now, delivered=True)
        for copy in list(self.live.values()):
            if copy.scheduled is not None and copy.scheduled <= now:
                del self.live[copy.number]
                fresh = Copy(self.number(), copy.name, None)
                self.live[fresh.number] = fresh
            elif copy.locked_until is None and not copy.deferred and copy.expires is not None and copy.expires <= now:
                self.bury(copy)

    def available(self) -> list[Copy]:
        free = [c for c in self.live.values() if c.locked_until is None and not c.deferred and c.scheduled is None]
        return sorted(free, key=lambda copy: copy.number)


class QueueMachine(RuleBasedStateMachine):
    """The broker in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.stage = self.open()
        self.stage.queue(lock_s=LOCK_S, max_delivery_count=MOST, dead_letter_on_expiration=True)
        self.names = 0
        self.got: list[Delivery] = []

    def open(self) -> Stage:
        return Stage()

    def link(self) -> Link:
        receiving = self.stage.receiver("q")
        self.got = receiving.deliveries
        return receiving.link

    def fresh(self) -> str:
        self.names += 1
        return f"m{self.names}"

    @rule(count=st.integers(1, 4), ttl=st.sampled_from([None, 20.0, 45.0]))
    def send(self, count: int, ttl: float | None) -> None:
        names = [self.fresh() for _ in range(count)]
        expected = [self.model.number() for _ in names]
        assert self.stage.send("q", *names, ttl=ttl) == expected
        for number, name in zip(expected, names, strict=True):
            self.model.live[number] = Copy(number, name, None if ttl is None else self.stage.now + ttl)

    @rule(delay=st.sampled_from([10.0, 40.0]))
    def schedule(self, delay: float) -> None:
        at = self.stage.now + delay
        name = self.fresh()
        [number] = self.stage.broker.schedule("q", [message(name)], [at])
        assert number == self.model.number()
        self.model.live[number] = Copy(number, name, None, scheduled=at)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.model.last + 1))
        copy = self.model.live.get(number)
        if copy is not None and copy.scheduled is not None:
            self.stage.broker.cancel("q", [number])
            del self.model.live[number]
        else:
            with pytest.raises(BrokerError):
                self.stage.broker.cancel("q", [number])

    @rule(count=st.integers(1, 3))
    def receive(self, count: int) -> None:
        link = self.link()
        link.credit(count)
        link.close()
        expected = self.model.available()[:count]
        assert [(d.message.sequence, d.message.delivery_count) for d in self.got] == [
            (c.number, c.count) for c in expected
        ]
        for copy, delivery in zip(expected, self.got, strict=True):
            self.lock(copy, delivery)

    def lock(self, copy: Copy, delivery: Delivery) -> None:
        copy.locked_until, copy.token = self.stage.now + LOCK_S, delivery.lock_token
        assert delivery.locked_until == copy.locked_until
        assert str(delivery.message.envelope.message_id) == copy.name

    @precondition(lambda self: any(copy.token for copy in self.model.live.values()))
    @rule(data=st.data(), outcome=st.sampled_from(sorted(OUTCOMES)))
    def settle(self, data: st.DataObject, outcome: str) -> None:
        copy = data.draw(st.sampled_from([copy for copy in self.model.live.values() if copy.token]))
        assert copy.token is not None
        chosen = OUTCOMES[outcome]
        self.stage.broker.settle(copy.token, chosen)
        if outcome == "complete":
            del self.model.live[copy.number]
        elif outcome == "dead":
            self.model.bury(copy)
        elif outcome == "defer":
            copy.deferred, copy.locked_until, copy.token = True, None, None
        else:
            self.model.unlock(copy, self.stage.now, delivered=outcome == "abandon")

    @precondition(lambda self: any(copy.token for copy in self.model.live.values()))
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        copy = data.draw(st.sampled_from([copy for copy in self.model.live.values() if copy.token]))
        assert copy.token is not None
        copy.locked_until = self.stage.now + LOCK_S
        assert self.stage.broker.renew([copy.token]) == [copy.locked_until]

    @rule(data=st.data())
    def receive_deferred(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.model.last + 1))
        copy = self.model.live.get(number)
        if copy is None or not copy.deferred or copy.locked_until is not None:
            with pytest.raises(BrokerError):
                self.stage.broker.receive_deferred("q", [number], "peek_lock")
        elif copy.expires is not None and copy.expires <= self.stage.now:
            with pytest.raises(BrokerError):
                self.stage.broker.receive_deferred("q", [number], "peek_lock")
            self.model.bury(copy)
        else:
            self.lock(copy, self.stage.broker.receive_deferred("q", [number], "peek_lock")[0])

    @rule(seconds=st.sampled_from([1.0, 9.0, 31.0]))
    def wait(self, seconds: float) -> None:
        # Second by second: what falls due at different times must happen in that order.
        for _ in range(int(seconds)):
            self.stage.after(1.0)
            self.model.tick(self.stage.now)

    @invariant()
    def the_same_messages_are_there(self) -> None:
        now = self.stage.now
        seen = {found.sequence: found for found in self.stage.broker.peek("q", 0, 10_000)}
        shown = {n: c for n, c in self.model.live.items() if c.expires is None or c.expires > now}
        assert set(seen) == set(shown)
        for number, copy in shown.items():
            found = seen[number]
            wanted = State.SCHEDULED if copy.scheduled else State.DEFERRED if copy.deferred else State.ACTIVE
            assert (found.delivery_count, found.state, found.locked_until) == (copy.count, wanted, copy.locked_until)
        counts = self.stage.broker.counts("q")
        assert counts.scheduled == sum(copy.scheduled is not None for copy in self.model.live.values())
        assert counts.active + counts.scheduled == len(self.model.live)
        assert sorted(self.stage.names(f"q/{DEAD_LETTER}")) == sorted(self.model.dead)
        assert counts.size == sum(len(name) for name in [*(c.name for c in self.model.live.values()), *self.model.dead])


class DurableQueueMachine(QueueMachine):
    """The broker with a log of tiny segments, which is killed and opened again at any time."""

    def open(self) -> Stage:
        self.folder = Path(tempfile.mkdtemp(prefix="service-bus-"))
        self.log = Journal(self.folder, segment_bytes=600)
        return Stage(self.log)

    @rule()
    def kill_and_restart(self) -> None:
        self.log.flush()
        copied = self.folder.with_name(f"{self.folder.name}-killed")
        shutil.copytree(self.folder, copied)
        self.log.close()
        shutil.rmtree(self.folder)
        copied.rename(self.folder)
        now = self.stage.now
        self.log = Journal(self.folder, segment_bytes=600)
        self.stage = Stage(self.log)
        self.stage.now = now
        self.stage.broker.tick()
        for copy in list(self.model.live.values()):
            if copy.token is not None:  # locks are not kept, nor do they count as deliveries
                self.model.unlock(copy, now, delivered=False)

    @invariant()
    def the_log_does_not_grow_without_end(self) -> None:
        self.log.flush()
        assert self.log.size < 20_000 + 1000 * (len(self.model.live) + len(self.model.dead))

    def teardown(self) -> None:
        self.log.close()
        shutil.rmtree(self.folder)


def _case(machine: type[QueueMachine], examples: int) -> Any:
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        database=None,
    )
    return case


TestQueue = _case(QueueMachine, 60)
TestDurableQueue = _case(DurableQueueMachine, 40)
