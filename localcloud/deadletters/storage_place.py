"""A storage queue's `-poison` queue, where the Functions host puts what failed too often, and a step what is hopeless.

Looking is done with Microsoft's SDK as the operator: messages are received, hidden for a while, and given back (peeking
shows 32 and no more). Moving them is the supervisor's work (poison_moves.py), which lives longer than a command.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Protocol

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from core.messages.poison import find
from localcloud.deadletters.entry import BODY_BYTES, Entry, Kind, rfc3339, shown
from localcloud.deadletters.holds import Hold, Holds
from localcloud.deadletters.place import DeadLetterError, Pace, Tell
from localcloud.host.poison_notes import PoisonNote

LOOK_S: Final = 60
_BATCH: Final = 32  # the service's own limit
_POLL_S: Final = 0.1
TRIES: Final = 5
"""host.json's maxDequeueCount unless an app says otherwise: the poison queue does not keep how often it was."""


class Mover(Protocol):
    """Moves poison messages, whatever becomes of the command that asked for it."""

    def start(self, account: str, queue: str, ids: Sequence[str], rate: float) -> None:
        """Begins; refused while another move runs."""

    def moved(self) -> tuple[int, bool]:
        """(moved so far, still at it). DeadLetterError when it failed."""

    def stop(self) -> None:
        """Ends it after the messages in hand."""


class StoragePlace:
    """One poison queue."""

    kinds: Sequence[Kind] = ("storage",)

    def __init__(
        self, client: QueueClient, mover: Mover, *, account: str, queue: str, system: str, app: str, holds: Holds,
        why: Callable[[], dict[str, PoisonNote]] = dict, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`client`: of `{queue}-poison`; `app`: whose step the queue triggers; `why`: what its host noted."""
        self.name = f"{account}/{queue}-poison"
        self._client, self._mover = client, mover
        self._account, self._queue, self._system, self._app = account, queue, system, app
        self._why = why
        self._holds, self._clock = holds, clock

    def entries(self) -> list[Entry]:
        """Those that are visible now."""
        with self._in_hand() as held:
            notes = self._why() if held else {}
            found = [self._entry(message, notes.get(message.id)) for message in held.values()]
        return sorted(found, key=lambda entry: entry.time)

    def hidden(self) -> int:
        """Those in somebody's hands; while some are visible, it cannot be told."""
        total = self._client.get_queue_properties().approximate_message_count or 0
        return max(0, total - len(self._client.peek_messages(_BATCH))) if total <= _BATCH else 0

    def recover(self) -> None:
        """Waits for a move under way, then gives back what a killed command held."""
        with suppress(DeadLetterError):
            while self._mover.moved()[1]:
                time.sleep(_POLL_S)
        for hold in self._holds.left():
            self._give_back(hold.id, hold.receipt)
        self._holds.clear()

    def redrive(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        """Has the supervisor move them to the queue they came from."""
        self._mover.start(self._account, self._queue, [entry.id for entry in entries], pace.rate)
        told, busy = 0, True
        try:
            while busy:
                moved, busy = self._mover.moved()
                tell(moved - told)
                told = moved
                time.sleep(_POLL_S if busy else 0)
        except KeyboardInterrupt:
            self._mover.stop()
            raise

    def drop(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        """Deletes them."""
        with self._in_hand() as held:
            for entry in entries:
                if entry.id in held:
                    pace.wait()
                    with suppress(ResourceNotFoundError):
                        self._client.delete_message(entry.id, held[entry.id].pop_receipt)
                    del held[entry.id]
                    tell(1)

    @contextmanager
    def _in_hand(self) -> Iterator[dict[str, QueueMessage]]:
        """Every visible message by its id, hidden for a while; what is in the dict at the end is given back."""
        held: dict[str, QueueMessage] = {}
        try:
            pages = self._client.receive_messages(messages_per_page=_BATCH, visibility_timeout=LOOK_S).by_page()
            for messages in map(list, pages):
                self._holds.add(Hold(one.id, one.pop_receipt or "") for one in messages)
                held |= {one.id: one for one in messages}
            yield held
        finally:
            for message in held.values():
                self._give_back(message.id, message.pop_receipt or "")
            self._holds.clear()

    def _give_back(self, message_id: str, receipt: str) -> None:
        with suppress(HttpResponseError):  # gone, or in other hands since
            self._client.update_message(message_id, receipt, visibility_timeout=0)

    def _entry(self, message: QueueMessage, note: PoisonNote | None) -> Entry:
        found, inserted = find(str(message.content)), message.inserted_on
        reason, attempts, details = f"failed {TRIES} times, or could not be decoded; see the app's log", TRIES, {}
        if found.poison:
            reason, attempts = found.poison.reason, found.attempt
            details = {"function": found.poison.function, "trace": found.traceparent[3:35]}
        elif note:
            reason, attempts, details = note.reason, note.attempts, {"function": note.function}
        return Entry(
            id=message.id, kind="storage", system=self._system, app=self._app, origin=self._queue,
            reason=shown(reason, BODY_BYTES), attempts=attempts,
            time=rfc3339(int((inserted.timestamp() if inserted else self._clock()) * 1000)),
            size=len(found.body.encode()), excerpt=shown(found.body),
            details={
                "queue": self.name, **details, "receives": message.dequeue_count or 0,
                "body": shown(found.body, BODY_BYTES),
            },
        )  # fmt: skip
