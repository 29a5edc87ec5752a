"""What was sent, acknowledged, delivered and completed, as the clients saw it; and what must hold of it in the end."""

from collections import Counter
from typing import Final, NamedTuple

from localcloud.session.chaos_bus.wire import Delivery
from localcloud.session.chaos_report import Judged

SHOWN: Final = 20


class Place(NamedTuple):
    """Where messages are received."""

    path: str
    entity: str
    """Where they are sent to."""
    sessions: bool


PLACES: Final = (
    Place("plain", "plain", sessions=False),
    Place("sessions", "sessions", sessions=True),
    Place("topic/Subscriptions/plain", "topic", sessions=False),
    Place("topic/Subscriptions/sessions", "topic", sessions=True),
)
SESSIONS: Final = tuple(f"session-{number}" for number in range(8))


class Sent(NamedTuple):
    """One message: which entity, whose it is, the how manieth of that producer."""

    entity: str
    session: str
    producer: int
    number: int


class Truth:
    """A run's ledger. Ids are never sent twice: what was not acknowledged may be there once, or not."""

    def __init__(self) -> None:
        self.sent: dict[str, Sent] = {}
        self.acknowledged = set[str]()
        self.completed: dict[str, set[str]] = {place.path: set() for place in PLACES}
        self.doubtful: dict[str, set[str]] = {place.path: set() for place in PLACES}
        """Completed, and the broker's answer never came."""
        self.left: dict[str, set[str]] = {place.path: set() for place in PLACES}
        """There at the end."""
        self.deliveries = 0
        self._open: dict[tuple[str, str], dict[int, str]] = {}
        """Delivered and perhaps not completed, by sequence number, of each session of a place."""
        self._last: dict[tuple[str, str, int], int] = {}
        """The number of the last message of a producer that came for the first time in a session of a place."""
        self._seen: dict[str, set[str]] = {place.path: set() for place in PLACES}
        self._wrong: dict[str, list[str]] = {}

    def wrong(self, kind: str, text: str) -> None:
        """What must not be."""
        self._wrong.setdefault(kind, []).append(f"{kind}: {text}")

    def send(self, name: str, entity: str, session: str, producer: int, number: int) -> None:
        """One is about to be sent."""
        self.sent[name] = Sent(entity, session, producer, number)

    def delivered(self, place: Place, one: Delivery, taken: dict[int, str]) -> None:
        """A message came. `taken`: what this holder of the session was given so far, by sequence number."""
        self.deliveries += 1
        sent = self.sent.get(one.id)
        if sent is None or sent.entity != place.entity:
            self.wrong("strange", f"{place.path} delivered {one.id}, which was never sent there")
            return
        if one.id in self.completed[place.path]:
            self.wrong("came_back", f"{place.path} delivered {one.id} after its completion was acknowledged")
        if place.sessions:
            self._in_order(place, one, sent, taken)
        self._seen[place.path].add(one.id)
        taken[one.sequence] = one.id

    def _in_order(self, place: Place, one: Delivery, sent: Sent, taken: dict[int, str]) -> None:
        if one.session != sent.session:
            self.wrong("order", f"{place.path} delivered {one.id} in {one.session}, it was sent to {sent.session}")
        if taken and one.sequence <= max(taken):
            self.wrong("order", f"{place.path} {sent.session}: {one.sequence} came after {max(taken)} to one holder")
        open_ = self._open.setdefault((place.path, sent.session), {})
        # One that was not acknowledged may have gone with the broker.
        early = [
            other
            for other in open_
            if other < one.sequence and other not in taken and open_[other] in self.acknowledged
        ]
        if early:
            self.wrong("order", f"{place.path} {sent.session}: {one.sequence} came while {min(early)} was to be had")
        open_[one.sequence] = one.id
        key = (place.path, sent.session, sent.producer)
        if one.id not in self._seen[place.path]:
            if self._last.get(key, -1) > sent.number:
                self.wrong("order", f"{place.path} {sent.session}: {one.id} came after number {self._last[key]}")
            self._last[key] = max(sent.number, self._last.get(key, -1))

    def settling(self, place: Place, one: Delivery) -> None:
        """From here on it may be completed."""
        self.doubtful[place.path].add(one.id)
        self._open.get((place.path, one.session or ""), {}).pop(one.sequence, None)

    def settled(self, place: Place, one: Delivery) -> None:
        """It is: the broker has said so."""
        self.doubtful[place.path].discard(one.id)
        self.completed[place.path].add(one.id)

    def judge(self) -> Judged:
        """Adds up, place by place."""
        lost = doubtful = 0
        for place in PLACES:
            due = {one for one in self.acknowledged if self.sent[one].entity == place.entity}
            gone = due - self.completed[place.path] - self.doubtful[place.path] - self.left[place.path]
            lost += len(gone)
            for one in sorted(gone):
                self.wrong("lost", f"{place.path} has not {one}, which was acknowledged and never completed")
            doubtful += len(self.doubtful[place.path])
        found = Counter({kind: len(texts) for kind, texts in self._wrong.items()})
        counts = {
            "sent": len(self.sent), "acknowledged": len(self.acknowledged), "delivered": self.deliveries,
            "completed": sum(map(len, self.completed.values())), "in_doubt": doubtful,
            "left": sum(map(len, self.left.values())), "lost": lost, "came_back": found["came_back"],
            "out_of_order": found["order"],
        }  # fmt: skip
        return Judged(counts=counts, wrong=[text for texts in self._wrong.values() for text in texts[:SHOWN]])
