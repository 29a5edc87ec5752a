"""Queues that keep what they are given, for tests of what a step sends."""

import threading

import msgspec

from core.alma_analytics import names
from core.clients.faults import Transient
from core.jobs.outbox import Database, Outbox
from core.messages.envelope import Envelope, unpack

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Taken:
    """One queue."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.down = False
        self._lock = threading.Lock()

    def send(self, body: bytes, *, delay_s: int = 0) -> None:
        if self.down:
            raise Transient("queue: 503")
        envelope = unpack(body)
        assert envelope is not None
        assert delay_s == 0
        with self._lock:
            self.envelopes.append(envelope)

    @property
    def ids(self) -> list[str]:
        return [envelope.id for envelope in self.envelopes]


class Queues:
    """All of the system's, and an outbox for them."""

    def __init__(self, database: Database) -> None:
        self.by_name = {name: Taken() for name in names.QUEUES}
        self.outbox = Outbox(database, self.by_name)

    def __getitem__(self, name: str) -> Taken:
        return self.by_name[name]

    def said(self) -> list[tuple[str, object]]:
        """Queue and body of everything sent."""
        return [
            (name, msgspec.json.decode(envelope.body))
            for name, queue in self.by_name.items()
            for envelope in queue.envelopes
        ]
