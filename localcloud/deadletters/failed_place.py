"""log_ingest's failed-file place: letters in a blob container, each with lines, the rest of a file, or a message.

A redrive only *asks*: a message on the system's own queue names the letter, and the worker, which alone may say that
rows are in, changes or removes it (core/log_ingest/redrive.py). So asking twice, or half, does no harm.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import msgspec

from core.clients.blob import BlobContainer
from core.clients.faults import Changed
from core.log_ingest.dead_letters import DeadEntry, DeadFile, DeadMessage
from core.log_ingest.notices import Again
from localcloud.deadletters.entry import BODY_BYTES, Entry, Kind, shown
from localcloud.deadletters.place import Pace, Tell

_AT_ONCE: Final = 16
_BATCH: Final = 10  # SQS's own limit
_TRIES: Final = 5


class Sender(Protocol):
    """The queue that the system's worker reads."""

    def send(self, bodies: Sequence[str]) -> None:
        """At most ten messages."""


class FailedPlace:
    """One container."""

    kinds: Sequence[Kind] = ("line", "file", "message")

    def __init__(self, name: str, system: str, container: BlobContainer, sender: Sender) -> None:
        """`name` for people; `sender`: where the worker listens."""
        self.name, self._system = name, system
        self._container, self._sender = container, sender

    def entries(self) -> list[Entry]:
        """Every entry of every letter."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(self._of_letter, self._container.names())
            return sorted((entry for part in found for entry in part), key=lambda entry: entry.time)

    def hidden(self) -> int:
        """Blobs hide nothing."""
        return 0

    def recover(self) -> None:
        """A letter is as good as its last writing."""

    def redrive(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        """Asks the worker to try them again."""
        asked = list(self._asked(entries))
        size = pace.batch(_BATCH)
        for at in range(0, len(asked), size):
            part = asked[at : at + size]
            count = sum(count for _, count in part)
            pace.wait(count)
            self._sender.send([again.body() for again, _ in part])
            tell(count)

    def drop(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        """Takes them out of their letters."""
        for letter, positions in _by_letter(entries).items():
            pace.wait(len(positions) or 1)
            if positions:
                self._take_out(letter, positions)
            else:
                self._container.delete(letter)
            tell(len(positions) or 1)

    def _asked(self, entries: Sequence[Entry]) -> Iterator[tuple[Again, int]]:
        """Each request with the number of entries it is about."""
        for letter, positions in _by_letter(entries).items():
            yield Again(letter, tuple(sorted(positions))), len(positions) or 1

    def _take_out(self, letter: str, positions: set[int]) -> None:
        for _ in range(_TRIES):
            kept = self._container.get(letter)
            if kept is None:
                return
            head = msgspec.json.decode(kept.body, type=DeadFile)
            head.entries = [entry for entry in head.entries if entry.position not in positions]
            if not head.entries:
                self._container.delete(letter)
                return
            try:
                self._container.put(letter, msgspec.json.encode(head), etag=kept.etag)
            except Changed:
                continue
            return
        raise Changed(f"dead letter {letter}: others write it all the time; try again")

    def _of_letter(self, name: str) -> list[Entry]:
        kept = self._container.get(name)
        if kept is None:  # it came back meanwhile
            return []
        try:
            if name.startswith("messages/"):
                return [self._message(name, msgspec.json.decode(kept.body, type=DeadMessage))]
            letter = msgspec.json.decode(kept.body, type=DeadFile)
        except msgspec.DecodeError as error:
            return [self._unreadable(name, kept.body, str(error))]
        return [self._entry(name, letter, entry) for entry in letter.entries]

    def _entry(self, name: str, letter: DeadFile, entry: DeadEntry) -> Entry:
        more = {"last": shown(entry.last, BODY_BYTES)} if entry.last else {}
        return Entry(
            id=f"{name.split('/')[1]}-{entry.position}", kind="line" if entry.scope == "line" else "file",
            system=self._system, origin=shown(f"{letter.bucket}/{letter.key}", BODY_BYTES),
            reason=shown(entry.reason, BODY_BYTES), time=entry.time or letter.time, attempts=entry.attempts,
            size=len(entry.excerpt), excerpt=shown(entry.excerpt),
            details={
                "letter": name, "line": entry.line, "position": entry.position, "version": letter.version,
                "event_time": letter.event_time, "message_id": letter.message_id, **more,
            },
        )  # fmt: skip

    def _message(self, name: str, letter: DeadMessage) -> Entry:
        return Entry(
            id=letter.message_id, kind="message", system=self._system, origin=self.name,
            reason=shown(letter.reason, BODY_BYTES), time=letter.time, attempts=letter.attempts,
            size=len(letter.body.encode()), excerpt=shown(letter.body),
            details={"letter": name, "receives": letter.receives, "body": shown(letter.body, BODY_BYTES)},
        )  # fmt: skip

    def _unreadable(self, name: str, body: bytes, why: str) -> Entry:
        details: dict[str, Any] = {"letter": name}
        return Entry(
            id=name.replace("/", "-"), kind="message", system=self._system, origin=self.name,
            reason=f"not one of our letters: {why}", time="1970-01-01T00:00:00Z", attempts=0, size=len(body),
            excerpt=shown(body[:200]), details=details,
        )  # fmt: skip


def _by_letter(entries: Sequence[Entry]) -> dict[str, set[int]]:
    """Letter → positions; none for a letter that is one entry as a whole."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for entry in entries:
        found[entry.details["letter"]] |= {entry.details["position"]} if "position" in entry.details else set()
    return found
