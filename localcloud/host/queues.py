"""Storage queue triggers with the platform's semantics: batches, visibility, tries, poison queue, polling back-off.

Sources: host.json reference (`extensions.queues`) and the storage extension's QueueListener and QueueProcessor.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from localcloud.host.poison_notes import PoisonNote, PoisonNotes
from localcloud.host.queue_client import QueueClient, QueueError, Taken
from localcloud.host.spec import HostError, InvocationResult

HIDDEN_S = 600
"""A message in hand is invisible this long, renewed at half time."""
POLL_S = 0.1
"""Shortest wait after an empty look."""
_METADATA = {
    "InsertionTime": "InsertionTime", "ExpirationTime": "ExpirationTime", "TimeNextVisible": "NextVisibleTime",
}  # fmt: skip

Invoke = Callable[[str, dict[str, Any]], Awaitable[InvocationResult]]


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """`extensions.queues` of host.json with the platform's defaults."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout_s: float = 0
    max_polling_interval_s: float = 60
    base64: bool = True

    @classmethod
    def of(cls, host: dict[str, Any]) -> QueueOptions:
        """From the whole of host.json. Raises HostError for what the platform refuses."""
        found = host.get("extensions", {}).get("queues", {})
        batch = found.get("batchSize", 16)
        if not isinstance(batch, int) or not 1 <= batch <= 32:
            raise HostError(f"host.json: extensions.queues.batchSize must be 1 to 32, got {batch!r}; set it to 16")
        encoding = found.get("messageEncoding", "base64")
        if encoding not in {"base64", "none"}:
            raise HostError(f"host.json: messageEncoding must be base64 or none, got {encoding!r}; use one of them")
        return cls(
            batch_size=batch,
            new_batch_threshold=found.get("newBatchThreshold", batch // 2),
            max_dequeue_count=found.get("maxDequeueCount", 5),
            visibility_timeout_s=seconds(found.get("visibilityTimeout", "00:00:00")),
            max_polling_interval_s=seconds(found.get("maxPollingInterval", "00:01:00")),
            base64=encoding == "base64",
        )


_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d{1,7})?)")


