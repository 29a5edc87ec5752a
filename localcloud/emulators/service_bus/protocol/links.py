"""What links of both directions have in common: handle, credit, delivery-count."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.codec.types import CodecError, UInt, ULong
from localcloud.emulators.service_bus.protocol.errors import Condition, LinkError

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.session import Session

CREDIT = 1000
"""Deliveries that we let a peer send ahead. Microsoft's Python SDK does not mind; the session's window bounds it."""
_MASK = 0xFFFFFFFF


class Link:
    """One attached link; both sides use the peer's number as its handle."""

    def __init__(self, session: "Session", handle: int, attach: list[Any]) -> None:
        self.session = session
        self.handle = handle
        self.name = attach[0]
        self.attach = attach

    def gone(self) -> None:
        """The link is over."""

    def write_attach(self, *, largest: int, source: Any, properties: dict[Any, Any] | None = None) -> None:
        """Our half of the attach. Source and target are never null: clients take that for a refusal."""
        peer_receives = self.attach[2] is True
        target = self.attach[6] if self.attach[6] is not None else frames.composite(frames.TARGET, [None] * 7)
        self.session.connection.out += frames.write(
            frames.ATTACH,
            [
                self.name, UInt(self.handle), not peer_receives, self.attach[3], self.attach[4],
                source if source is not None else frames.composite(frames.SOURCE, [None] * 11), target,
                None, None, UInt(0) if peer_receives else None, ULong(largest), None, None, properties,
            ],
            channel=self.session.channel,
        )  # fmt: skip
        self.session.connection.flush_soon()


class Sending(Link):
    """A link on which the peer receives."""

    credit = 0
    delivery_count = 0

    def flow(self, delivery_count: Any, credit: Any, *, drain: bool, echo: bool) -> None:
        """The peer sets its credit: `delivery_count + credit` is what we may reach."""
        if not isinstance(credit, int):
            return
        seen = delivery_count if isinstance(delivery_count, int) else 0
        left = seen + credit - self.delivery_count & _MASK
        self.credit = left if left < 1 << 31 else 0
        self.credit_again()
        if drain:
            self.drain()
        if drain or echo:
            self.write_flow(drain=drain)

    def credit_again(self) -> None:
        """The credit, the window or the socket has changed."""

    def drain(self) -> None:
        """Use the credit up, with deliveries or without."""
        self.spend(self.credit)

    def spend(self, count: int) -> None:
        """Credit that is gone."""
        self.credit -= count
        self.delivery_count = self.delivery_count + count & _MASK

    def write_flow(self, *, drain: bool = False) -> None:
        """Tell where we stand."""
        self.session.write_flow([UInt(self.handle), UInt(self.delivery_count), UInt(self.credit), UInt(0), drain])


class Receiving(Link, ABC):
    """A link on which the peer sends. Puts the frames of a delivery together."""

    def __init__(self, session: "Session", handle: int, attach: list[Any], largest: int) -> None:
        super().__init__(session, handle, attach)
        self.largest = largest
        """Bytes of a message at most."""
        self.delivery_count = int(attach[9]) if isinstance(attach[9], int) else 0
        self.credit = CREDIT
        self._number: int | None = None
        self._form = 0
        self._settled = False
        self._parts = bytearray()
        self._size = 0

    def transfer(
        self, delivery_id: int | None, form: int, part: bytes, *, settled: bool, more: bool, aborted: bool
    ) -> None:
        """One frame of a delivery. Raises LinkError."""
        if self._number is None:
            if delivery_id is None:
                raise LinkError(Condition.INVALID_FIELD, "the first frame of a delivery has a delivery-id")
            if not more and not aborted:  # the usual one: a delivery in one frame
                self._whole(delivery_id, form, part, len(part), settled=settled)
                return
            self._number, self._form, self._settled = delivery_id, form, False
        elif delivery_id not in {None, self._number}:
            raise LinkError(
                Condition.INVALID_FIELD, f"delivery {delivery_id} starts before delivery {self._number} has ended"
            )
        self._settled = self._settled or settled
        self._size += len(part)
        if self._size <= self.largest:
            self._parts += part
        if aborted or not more:
            number, size, whole = self._number, self._size, bytes(self._parts)
            self._number, self._size, self._parts = None, 0, bytearray()
            if not aborted:
                self._whole(number, self._form, whole, size, settled=self._settled)

    def _whole(self, number: int, form: int, payload: bytes, size: int, *, settled: bool) -> None:
        self.delivery_count = self.delivery_count + 1 & _MASK
        self.credit -= 1
        outcome = self.take(payload, form) if size <= self.largest else too_large(number, size, self.largest)
        if not settled:
            self.session.answers.taken(number, outcome)
        if self.credit <= CREDIT // 2:
            self.credit = CREDIT
            self.write_flow()

    @abstractmethod
    def take(self, payload: bytes, form: int) -> bytes:
        """Do what the message is for; the encoded outcome. Raises LinkError when the link cannot go on."""

    def write_flow(self) -> None:
        """Grant the credit."""
        self.session.write_flow([UInt(self.handle), UInt(self.delivery_count), UInt(self.credit), UInt(0), False])


def too_large(number: int, size: int, largest: int) -> bytes:
    """The outcome of a message beyond what the link takes. Our reading: it is rejected and the link goes on."""
    limit = f"exceeds the limit ({largest} bytes) currently allowed on the link"
    text = f"The received message (delivery-id:{number}, size:{size} bytes) {limit}."
    return frames.encoded_error(Condition.TOO_LARGE, text)


def number(value: Any, name: str) -> int:
    """An unsigned number of a frame. Raises CodecError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CodecError(f"{name} is a number, got {value!r}")
    return int(value)
