"""Where faults happen: between a call's admission and its answer. The door asks for every admitted call.

`decide` knows no protocol: what speaks another one than HTTP asks it too, and acts in its own way.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from localcloud.emulators.door import RequestInfo
from localcloud.emulators.whole import body_of, end_connection, rebuilt, send_half
from localcloud.faults.fault import Fault, Schedule, luck

HOLD_S: Final = 1.0
"""How long a call is held back at most when nothing is said: the next one may never come."""
KEPT: Final = 10_000


class Fired(msgspec.Struct, frozen=True):
    """One fault that happened."""

    kind: str
    service: str
    operation: str
    number: int
    """Of the operation's calls since the schedule began."""
    when: str


class Unanswered(msgspec.Struct, frozen=True):
    """A request that was carried out while its caller never heard so."""

    service: str
    operation: str
    encoding: str
    body: bytes


class FaultReport(msgspec.Struct, kw_only=True):
    """What happened since a schedule was put."""

    schedule: str = ""
    seed: int = 0
    calls: dict[str, int] = {}
    fired: list[Fired] = []
    unanswered: list[Unanswered] = []


class Injector:
    """One schedule at work. All methods belong to the door's loop."""

    def __init__(self, schedule: Schedule, seed: int, end: Callable[[str], Awaitable[None]]) -> None:
        """`end` kills what Fault.process names."""
        self._schedule, self._seed, self._end = schedule, seed, end
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._spent: Counter[int] = Counter()
        self._expired: set[str] = set()
        self._held: dict[tuple[str, str], asyncio.Event] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self._fired: list[Fired] = []
        self._unanswered: list[Unanswered] = []

    def report(self) -> FaultReport:
        """What happened so far."""
        calls = {"/".join(key): count for key, count in sorted(self._numbers.items())}
        return FaultReport(schedule=self._schedule.name, seed=self._seed, calls=calls, fired=self._fired,
                           unanswered=self._unanswered)  # fmt: skip

    def close(self) -> None:
        """Lets go of what is held back, and of kills to come."""
        for event in self._held.values():
            event.set()
        for task in self._ends:
            task.cancel()

    def decide(self, service: str, operation: str) -> tuple[Fault, float] | None:
        """The fault that this call meets, if any, and its luck for whatever else is left to chance."""
        self._numbers[service, operation] += 1
        number = self._numbers[service, operation]
        for at, fault in enumerate(self._schedule.faults):
            if fault.most and self._spent[at] >= fault.most:
                continue
            chance = luck(self._seed, at, service, operation, number)
            if fault.hits(service, operation, number, chance):
                self._spent[at] += 1
                if len(self._fired) < KEPT:
                    self._fired.append(Fired(fault.kind, service, operation, number, fault.when))
                return fault, luck(chance)
        return None

    async def __call__(self, info: RequestInfo) -> web.StreamResponse | None:
        """The door's hook: an answer in the service's place, or None to let the call through."""
        if _credential(info.request) in self._expired:
            return info.refuse("expired")
        held = self._held.pop((info.service, info.operation), None)
        if held is None:
            return await self._struck(info)
        try:  # answered before the held one goes on: two calls let go together may arrive in either order
            return await self._struck(info) or await info.carry_out("")
        finally:
            held.set()

    async def _struck(self, info: RequestInfo) -> web.StreamResponse | None:
        found = self.decide(info.service, info.operation)
        if found is None:
            return None
        fault, chance = found
        done_first = fault.when != "before" or fault.kind in ("corrupt", "duplicate")
        answer = await info.carry_out(fault.kind) if done_first else None
        if answer is not None and fault.kind in ("refuse", "throttle", "cut", "kill"):
            await self._note_unanswered(info)
        act: Callable[[_Hit], Awaitable[web.StreamResponse | None]] = getattr(self, f"_{fault.kind}")
        return await act(_Hit(fault, chance, info, _credential(info.request), answer))

    async def _refuse(self, hit: "_Hit") -> web.Response:
        return hit.info.refuse("busy", hit.fault.status, hit.fault.code)

    async def _throttle(self, hit: "_Hit") -> web.Response:
        return hit.info.refuse("throttled", hit.fault.status, hit.fault.code, hit.fault.seconds or 1)

    async def _expire(self, hit: "_Hit") -> web.Response:
        self._expired |= {hit.credential} - {""}
        return hit.info.refuse("expired")

    async def _delay(self, hit: "_Hit") -> web.Response | None:
        await asyncio.sleep(hit.fault.seconds * hit.chance)
        return hit.answer

    async def _duplicate(self, hit: "_Hit") -> web.Response | None:
        return hit.answer if "duplicate" in hit.info.variants else await hit.info.carry_out("")

    async def _reorder(self, hit: "_Hit") -> web.Response | None:
        """The newest message first, where the service hands out messages; elsewhere the next call overtakes this."""
        info = hit.info
        if "reorder" in info.variants:
            return await info.carry_out("reorder")
        event = self._held[info.service, info.operation] = asyncio.Event()
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), hit.fault.seconds or HOLD_S)
        return None

    async def _corrupt(self, hit: "_Hit") -> web.Response | None:
        answer = hit.answer
        return answer and rebuilt(answer, _corrupted(body_of(answer), hit.fault.how, hit.chance))

    async def _cut(self, hit: "_Hit") -> web.StreamResponse:
        if hit.answer is not None and hit.fault.when == "middle":
            return await send_half(hit.info.request, hit.answer)
        end_connection(hit.info.request)
        return web.Response()  # nobody hears it

    async def _kill(self, hit: "_Hit") -> web.Response | None:
        """At once (before the answer, if the work is done), or at a random moment later."""
        if not hit.fault.seconds:
            await self._end(hit.fault.process)
            return hit.answer
        task = asyncio.get_running_loop().create_task(
            self._end_later(hit.fault.seconds * hit.chance, hit.fault.process)
        )
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)
        return hit.answer

    async def _end_later(self, seconds: float, process: str) -> None:
        await asyncio.sleep(seconds)
        await self._end(process)

    async def _note_unanswered(self, info: RequestInfo) -> None:
        if len(self._unanswered) < KEPT:
            encoding = info.request.headers.get("Content-Encoding", "")
            self._unanswered.append(Unanswered(info.service, info.operation, encoding, await info.request.read()))


@dataclass(frozen=True, slots=True)
class _Hit:
    """A fault and the call it met."""

    fault: Fault
    chance: float
    info: RequestInfo
    credential: str
    answer: web.Response | None
    """When the work was done first."""


def _credential(request: web.BaseRequest) -> str:
    """The caller's token, as a digest; a signature is no token."""
    token = request.headers.get("X-Amz-Security-Token") or request.headers.get("Authorization", "")
    return hashlib.sha256(token.encode()).hexdigest() if token and not token.startswith("AWS4-") else ""


def _corrupted(body: bytes, how: str, chance: float) -> bytes:
    at = int(len(body) * chance)
    if how == "truncated" or not body:
        return body[:at]
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
