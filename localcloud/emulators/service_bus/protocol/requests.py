"""Request and response over a pair of links: `$cbs` and `$management`.

A request is a message with `operation` among its application properties; the answer goes out on the receiving link of
the same node in the same session (of several, that whose target is the request's reply-to). Its correlation-id is the
request's message-id.
"""

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from localcloud.emulators.service_bus.codec import frames, message
from localcloud.emulators.service_bus.codec.types import CodecError
from localcloud.emulators.service_bus.protocol import cbs, management
from localcloud.emulators.service_bus.protocol.durable import when_durable
from localcloud.emulators.service_bus.protocol.errors import Condition, LinkError
from localcloud.emulators.service_bus.protocol.incoming import ACCEPTED
from localcloud.emulators.service_bus.protocol.links import Receiving, Sending

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.session import Session

LARGEST_REQUEST = 4 << 20
LARGEST_TOKEN = 256 << 10
"""Bytes; whoever has no token yet may not keep us busy."""
MOST_WAITING = 1000
"""Answers that may wait for a peer's credit."""


class Answer(NamedTuple):
    """What goes back."""

    status: dict[str, Any]
    """Application properties."""
    body: Any


class Replies(Sending):
    """The link that answers go out on."""

    def __init__(self, session: "Session", handle: int, attach: list[Any], address: str) -> None:
        super().__init__(session, handle, attach)
        self.address = address.lower()
        target = frames.described(attach[6])[1]
        self.target = target[0] if target else None
        self._waiting: deque[bytes] = deque()
        self.write_attach(largest=LARGEST_REQUEST, source=attach[5])

    def put(self, payload: bytes) -> None:
        """Send an answer, when there is credit."""
        if len(self._waiting) >= MOST_WAITING:
            self.session.detach(self, LinkError(Condition.RESOURCE_LIMIT, f"{MOST_WAITING} answers wait for credit"))
            return
        self._waiting.append(payload)
        self.credit_again()

    def credit_again(self) -> None:
        """Send what waits."""
        while self._waiting and self.credit and self.session.may_send:
            self.spend(1)
            self.session.send(self, self.delivery_count.to_bytes(4, "big"), self._waiting.popleft(), settled=True)


class Requests(Receiving):
    """The link that requests come in on."""

    def __init__(self, session: "Session", handle: int, attach: list[Any], address: str) -> None:
        self._address = address.lower()
        super().__init__(session, handle, attach, LARGEST_TOKEN if self._address == "$cbs" else LARGEST_REQUEST)
        self._entity = address[: -len("/$management")] if self._address != "$cbs" else None
        self.write_attach(largest=self.largest, source=attach[5])
        self.write_flow()

    def take(self, payload: bytes, form: int) -> bytes:
        """Do what is asked; the answer follows on its own link."""
        del form
        try:
            sections = message.read(payload)
            body = message.value_of(payload)
        except CodecError as error:
            return frames.encoded_error(error.condition, str(error))
        fields = sections.properties + [None] * 13
        replies = self._replies(fields[message.REPLY_TO])
        if replies is None:
            return frames.encoded_error(
                Condition.NOT_ALLOWED, "no link of this session receives the answers: attach one first"
            )
        if self._entity is None:
            answer = Answer(*cbs.answer(self.session.connection.access, sections.application, body))
        else:
            answer = Answer(*management.answer(self.session, self._entity, sections.application, body))
        out = bytearray()
        properties = [None] * 13
        properties[message.CORRELATION_ID] = fields[message.MESSAGE_ID]
        message.write_section(out, message.PROPERTIES, properties)
        message.write_section(out, message.APPLICATION, answer.status)
        message.write_section(out, message.VALUE, answer.body)
        when_durable(self.session, lambda: replies.put(bytes(out)))
        return ACCEPTED

    def _replies(self, reply_to: Any) -> Replies | None:
        links = [
            link for link in self.session.links.values() if isinstance(link, Replies) and link.address == self._address
        ]
        return next((link for link in links if link.target == reply_to), links[0] if links else None)
