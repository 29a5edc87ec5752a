"""A dead-letter place of Service Bus: a queue's or subscription's own dead-letter queue, or a `<name>-dead` queue.

To look is to peek: nothing is locked and no count rises. To send a letter back, it is received (locked), a copy is sent
to the queue or topic that it came from, and then the letter is completed. The service has transactions for that, but
not for Python's SDK, so the journal remembers each copy from before it is sent until its letter is gone:

- killed before the sending: the letter is there, the copy is not; the next command sends it;
- killed after the note that it was sent: the next command completes the letter and sends nothing;
- killed in between: the next command looks for the copy (it carries the letter's id as an application property) in the
  entity and its dead-letter queue. Found: as sent. Not found: sent again, with the same message id, which duplicate
  detection drops where the entity has it. Elsewhere a copy that was already worked on meanwhile comes twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final

from azure.servicebus import (
    ServiceBusMessageBatch,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSender,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusError

from localcloud.deadletters.bus_journal import BusJournal, Copy
from localcloud.deadletters.bus_letters import MARK, copy_of, entry, id_of_copy, mark
from localcloud.deadletters.entry import Entry, Kind
from localcloud.deadletters.place import DeadLetterError, Pace, Tell
from localcloud.session.bus_access import BusAccess, Entity, peeked
from localcloud.session.bus_messages import properties_of

BATCH: Final = 50
WAIT_S: Final = 2.0
"""For a message of a dead-letter queue that is not empty."""


class BusPlace:
    """`lies_in`: where the letters are; `entity`: where they came from and go back to."""

    kinds: Sequence[Kind] = ("bus",)

    def __init__(
        self,
        access: BusAccess,
        journal: BusJournal,
        entity: Entity,
        *,
        namespace: str,
        lies_in: Entity | None = None,
        sub_queue: ServiceBusSubQueue | None = ServiceBusSubQueue.DEAD_LETTER,
        beside: Sequence[Entity] = (),
        spread: bool = False,
        system: str = "",
        app: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`lies_in`: a `-dead` queue, then without a sub-queue; `beside`: the other subscriptions of its topic;
        `spread`: they may get what is sent back as well.
        """
        self._access, self._journal, self._entity = access, journal, entity
        self._lies_in, self._sub_queue = lies_in or entity, None if lies_in else sub_queue
        self._aside = lies_in is not None
        self._beside, self._spread, self._system, self._app = beside, spread, system, app
        self._clock = clock
        ending = f"/{_PATHS[self._sub_queue]}" if self._sub_queue else ""
        self.name = f"{namespace}/{self._lies_in.name}{ending}"

    def entries(self) -> list[Entry]:
        """All of them, also those that somebody holds."""
        name = partial(entry, place=self.name, entity=self._entity, system=self._system, app=self._app)
        with self._receiver() as receiver:
            return [name(one, aside=self._aside) for one in peeked(receiver)]

    def hidden(self) -> int:
        """None: a peek shows everything."""
        return 0

    def recover(self) -> None:
        """Completes letters whose copies were sent; forgets those whose letters are gone."""
        left = self._journal.left(self.name)
        if not left:
            return
        with self._receiver() as receiver:
            there = {mark(self.name, one): one.sequence_number or 0 for one in peeked(receiver)}
            self._journal.end(self.name, set(left) - set(there))
            begun = {letter for letter, copy in left.items() if letter in there and not copy.sent}
            arrived = self._arrived(begun) if begun else set()
            self._journal.sent(self.name, arrived)
            done = {letter for letter, copy in left.items() if letter in there and (copy.sent or letter in arrived)}
            for letters in self._take(receiver, {there[letter]: letter for letter in done}, BATCH):
                self._complete(receiver, letters)

    def redrive(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        """Sends copies to where they came from, then completes them."""
        self._refuse_to_spread()
        with self._receiver() as receiver, self._access.sender(self._entity) as sender:
            for letters in self._take(receiver, _numbers(entries), pace.batch(BATCH)):
                pace.wait(len(letters))
                self._send(sender, letters)
                tell(self._complete(receiver, letters))

    def drop(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        """Completes them."""
        with self._receiver() as receiver:
            for letters in self._take(receiver, _numbers(entries), pace.batch(BATCH)):
                pace.wait(len(letters))
                tell(self._complete(receiver, letters))

    def _send(self, sender: ServiceBusSender, letters: Sequence[ServiceBusReceivedMessage]) -> None:
        """Of these, what was not sent before. All that is about to go is noted first."""
        known, copies = self._journal.left(self.name), list[tuple[ServiceBusReceivedMessage, Copy]]()
        for letter in letters:
            name = mark(self.name, letter)
            before = known.get(name)
            if before is None:
                own = id_of_copy(letter, name, self._entity.duplicates_s, self._clock())
                before = Copy(name, own or "")
            if not before.sent:
                copies.append((letter, before))
        self._journal.begin(self.name, [copy for _, copy in copies])
        batch, inside = sender.create_message_batch(), list[str]()
        for letter, copy in copies:
            message = copy_of(letter, copy.letter, copy.message_id or None)
            try:
                batch.add_message(message)
            except MessageSizeExceededError:
                if not inside:
                    raise self._too_large(copy) from None
                self._sent(sender, batch, inside)
                batch, inside = sender.create_message_batch(), []
                batch.add_message(message)
            inside.append(copy.letter)
        if inside:
            self._sent(sender, batch, inside)

    def _sent(self, sender: ServiceBusSender, batch: ServiceBusMessageBatch, letters: list[str]) -> None:
        try:
            sender.send_messages(batch)
        except ServiceBusError as error:
            text = f"{self.name}: {self._entity.target} took no copies: {str(error).splitlines()[0]}"
            raise DeadLetterError(text) from error
        self._journal.sent(self.name, letters)

    def _too_large(self, copy: Copy) -> DeadLetterError:
        self._journal.end(self.name, [copy.letter])
        return DeadLetterError(
            f"dead letter {copy.letter}: must fit into a message again, but is too large with what is added; it stays"
        )

    def _complete(self, receiver: ServiceBusReceiver, letters: Sequence[ServiceBusReceivedMessage]) -> int:
        """How many are gone. One whose lock ended meanwhile is completed by `recover`."""
        gone = []
        for letter in letters:
            with suppress(ServiceBusError):
                receiver.complete_message(letter)
                gone.append(mark(self.name, letter))
        self._journal.end(self.name, gone)
        return len(gone)

    def _take(
        self, receiver: ServiceBusReceiver, wanted: Mapping[int, str], size: int
    ) -> Iterator[list[ServiceBusReceivedMessage]]:
        """Those letters (by their numbers), locked, in batches. There is no receiving by number, so others are locked
        on the way and given back at the end; that counts as one more delivery, of which a dead-letter queue allows any
        number.
        """
        left, others = dict(wanted), list[ServiceBusReceivedMessage]()
        seen = set[int]()
        try:
            while left:
                batch = receiver.receive_messages(size, max_wait_time=WAIT_S)
                if seen.issuperset(numbers := {one.sequence_number or 0 for one in batch}):
                    return  # the rest is in somebody's hands
                seen |= numbers
                found = [one for one in batch if left.get(one.sequence_number or 0) == mark(self.name, one)]
                others += [one for one in batch if one not in found]
                for one in found:
                    del left[one.sequence_number or 0]
                if found:
                    yield found
        finally:
            for one in others:
                with suppress(ServiceBusError):
                    receiver.abandon_message(one)

    def _arrived(self, letters: set[str]) -> set[str]:
        """Which copies can be seen where they were sent to."""
        found = set[str]()
        for entity in (self._entity, *self._beside):
            own = [] if entity.sessions else [None]  # sessions are looked into by whoever holds them only
            for sub_queue in (*own, ServiceBusSubQueue.DEAD_LETTER):
                with self._access.receiver(entity, sub_queue) as receiver:
                    found |= {str(properties_of(one).get(MARK)) for one in peeked(receiver)}
        return found & letters

    def _refuse_to_spread(self) -> None:
        if self._beside and not self._spread:
            others = ", ".join(one.subscription for one in self._beside)
            raise DeadLetterError(
                f"{self.name}: Service Bus has no way to send to one subscription; sent to topic {self._entity.topic}, "
                f"a letter reaches its other subscriptions too, as their filters say: {others}. If they may get it "
                "twice, say --via-topic"
            )

    def _receiver(self) -> ServiceBusReceiver:
        return self._access.receiver(self._lies_in, self._sub_queue)


_PATHS: Final = {
    ServiceBusSubQueue.DEAD_LETTER: "$DeadLetterQueue",
    ServiceBusSubQueue.TRANSFER_DEAD_LETTER: "$Transfer/$DeadLetterQueue",
}


def _numbers(entries: Sequence[Entry]) -> dict[int, str]:
    return {int(one.details["sequence_number"]): one.id for one in entries}


Owner = Callable[[Entity], tuple[str, str]]
"""An entity → its system, and the app whose step it triggers; empty for what is not known."""


def places_of(
    access: BusAccess, journal: BusJournal, *, name: str, spread: bool, owner: Owner = lambda _: ("", "")
) -> Iterator[BusPlace]:
    """Every place of the namespace `name` that is not empty. `spread`: see BusPlace."""
    entities = access.entities()
    queues = {one.queue: one for one in entities if one.queue}
    for entity in entities:
        system, app = owner(entity)
        make = partial(
            BusPlace, access, journal, entity, namespace=name, spread=spread, system=system, app=app,
            beside=[one for one in entities if one.topic and one.topic == entity.topic and one is not entity],
        )  # fmt: skip
        if entity.dead:
            yield make()
        if entity.transfer_dead:
            yield make(sub_queue=ServiceBusSubQueue.TRANSFER_DEAD_LETTER)
        if entity.aside in queues and queues[entity.aside].active:
            yield make(lies_in=queues[entity.aside])
