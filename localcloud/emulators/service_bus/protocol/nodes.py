"""What an attach leads to: `$cbs`, an entity's `$management`, or the entity itself."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from localcloud.emulators.service_bus.broker.model import BrokerError
from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.protocol.access import Verb
from localcloud.emulators.service_bus.protocol.errors import Condition, LinkError, Refused
from localcloud.emulators.service_bus.protocol.incoming import Sends
from localcloud.emulators.service_bus.protocol.links import Link
from localcloud.emulators.service_bus.protocol.outgoing import Deliveries, has_session_filter, session_filter
from localcloud.emulators.service_bus.protocol.requests import Replies, Requests

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.session import Session

CBS = "$cbs"
MANAGEMENT = "/$management"


def attach(session: "Session", handle: int, fields: list[Any]) -> Link:
    """The link that an attach asks for. Raises LinkError."""
    name, _, receives = fields[:3]
    if not isinstance(name, str) or not isinstance(receives, bool):
        raise LinkError(Condition.INVALID_FIELD, "an attach has a name and a role")
    address = _address(fields[5] if receives else fields[6])
    if address.lower() == CBS or address.lower().endswith(MANAGEMENT):
        if receives:
            return Replies(session, handle, fields, address)
        return Requests(session, handle, fields, address)
    return _entity(session, handle, fields, address, receives=receives)


def _address(terminus: Any) -> str:
    code, fields = frames.described(terminus)
    address = fields[0] if fields else None
    if code not in {frames.SOURCE, frames.TARGET} or not isinstance(address, str) or not address:
        raise LinkError(
            Condition.NOT_IMPLEMENTED, "a link names its queue, topic or subscription; there are no transactions here"
        )
    path = urlsplit(address).path if "://" in address else address
    return path.strip("/")


def _entity(session: "Session", handle: int, fields: list[Any], address: str, *, receives: bool) -> Link:
    verb: Verb = "listen" if receives else "send"
    try:
        until = session.connection.access.check(address, verb)
        entity = session.broker.entity(address)
    except Refused as error:
        raise LinkError(Condition.UNAUTHORIZED, str(error)) from error
    except BrokerError as error:
        raise LinkError(error.condition, error.text) from error
    if receives:
        if entity.kind == "topic":
            raise LinkError(Condition.NOT_ALLOWED, f"{entity.path} is a topic: receive from one of its subscriptions")
        if has_session_filter(fields[5]):
            session_filter(fields[5])
        return Deliveries(session, handle, fields, entity, until)
    if entity.kind == "subscription" or entity.sub_queue:
        raise LinkError(
            Condition.NOT_ALLOWED, f"{entity.path} takes no messages from senders: send to its queue or topic"
        )
    return Sends(session, handle, fields, entity, until)