def seconds(span: str) -> float:
    """A .NET TimeSpan (`[d.]hh:mm:ss[.fffffff]`) in seconds. Raises HostError."""
    match = _SPAN.fullmatch(span)
    if match is None:
        raise HostError(
            f'host.json: a time span must be written [d.]hh:mm:ss, got "{span}"; write for instance 00:05:00'
        )
    days, hours, minutes, rest = match.groups()
    return int(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + float(rest)


class QueueListener:
    """Takes messages of one queue for one function on one instance."""

    def __init__(
        self,
        queue: QueueClient,
        poison: PoisonPlace,
        options: QueueOptions,
        *,
        invoke: Invoke,
        ready: asyncio.Event,
        rung: asyncio.Event,
        on_event: Callable[[str], None],
    ) -> None:
        """`invoke(body, metadata)` runs the function; `ready` is set while the instance can take work, `rung` when the
        queue may have a message.
        """
        self._queue = queue
        self._poison = poison
        self._options = options
        self._invoke = invoke
        self._ready = ready
        self._rung = rung
        self._on_event = on_event
        self._room = asyncio.Event()
        self._in_hand: dict[asyncio.Task[None], _Held] = {}
        self._looking: asyncio.Task[bool] | None = None
        self._stopping = False
        self.backlog = False
        """True when the last look brought a full batch."""

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""
        return len(self._in_hand)

    async def loop(self) -> None:
        """Looks for messages until cancelled; `stop` then waits for a look under way."""
        renewal = asyncio.get_running_loop().create_task(self._renew())
        try:
            wait_s = POLL_S
            while True:
                await self._ready.wait()
                while self.in_hand > self._options.new_batch_threshold:
                    self._room.clear()
                    await self._room.wait()
                self._rung.clear()
                self._looking = asyncio.get_running_loop().create_task(self._look())
                found = await asyncio.shield(self._looking)  # what it takes must not be lost with this loop
                wait_s = POLL_S if found else await listen_for(self._rung, wait_s, self._options.max_polling_interval_s)
        finally:
            renewal.cancel()

    async def _look(self) -> bool:
        try:
            messages = await self._queue.take(self._options.batch_size, HIDDEN_S)
        except QueueError as error:
            self._on_event(f"queue {self._queue.name}: cannot be read ({error})")
            return False
        self.backlog = len(messages) == self._options.batch_size
        for message in messages:
            held = _Held(message)
            task = asyncio.get_running_loop().create_task(self._settle(held))
            self._in_hand[task] = held
            task.add_done_callback(self._done)
        return bool(messages)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._in_hand.pop(task, None)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_event(f"queue {self._queue.name}: {error}")

    async def _settle(self, held: _Held) -> None:
        """Runs one message to its end: deleted, given back, or moved to the poison queue."""
        message, most = held.message, self._options.max_dequeue_count
        if self._stopping:
            await self._queue.hide(message, 0)
            return
        if message.tries > most:
            await self._move(held, "its last try ended with its process")
            return
        body = self._body(message)
        if body is None:
            self._on_event(f"queue {self._queue.name}: message {message.id} is not base64; moved to poison")
            await self._move(held, "not base64, as the app's host.json wants it")
            return
        result = await self._invoke(body, _metadata(message))
        async with held.settling:
            if result.ok:
                await self._queue.delete(message)
            elif message.tries < most:
                await self._queue.hide(message, int(self._options.visibility_timeout_s))
            else:
                await self._poison.move(self._queue, message, result.reason or result.outcome)

    async def _move(self, held: _Held, reason: str) -> None:
        async with held.settling:
            await self._poison.move(self._queue, held.message, reason)

    def _body(self, message: Taken) -> str | None:
        if not self._options.base64:
            return message.text
        try:
            return base64.b64decode(message.text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None

    async def _renew(self) -> None:
        """Keeps what is in hand invisible."""
        while True:
            await asyncio.sleep(HIDDEN_S / 10)
            for task, held in list(self._in_hand.items()):
                if held.age_s > HIDDEN_S / 2 and not held.settling.locked() and task in self._in_hand:
                    async with held.settling:
                        try:
                            await self._queue.hide(held.message, HIDDEN_S)
                            held.since = time.monotonic()
                        except QueueError as error:
                            self._on_event(f"queue {self._queue.name}: cannot be renewed ({error})")

    async def stop(self, grace_s: float) -> None:
        """Waits for what is in hand; `loop` must have been cancelled. A look under way gives back what it brings."""
        self._stopping = True
        if self._looking is not None:
            await asyncio.wait([self._looking], timeout=grace_s)
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=grace_s)
        for task in list(self._in_hand):
            task.cancel()
        await asyncio.gather(*self._in_hand, return_exceptions=True)


async def listen_for(rung: asyncio.Event, wait_s: float, longest_s: float) -> float:
    """Until the bell rings or it is time for a look; answers how long the next wait may be."""
    try:
        async with asyncio.timeout(wait_s * random.uniform(0.8, 1.2)):  # noqa: S311 - spreads polls, guards nothing
            await rung.wait()
    except TimeoutError:
        return min(wait_s * 2, longest_s)
    return POLL_S


class PoisonPlace:
    """The `-poison` queue of one trigger, and the notes of why the host put something there."""

    def __init__(self, queue: QueueClient, notes: PoisonNotes, function: str) -> None:
        self._queue, self._notes, self._function = queue, notes, function

    async def move(self, source: QueueClient, message: Taken, reason: str) -> None:
        """As it came; there first, then gone here: a crash between leaves two, never none."""
        moved = await self._queue.put(message.text)
        note = PoisonNote(id=moved, function=self._function, attempts=message.tries, reason=reason)
        self._notes.add(note)
        await source.delete(message)


class _Held:
    """A message in hand; `settling` is locked while it is renewed or settled: each of them changes its receipt."""

    def __init__(self, message: Taken) -> None:
        self.message = message
        self.settling = asyncio.Lock()
        self.since = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.since


def _metadata(message: Taken) -> dict[str, Any]:
    return {
        "Id": message.id,
        "DequeueCount": message.tries or 1,
        "PopReceipt": message.receipt,
        **{_METADATA[name]: _iso(text) for name, text in message.times.items() if text},
    }


@lru_cache(64)
def _iso(text: str) -> str:
    return parsedate_to_datetime(text).strftime("%Y-%m-%dT%H:%M:%S+00:00")
