"""Links on which a peer sends messages to a queue or topic."""

from typing import TYPE_CHECKING, Any

from localcloud.emulators.service_bus.broker.interface import Entity
from localcloud.emulators.service_bus.broker.model import BrokerError
from localcloud.emulators.service_bus.codec import frames, message
from localcloud.emulators.service_bus.codec.types import CodecError
from localcloud.emulators.service_bus.protocol import envelopes
from localcloud.emulators.service_bus.protocol.errors import Condition, LinkError, Refused
from localcloud.emulators.service_bus.protocol.links import Receiving

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.session import Session

ACCEPTED = b"\x00\x53\x24\x45"
"""The accepted outcome, encoded."""


class Sends(Receiving):
    """A producer's link. Each message, or batch, is taken whole or rejected with the broker's reason."""

    def __init__(self, session: "Session", handle: int, attach: list[Any], entity: Entity, until: float) -> None:
        super().__init__(session, handle, attach, entity.max_message_size)
        self.entity = entity
        self._until = until
        self._clock = session.connection.settings.clock
        self._send = session.broker.send
        self.write_attach(largest=self.largest, source=attach[5])
        self.write_flow()

    def take(self, payload: bytes, form: int) -> bytes:
        """Send it."""
        if self._clock() > self._until:
            self._until = still_allowed(self.session, self.entity, "send")
        try:
            if form == message.BATCH_FORMAT:
                sent = [envelopes.envelope(part) for part in message.batch(payload)]
            else:
                sent = [envelopes.envelope(payload)]
            if sent:
                self._send(self.entity, sent)
        except CodecError as error:
            return frames.encoded_error(error.condition, str(error))
        except BrokerError as error:
            return frames.encoded_error(error.condition, error.text)
        return ACCEPTED


def still_allowed(session: "Session", entity: Entity, verb: Any) -> float:
    """The token that the link was attached with has ended: until when is there another? Raises LinkError."""
    try:
        return session.connection.access.check(entity.path, verb)
    except Refused as error:
        raise LinkError(Condition.UNAUTHORIZED, str(error)) from error
