"""A message of Service Bus for a person's screen: what it says of itself, and its beginning."""

from typing import Any

import msgspec
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType


class BusMessageLine(msgspec.Struct, frozen=True, kw_only=True):
    """One message; times are RFC 3339."""

    sequence_number: int
    state: str
    """active, deferred or scheduled."""
    enqueued: str
    scheduled: str
    """When it becomes active; empty for what is."""
    delivery_count: int
    message_id: str
    subject: str
    session: str
    size: int
    """Bytes of the body."""
    properties: dict[str, str]
    body: str


def line(message: ServiceBusReceivedMessage) -> BusMessageLine:
    """As it is."""
    body, when = body_of(message), message.scheduled_enqueue_time_utc
    enqueued, state = message.enqueued_time_utc, message.state.name.lower()
    return BusMessageLine(
        sequence_number=message.sequence_number or 0, state=state,
        enqueued=enqueued.isoformat() if enqueued else "",
        scheduled=when.isoformat() if when and state == "scheduled" else "",
        delivery_count=message.delivery_count or 0, message_id=_named(message.message_id),
        subject=_named(message.subject), session=_named(message.session_id), size=len(body),
        properties={name: str(value) for name, value in properties_of(message).items()},
        body=body.decode("utf-8", "backslashreplace"),
    )  # fmt: skip


def properties_of(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    """Application properties, as text where they are text."""
    return {str(text(name)): text(value) for name, value in (message.application_properties or {}).items()}


def body_of(message: ServiceBusReceivedMessage) -> bytes:
    """As bytes, whatever kind of body it is."""
    if message.body_type is AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    return str(message).encode()


def text(value: Any) -> Any:
    """The SDK gives text and binary alike as bytes."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value


def _named(value: Any) -> str:
    return "" if value is None else str(value)
