"""Moves messages from a storage queue's `-poison` queue back to the queue, each exactly once.

The service has no transactions and no move, so each message takes four steps, the first three of them recorded:

1. a copy (of the message itself, out of what a step wrapped around it) is put into the queue, hidden for seven days and
   gone one second after: nobody can receive it;
2. the copy's id and receipt are written down;
3. the poison message is deleted by its receipt (refused: somebody else has it; then the copy is deleted instead);
4. the copy is made visible by its receipt (refused: it was made so before).

Killed anywhere, `resume` goes on from the record. Only between 1 and 2 the copy's receipt is lost; then the poison
message is still there, and the copy is never made visible. The service counts it among the messages until it is gone:
`unseen` says how many such copies a queue may hold. Released copies live seven days, the service's own default.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from core.messages.poison import find
from localcloud.deadletters.poison_journal import Journal, Move

HIDDEN_S: Final = 7 * 24 * 3600
"""The longest that the service hides a message."""
AT_ONCE: Final = 8
_BATCH: Final = 32
HOLD_S: Final = 60
"""Messages in hand are hidden so long: many times what a batch takes. What is not wanted may come by again."""
GONE: Final = "MessageNotFound"
STALE: Final = "PopReceiptMismatch"


Clients = Callable[[str, str], QueueClient]
"""(account, queue) → the queue's client; whoever asks closes it."""


class Busy(Exception):  # noqa: N818  reads as what it is
    """A move is running."""


class PoisonMoves:
    """One move at a time."""

    def __init__(
        self,
        journal: Journal,
        clients: Clients,
        *,
        hidden_s: int = HIDDEN_S,
        hold_s: int = HOLD_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._clients, self._clock = journal, clients, clock
        self._hidden_s, self._hold_s = hidden_s, hold_s
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.moved = 0

    @property
    def running(self) -> bool:
        """Whether a move is under way."""
        return self._task is not None and not self._task.done()

    @property
    def failure(self) -> str:
        """Why the last move ended before its end; empty when it did not."""
        over = self._task is not None and self._task.done() and not self._task.cancelled()
        error = self._task.exception() if over and self._task else None
        return f"{type(error).__name__}: {error}" if error else ""

    def unseen(self, account: str, queue: str) -> int:
        """Messages counted in a queue that nobody will receive: copies of moves that were killed."""
        return self._journal.unseen(account, queue, int(self._clock()))

    async def resume(self) -> None:
        """Ends what was under way when the process ended. Must run before anything else moves."""
        for move in self._journal.open():
            queue, poison = self._pair(move.account, move.queue)
            async with queue, poison:
                await self._finish(move, queue, poison)
        for account, name, message_id, receipt in self._journal.held():
            _, poison = self._pair(account, name)
            async with poison:
                await _give_back(poison, message_id, receipt)
        self._journal.clear_holds()

    def start(self, account: str, queue: str, ids: Sequence[str], rate: float = 0) -> None:
        """Begins to move the messages of these ids, at most `rate` a second (0: no limit). Raises Busy."""
        if self.running:
            raise Busy(
                "poison messages are being moved already; wait for it, or stop it with Ctrl-C where it was begun"
            )
        self.moved, self._stopping = 0, False
        self._task = asyncio.get_running_loop().create_task(self._run(account, queue, set(ids), rate))

    async def wait(self) -> None:
        """Until the move under way is over, however it ends."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Ends after the messages in hand."""
        self._stopping = True
        await self.wait()

    async def _run(self, account: str, name: str, ids: set[str], rate: float) -> None:
        others: list[QueueMessage] = []
        queue, poison = self._pair(account, name)
        async with queue, poison:
            try:
                while ids and not self._stopping:
                    size = max(1, min(_BATCH, int(rate / 4))) if rate else _BATCH
                    messages = await _receive(poison, size, self._hold_s)
                    if not messages:
                        return
                    self._journal.hold(account, name, [(one.id, one.pop_receipt or "") for one in messages])
                    wanted = [message for message in messages if message.id in ids]
                    others += [message for message in messages if message.id not in ids]
                    ids -= {message.id for message in wanted}
                    began = self._clock()
                    for at in range(0, len(wanted), AT_ONCE):
                        part = wanted[at : at + AT_ONCE]
                        moves = (self._move(account, name, one, queue, poison) for one in part)
                        ended = await asyncio.gather(*moves, return_exceptions=True)
                        if failed := [one for one in ended if isinstance(one, BaseException)]:
                            others += wanted[at:]
                            raise failed[0]
                    if rate:
                        await asyncio.sleep(max(0, len(wanted) / rate - (self._clock() - began)))
            finally:
                for message in others:
                    await _give_back(poison, message.id, message.pop_receipt or "")
                self._journal.clear_holds()

    def _pair(self, account: str, name: str) -> tuple[QueueClient, QueueClient]:
        return self._clients(account, name), self._clients(account, f"{name}-poison")

    async def _move(
        self, account: str, name: str, message: QueueMessage, queue: QueueClient, poison: QueueClient
    ) -> None:
        gone_at = int(self._clock()) + self._hidden_s + 60
        receipt = message.pop_receipt or ""
        number = self._journal.begin(account, name, (message.id, receipt), gone_at)
        copy = await queue.send_message(
            find(str(message.content)).body, visibility_timeout=self._hidden_s, time_to_live=self._hidden_s + 1
        )
        self._journal.copied(number, (copy.id, copy.pop_receipt or ""))
        move = Move(number, account, name, message.id, receipt, copy.id, copy.pop_receipt)
        ours = await self._finish(move, queue, poison)  # in a line of its own: others count meanwhile
        self.moved += ours

    async def _finish(self, move: Move, queue: QueueClient, poison: QueueClient) -> bool:
        """From the second step on; False when somebody else has the poison message."""
        copy_id, copy_receipt = move.copy_id or "", move.copy_receipt or ""
        # not found: it was deleted before we were killed. A stale receipt is another error ("Common error codes" of the
        # service; M: its page on Delete Message can be read as if both were "not found").
        refused = await _refused(poison.delete_message(move.poison_id, move.poison_receipt))
        if refused == STALE:
            await _refused(queue.delete_message(copy_id, copy_receipt))
        else:  # refused: it was made visible before, and its receipt is another since, or it was settled
            await _refused(queue.update_message(copy_id, copy_receipt, visibility_timeout=0))
        self._journal.end(move.number)
        return refused != STALE


async def _receive(client: QueueClient, count: int, hold_s: int) -> list[QueueMessage]:
    pages = client.receive_messages(messages_per_page=count, max_messages=count, visibility_timeout=hold_s)
    return [message async for message in pages]


async def _refused(call: Awaitable[Any]) -> str:
    """Which of the two refusals about a message and its receipt a call met; empty: none. Others are raised."""
    try:
        await call
    except HttpResponseError as error:
        code = getattr(error, "error_code", None)  # an enumeration's member that equals its text
        if code not in {GONE, STALE}:
            raise
        return GONE if code == GONE else STALE
    return ""


async def _give_back(client: QueueClient, message_id: str, receipt: str) -> None:
    with suppress(HttpResponseError):
        await client.update_message(message_id, receipt, visibility_timeout=0)
