"""A message's properties as rules see them: names are case-insensitive (documented), a missing user property is
unknown (None).

System properties are those of the service's message class; that `Label` is also called `Subject` follows the newer
SDKs.
"""

from collections.abc import Callable
from typing import Any, Final

from localcloud.emulators.service_bus.broker.model import Envelope
from localcloud.emulators.service_bus.broker.rules.sql import FilterError

SYSTEM: Final[dict[str, Callable[[Envelope], Any]]] = {
    "contenttype": lambda e: e.content_type,
    "correlationid": lambda e: e.correlation_id,
    "label": lambda e: e.subject,
    "subject": lambda e: e.subject,
    "messageid": lambda e: e.message_id,
    "replyto": lambda e: e.reply_to,
    "replytosessionid": lambda e: e.reply_to_session_id,
    "sessionid": lambda e: e.session_id,
    "to": lambda e: e.to,
    "partitionkey": lambda e: e.partition_key,
    "timetolive": lambda e: e.ttl,
    "scheduledenqueuetimeutc": lambda e: e.scheduled,
    "size": lambda e: e.size,
}
SETTABLE: Final = {
    "contenttype": "content_type",
    "correlationid": "correlation_id",
    "label": "subject",
    "subject": "subject",
    "messageid": "message_id",
    "replyto": "reply_to",
    "replytosessionid": "reply_to_session_id",
    "sessionid": "session_id",
    "to": "to",
}


def system(name: str) -> Callable[[Envelope], Any]:
    """A reader of the system property; one that does not exist is an error when it is read (documented)."""
    found = SYSTEM.get(name.lower())
    if found is not None:
        return found

    def missing(_: Envelope) -> Any:
        raise FilterError(f"there is no system property sys.{name}")

    return missing


def user(name: str) -> Callable[[Envelope], Any]:
    """A reader of the application property."""

    def read(envelope: Envelope) -> Any:
        return envelope.application_properties.get(user_key(envelope, name) or name)

    return read


def user_key(envelope: Envelope, name: str) -> str | None:
    """The property's name as the sender wrote it."""
    properties = envelope.application_properties
    if name in properties:
        return name
    folded = name.casefold()
    return next((key for key in properties if key.casefold() == folded), None)
