"""Storage queue triggers with the platform's semantics: batches, visibility, tries, poison queue, polling back-off.

Sources: host.json reference (`extensions.queues`) and the storage extension's QueueListener and QueueProcessor.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from localcloud.host.spec import HostError, InvocationResult

_HIDDEN_S = 600  # a message in hand is invisible this long, renewed at half time
_POLL_S = 0.1  # shortest wait after an empty look

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
        client: QueueClient,
        poison: QueueClient,
        options: QueueOptions,
        *,
        invoke: Invoke,
        ready: asyncio.Event,
        on_event: Callable[[str], None],
    ) -> None:
        """`invoke(body, metadata)` runs the function; `ready` is set while the instance can take work."""
        self._client = client
        self._poison = poison
        self._options = options
        self._invoke = invoke
        self._ready = ready
        self._on_event = on_event
        self._room = asyncio.Event()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.backlog = False
        """True when the last look brought a full batch."""

    @property
    def in_hand(self) -> int:
        """Messages taken and not settled."""
        return len(self._in_hand)

    async def loop(self) -> None:
        """Polls until cancelled."""
        wait_s = _POLL_S
        while True:
            await self._ready.wait()
            while self.in_hand > self._options.new_batch_threshold:
                self._room.clear()
                await self._room.wait()
            messages = await self._look()
            self.backlog = len(messages) == self._options.batch_size
            for message in messages:
                task = asyncio.get_running_loop().create_task(self._settle(message))
                self._in_hand.add(task)
                task.add_done_callback(self._done)
            if messages:
                wait_s = _POLL_S
            else:
                await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads polls, guards nothing
                wait_s = min(wait_s * 2, self._options.max_polling_interval_s)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_event(f"queue {self._client.queue_name}: {error}")

    async def _look(self) -> list[QueueMessage]:
        size = self._options.batch_size
        try:
            pages = self._client.receive_messages(
                messages_per_page=size, max_messages=size, visibility_timeout=_HIDDEN_S
            )
            return [message async for message in pages]
        except AzureError as error:
            self._on_event(f"queue {self._client.queue_name}: cannot be read ({error.message.splitlines()[0]})")
            return []

    async def _settle(self, message: QueueMessage) -> None:
        """Runs one message to its end: deleted, given back, or moved to the poison queue."""
        if (message.dequeue_count or 0) > self._options.max_dequeue_count:  # its last try ended with its process
            await self._move(message)
            return
        body = self._body(message)
        if body is None:
            self._on_event(f"queue {self._client.queue_name}: message {message.id} is not base64; moved to poison")
            await self._move(message)
            return
        renewal = asyncio.get_running_loop().create_task(self._renew(message))
        try:
            result = await self._invoke(body, _metadata(message))
        finally:
            renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewal
        if result.ok:
            await self._client.delete_message(message.id, message.pop_receipt)
        elif (message.dequeue_count or 0) >= self._options.max_dequeue_count:
            await self._move(message)
        else:
            wait_s = int(self._options.visibility_timeout_s)
            await self._client.update_message(message.id, message.pop_receipt, visibility_timeout=wait_s)

    def _body(self, message: QueueMessage) -> str | None:
        if not self._options.base64:
            return str(message.content)
        try:
            return base64.b64decode(message.content, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(_HIDDEN_S / 2)
            renewed = await self._client.update_message(message.id, message.pop_receipt, visibility_timeout=_HIDDEN_S)
            message.pop_receipt = renewed.pop_receipt

    async def _move(self, message: QueueMessage) -> None:
        """To the poison queue as it came; there first, then gone here: a crash between leaves two, never none."""
        try:
            await self._poison.send_message(message.content, time_to_live=-1)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                await self._poison.create_queue()
            await self._poison.send_message(message.content, time_to_live=-1)
        await self._client.delete_message(message.id, message.pop_receipt)

    async def stop(self, grace_s: float) -> None:
        """Waits for what is in hand; `loop` must have been cancelled. The clients are closed."""
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=grace_s)
        for task in list(self._in_hand):
            task.cancel()
        await asyncio.gather(*self._in_hand, return_exceptions=True)
        await self._client.close()
        await self._poison.close()


def _metadata(message: QueueMessage) -> dict[str, Any]:
    times = {
        "ExpirationTime": message.expires_on,
        "InsertionTime": message.inserted_on,
        "NextVisibleTime": message.next_visible_on,
    }
    return {
        "Id": message.id,
        "DequeueCount": message.dequeue_count or 1,
        "PopReceipt": message.pop_receipt,
        **{name: time.strftime("%Y-%m-%dT%H:%M:%S+00:00") for name, time in times.items() if time is not None},
    }
