"""What one read of the socket has settled, told together once it is in the broker's log."""

from typing import TYPE_CHECKING

from localcloud.emulators.service_bus.codec import deliveries
from localcloud.emulators.service_bus.protocol.durable import when_durable

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.session import Session

Told = list[tuple[int, bytes]]
"""Delivery-ids and their encoded outcomes."""


class Answers:
    """Of one session. The outcomes of neighbours that are alike go out as one range."""

    __slots__ = ("_acted", "_session", "_settled", "_taken")

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._acted = False
        self._taken: Told = []
        self._settled: Told = []

    def taken(self, delivery: int, outcome: bytes) -> None:
        """The outcome of a delivery of the peer's."""
        self._acted = True
        self._taken.append((delivery, outcome))

    def settled(self, delivery: int, outcome: bytes | None) -> None:
        """A delivery of ours was settled; None: the peer does not want to hear of it."""
        self._acted = True
        if outcome is not None:
            self._settled.append((delivery, outcome))

    def after_read(self) -> None:
        """Wait for the disk once, then tell every outcome of this read."""
        if not self._acted:
            return
        taken, settled = self._taken, self._settled
        self._acted, self._taken, self._settled = False, [], []
        when_durable(self._session, lambda: self._tell(taken, settled))

    def _tell(self, taken: Told, settled: Told) -> None:
        if taken:
            self._write(taken, by_receiver=True)
        if settled:
            self._write(settled, by_receiver=False)
        self._session.connection.flush_soon()

    def _write(self, told: Told, *, by_receiver: bool) -> None:
        out, channel = self._session.connection.out, self._session.channel
        first, outcome = told[0]
        last = first
        for delivery, other in told[1:]:
            if other is not outcome or delivery != last + 1:
                deliveries.write_disposition(out, channel, first, last, by_receiver=by_receiver, state=outcome)
                first, outcome = delivery, other
            last = delivery
        deliveries.write_disposition(out, channel, first, last, by_receiver=by_receiver, state=outcome)
