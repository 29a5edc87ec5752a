"""Producers and consumers that begin anew whenever their connection ends, and the faults that end it."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from localcloud.emulators.service_bus.codec.frames import ACCEPTED, MODIFIED
from localcloud.faults.fault import Fault, Schedule, luck
from localcloud.session.chaos_bus.broker import Broker
from localcloud.session.chaos_bus.truth import SESSIONS, Place, Truth
from localcloud.session.chaos_bus.wire import PATIENCE_S, Delivery, GoneError, RefusedError, Wire, body

SERVICE: Final = "servicebus"
MESSAGES: Final = 40
"""Of each producer."""
_BURST: Final = 8
_CREDIT: Final = 20
_IDLE_S: Final = 0.05
"""A holder of a session that gets nothing for so long lets it go."""
_ABANDONED: Final = 0.1


class Weather:
    """Whether the n-th Send or Complete is hit depends on (seed, fault's place, operation, n) alone."""

    def __init__(self, schedule: Schedule, seed: int, broker: Broker) -> None:
        self.fired: Counter[str] = Counter()
        self.killing: set[asyncio.Task[None]] = set()
        self._faults, self._seed, self._broker = schedule.faults, seed, broker
        self._calls: Counter[str] = Counter()
        self._hits: Counter[int] = Counter()

    def call(self, operation: str, wire: Wire) -> None:
        """One message is on its way: something may end."""
        self._calls[operation] += 1
        number = self._calls[operation]
        for place, fault in enumerate(self._faults):
            chance = luck(self._seed, place, SERVICE, operation, number)
            if fault.hits(SERVICE, operation, number, chance) and not (fault.most and self._hits[place] >= fault.most):
                self._hits[place] += 1
                self._act(fault, wire, luck(self._seed, place, "moment", number))
                return

    def _act(self, fault: Fault, wire: Wire, moment: float) -> None:
        if fault.kind == "kill" and fault.process == "broker":
            self.fired["kill broker"] += 1
            task = asyncio.get_running_loop().create_task(self._kill(fault.seconds * moment))
            self.killing.add(task)
        elif fault.kind == "kill":
            self.fired["kill client"] += 1
            wire.break_off("killed")
        else:
            self.fired["cut"] += 1
            wire.break_off("torn" if fault.when == "middle" else "reset")

    async def _kill(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._broker.restart()


class World:
    """What all clients of a run share."""

    def __init__(self, broker: Broker, truth: Truth, weather: Weather) -> None:
        self.broker, self.truth, self.weather = broker, truth, weather
        self._producers = itertools.count()

    async def produce(self, entity: str, chance: random.Random) -> None:
        """All of its messages once, in bursts; each connection is a producer of its own."""
        sent = 0
        while sent < MESSAGES:
            wire = None
            with suppress(GoneError):
                wire = await self._connect()
                await wire.sender(entity)
                producer = next(self._producers)
                while sent < MESSAGES:
                    answers = []
                    for _ in range(min(chance.randint(1, _BURST), MESSAGES - sent)):
                        answers.append(self._send(wire, entity, producer, sent, chance))
                        sent += 1
                        if wire.ended:
                            break
                    await wire.until(asyncio.gather(*answers))
            if wire is not None:
                wire.break_off()

    async def _connect(self) -> Wire:
        await self.broker.up()
        return await Wire.open(self.broker.port)

    def _send(
        self, wire: Wire, entity: str, producer: int, number: int, chance: random.Random
    ) -> "asyncio.Future[None]":
        session = chance.choice(SESSIONS)
        name = f"{entity}-{producer}-{number}"
        self.truth.send(name, entity, session, producer, number)
        answer = wire.send(body(name, session))
        self.weather.call("Send", wire)

        def told(future: "asyncio.Future[int]") -> None:
            if future.exception() is None:
                if future.result() == ACCEPTED:
                    self.truth.acknowledged.add(name)
                else:
                    self.truth.wrong("refused", f"{name} was answered with 0x{future.result():02x}")

        answer.add_done_callback(told)
        return answer

    async def consume(self, place: Place, chance: random.Random) -> None:
        """Until it is cancelled."""
        while True:
            wire = None
            try:
                wire = await self._connect()
                while True:
                    await self._hold(wire, place, chance)
            except GoneError:
                pass
            except RefusedError as error:
                if "timeout" not in str(error):
                    self.truth.wrong("refused", f"{place.path}: {error}")
            finally:
                if wire is not None:
                    wire.break_off()

    async def _hold(self, wire: Wire, place: Place, chance: random.Random) -> None:
        """One link: of a session that is free, or of the whole place."""
        came: asyncio.Queue[Delivery | None] = asyncio.Queue()
        taken: dict[int, str] = {}

        def delivered(one: Delivery) -> None:
            self.truth.delivered(place, one, taken)
            came.put_nowait(one)

        await wire.receiver(place.path, delivered, lambda: came.put_nowait(None), any_session=place.sessions)
        wire.grant(_CREDIT)
        for number in range(chance.randint(10, 60)):
            try:
                async with asyncio.timeout(_IDLE_S if place.sessions else None):
                    one = await came.get()
            except TimeoutError:
                break
            if one is None:
                raise GoneError("the connection has ended")
            if number % (_CREDIT // 2) == _CREDIT // 2 - 1:
                wire.grant(_CREDIT)
            await self._settle(wire, place, one, abandon=not place.sessions and chance.random() < _ABANDONED)
        await wire.leave()

    async def _settle(self, wire: Wire, place: Place, one: Delivery, *, abandon: bool = False) -> None:
        if wire.ended:
            raise GoneError("the connection has ended")
        if not abandon:
            self.truth.settling(place, one)
        answer = wire.settle(one.number, MODIFIED if abandon else ACCEPTED)
        self.weather.call("Complete", wire)
        code = await wire.until(answer)
        if code != (MODIFIED if abandon else ACCEPTED):
            self.truth.wrong("refused", f"{place.path}: the settlement of {one.id} was answered with 0x{code:02x}")
        elif not abandon:
            self.truth.settled(place, one)

    async def drain(self, place: Place) -> None:
        """Everything that is left, noted and completed; no faults any more."""
        wire = await self._connect()
        for session in SESSIONS if place.sessions else ("",):
            found: list[Delivery] = []
            await wire.receiver(place.path, self._keeping(place, found), session=session)
            wire.grant(1_000_000, drain=True)
            async with asyncio.timeout(PATIENCE_S):
                await wire.drained.wait()
            for one in found:
                self.truth.left[place.path].add(one.id)
            answers = [wire.settle(one.number, ACCEPTED) for one in found]
            await wire.until(asyncio.gather(*answers))
            await wire.leave()
        wire.break_off()

    def _keeping(self, place: Place, found: list[Delivery]) -> Callable[[Delivery], None]:
        taken: dict[int, str] = {}

        def delivered(one: Delivery) -> None:
            self.truth.delivered(place, one, taken)
            found.append(one)

        return delivered
