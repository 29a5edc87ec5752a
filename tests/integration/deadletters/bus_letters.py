"""Messages that are given up, and the operator's command that looks at them and sends them back."""

from pathlib import Path
from typing import Any, Self

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage

from localcloud.deadletters.bus_journal import BusJournal
from localcloud.deadletters.bus_place import BusPlace, places_of
from localcloud.deadletters.entry import Entry
from localcloud.deadletters.place import Pace
from localcloud.session.bus_access import BusAccess
from tests.integration.emulators.bus_clients import RECEIVER, SENDER, Buses
from tests.integration.emulators.local import TokenOf

OPERATOR = ((SENDER, ""), (RECEIVER, ""))
"""Less than Manage is enough: both roles may read what there is."""


class Killed(BaseException):
    """The command ends here, whatever it was about to do."""


class Command:
    """One run of the command after the other: each opens the namespace anew and puts it in order first."""

    def __init__(self, buses: Buses, folder: Path) -> None:
        self._buses, self._file = buses, folder / "journal.sqlite"
        self._principal = buses.worker(*OPERATOR)

    def __call__(self, origin: str, *, spread: bool = False) -> "Opened":
        return Opened(self._buses, self._principal, self._file, origin, spread=spread)


class Opened:
    """The places of one entity, while a command has them."""

    def __init__(self, buses: Buses, principal: str, file: Path, origin: str, *, spread: bool) -> None:
        self.journal = BusJournal(file)
        self._access = BusAccess(buses.host, TokenOf(buses.local, principal), buses.local.ca)
        found = places_of(self._access, self.journal, name=buses.name, spread=spread)
        self.places = [place for place in found if place._entity.name == origin]

    def __enter__(self) -> Self:
        for place in self.places:
            place.recover()
        return self

    def __exit__(self, *_: object) -> None:
        self._access.close()
        self.journal.close()

    @property
    def only(self) -> BusPlace:
        (found,) = self.places
        return found

    def entries(self) -> list[Entry]:
        return [entry for place in self.places for entry in place.entries()]

    def redrive(self, *excerpts: str) -> int:
        """Those that are said, or all; how many were done."""
        done: list[int] = []
        for place in self.places:
            chosen = [one for one in place.entries() if not excerpts or one.excerpt in excerpts]
            place.redrive(chosen, Pace(), done.append)
        return sum(done)


def bury(buses: Buses, queue: str, *messages: ServiceBusMessage, subscription: str | None = None, **said: Any) -> None:
    """Sends them, and gives them up as a container does."""
    with buses.client(buses.worker((SENDER, ""))) as client:
        make = client.get_topic_sender if subscription else client.get_queue_sender
        with make(queue) as sender:
            sender.send_messages(list(messages))
    sessions = {"session_id": NEXT_AVAILABLE_SESSION} if messages[0].session_id else {}
    with buses.receiver(queue, subscription, **sessions) as receiver:
        left = len(messages)
        while left:
            for one in receiver.receive_messages(left, max_wait_time=10):
                receiver.dead_letter_message(one, **{"reason": "Broken", "error_description": "no total", **said})
                left -= 1


def text(body: str, **more: Any) -> ServiceBusMessage:
    return ServiceBusMessage(body, **more)
