"""One AMQP session: windows, handles, and what is settled on both sides.

Windows: we take `WINDOW` transfer frames and say so again after half of them; towards the peer we stop at its window
and go on with its next flow.
"""

import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from localcloud.emulators.service_bus.codec import deliveries, frames
from localcloud.emulators.service_bus.codec.types import UInt, UShort
from localcloud.emulators.service_bus.protocol.answers import Answers
from localcloud.emulators.service_bus.protocol.errors import Condition, LinkError, ProtocolError, SessionError
from localcloud.emulators.service_bus.protocol.links import Link, Receiving, Sending, number
from localcloud.emulators.service_bus.protocol.nodes import attach
from localcloud.emulators.service_bus.protocol.outgoing import Deliveries

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.connection import Connection

WINDOW = 5000
"""Transfer frames; Service Bus' own."""
MOST_HANDLES = 4096
FLUSH_AT = 1 << 18
"""Bytes that are written at once rather than at the end of the loop's turn."""
_MASK = 0xFFFFFFFF


class Session:
    """The server's side of one session; its channel has the peer's number."""

    def __init__(self, connection: "Connection", channel: int, fields: list[Any]) -> None:
        self.connection = connection
        self.broker = connection.broker
        self.channel = channel
        self.links: dict[int, Link] = {}
        self.ended = False
        self._expected = number(fields[1], "next-outgoing-id")
        self._window = WINDOW
        self._next_out = 0
        self._peer_window = number(fields[2], "incoming-window")
        self._held: deque[bytes] = deque()
        self._detached: set[int] = set()
        self._next_delivery = 0
        self.answers = Answers(self)
        self.deliveries: dict[int, tuple[Deliveries, uuid.UUID]] = {}
        """Unsettled deliveries of ours by delivery-id."""
        self.connection.out += frames.write(
            frames.BEGIN,
            [
                UShort(channel),
                UInt(self._next_out),
                UInt(WINDOW),
                UInt(WINDOW),
                UInt(MOST_HANDLES - 1),
                None,
                None,
                None,
            ],
            channel=channel,
        )

    # --- coming in ---

    def transfer(self, body: bytes) -> None:
        """One transfer frame."""
        handle, delivery_id, _tag, form, settled, more, aborted, start = deliveries.read_transfer(body)
        self._expected = self._expected + 1 & _MASK
        self._window -= 1
        if self._window < 0:
            raise SessionError(Condition.WINDOW, f"the session's window is {WINDOW} transfers")
        link = self.links.get(handle)
        if not isinstance(link, Receiving):
            if link is None and handle not in self._detached:
                raise SessionError(Condition.UNATTACHED, f"no link of the peer's sends on handle {handle}")
            return  # on its way when we detached the link
        try:
            link.transfer(delivery_id, form, body[start:], settled=settled, more=more, aborted=aborted)
        except LinkError as error:
            self.detach(link, error)
        if self._window <= WINDOW // 2:
            self._window = WINDOW
            self.write_flow()

    def performative(self, code: int, fields: list[Any]) -> None:
        """Any other frame of a session."""
        if code == frames.ATTACH:
            self._attach(fields)
        elif code == frames.FLOW:
            self._flow(fields)
        elif code == frames.DETACH:
            self._detach(fields)
        else:
            raise ProtocolError(Condition.NOT_ALLOWED, f"performative 0x{code:02x} does not belong into a session")

    def _attach(self, fields: list[Any]) -> None:
        handle = number(fields[1], "handle")
        if handle in self.links:
            raise SessionError(Condition.HANDLE_IN_USE, f"handle {handle} has a link already")
        if handle >= MOST_HANDLES:
            raise SessionError(Condition.NOT_ALLOWED, f"handles go from 0 to {MOST_HANDLES - 1}, got {handle}")
        self._detached.discard(handle)
        try:
            self.links[handle] = attach(self, handle, fields)
        except LinkError as error:
            self.refuse(handle, fields, error)

    def _flow(self, fields: list[Any]) -> None:
        next_incoming, window, next_outgoing, _, handle, delivery_count, credit = fields[:7]
        self._expected = number(next_outgoing, "next-outgoing-id")
        blocked = not self.may_send
        begun = 0 if next_incoming is None else number(next_incoming, "next-incoming-id")
        left = begun + number(window, "incoming-window") - self._next_out & _MASK
        self._peer_window = left if left < 1 << 31 else 0
        if blocked:
            self._send_held()
            self.credit_again()
        link = None if handle is None else self.links.get(number(handle, "handle"))
        if isinstance(link, Sending):
            link.flow(delivery_count, credit, drain=fields[8] is True, echo=fields[9] is True)
        elif handle is None:
            if fields[9] is True:
                self.write_flow()
        elif isinstance(link, Receiving) and fields[9] is True:
            link.write_flow()

    def disposition(self, body: bytes) -> None:
        """The peer settles deliveries of ours."""
        by_receiver, first, last, settled, state = deliveries.read_disposition(body)
        first = number(first, "first")
        last = first if last is None else number(last, "last")
        if not by_receiver:
            return  # about deliveries of the peer's own: we have settled them all
        for delivery in self._unsettled(first, last):
            link, token = self.deliveries[delivery]
            outcome = link.settle(token, state, settled=settled)
            if outcome is not None:
                del self.deliveries[delivery]
                self.answers.settled(delivery, None if settled else outcome)

    def _unsettled(self, first: int, last: int) -> list[int]:
        """What there is of a range that may be far larger."""
        if first == last:
            return [first] if first in self.deliveries else []
        count = (last - first & _MASK) + 1
        if count <= len(self.deliveries):
            return [
                delivery for delivery in (first + step & _MASK for step in range(count)) if delivery in self.deliveries
            ]
        return [delivery for delivery in self.deliveries if delivery - first & _MASK < count]

    def _detach(self, fields: list[Any]) -> None:
        handle = number(fields[0], "handle")
        link = self.links.pop(handle, None)
        if link is not None:
            link.gone()
            self.write_detach(handle, closed=fields[1] is True)
        elif handle not in self._detached:
            raise SessionError(Condition.UNATTACHED, f"handle {handle} has no link")

    # --- going out ---

    @property
    def may_send(self) -> bool:
        """Is there room for one more delivery?"""
        return self._peer_window > 0 and not self._held and not self.connection.paused

    def send(self, link: Sending, tag: bytes, payload: bytes, *, settled: bool) -> int:
        """Write one delivery; its delivery-id. What does not fit into the peer's window waits for it."""
        connection = self.connection
        delivery = self._next_delivery
        self._next_delivery = delivery + 1 & _MASK
        before = len(connection.out)
        count = deliveries.write_transfer(
            connection.out,
            self.channel,
            link.handle,
            delivery,
            tag,
            payload,
            settled=settled,
            largest=connection.peer_largest,
        )
        if count > self._peer_window:
            self._hold(before)
        else:
            self._next_out = self._next_out + count & _MASK
            self._peer_window -= count
        if len(connection.out) > FLUSH_AT:
            connection.flush()
        else:
            connection.flush_soon()
        return delivery

    def _hold(self, before: int) -> None:
        out = self.connection.out
        stream = bytes(out[before:])
        del out[before:]
        position = 0
        while position < len(stream):
            size = int.from_bytes(stream[position : position + 4], "big")
            self._held.append(stream[position : position + size])
            position += size
        self._send_held()

    def _send_held(self) -> None:
        while self._held and self._peer_window > 0:
            self.connection.out += self._held.popleft()
            self._peer_window -= 1
            self._next_out = self._next_out + 1 & _MASK

    def credit_again(self) -> None:
        """The window or the socket has changed: give the broker the credit that holds now."""
        for link in list(self.links.values()):
            if isinstance(link, Sending):
                link.credit_again()

    def write_flow(self, link: list[Any] | None = None) -> None:
        """State of the session, and of a link (handle, delivery-count, credit, available, drain)."""
        fields = [
            UInt(self._expected),
            UInt(self._window),
            UInt(self._next_out),
            UInt(WINDOW),
            *(link or [None] * 5),
            False,
            None,
        ]
        self.connection.out += frames.write(frames.FLOW, fields, channel=self.channel)
        self.connection.flush_soon()

    def refuse(self, handle: int, fields: list[Any], error: LinkError) -> None:
        """An attach that leads to nothing: attach back with neither source nor target, then detach with the reason."""
        receives = fields[2] is True
        answer: list[Any] = [None] * 14
        answer[:3] = [fields[0] if isinstance(fields[0], str) else "", UInt(handle), not receives]
        answer[9] = UInt(0) if receives else None
        self.connection.out += frames.write(frames.ATTACH, answer, channel=self.channel)
        self.links.pop(handle, None)
        self._detached.add(handle)
        self.write_detach(handle, closed=True, error=error)

    def forget(self, link: Link) -> None:
        """Its deliveries cannot be settled here any more."""
        for delivery in [delivery for delivery, (owner, _) in self.deliveries.items() if owner is link]:
            del self.deliveries[delivery]

    def detach(self, link: Link, error: LinkError | None) -> None:
        """End a link from our side."""
        self.links.pop(link.handle, None)
        self._detached.add(link.handle)
        link.gone()
        self.write_detach(link.handle, closed=True, error=error)

    def write_detach(self, handle: int, *, closed: bool, error: LinkError | None = None) -> None:
        """A detach frame."""
        why = frames.error(error.condition, error.text) if error else None
        self.connection.out += frames.write(frames.DETACH, [UInt(handle), closed, why], channel=self.channel)
        self.connection.flush_soon()

    def gone(self) -> None:
        """The session is over: so are its links."""
        self.ended = True
        links, self.links = list(self.links.values()), {}
        for link in links:
            link.gone()
        self.deliveries.clear()
        self._held.clear()
