"""Messages between wire and broker: sections to `Envelope`, `Message` to the bytes of a delivery."""

from typing import Any
from uuid import UUID

from localcloud.emulators.service_bus.broker.model import Envelope, Message
from localcloud.emulators.service_bus.codec import message as wire
from localcloud.emulators.service_bus.codec.types import CodecError, Int, Symbol, Timestamp

# What the broker says of a message itself; a sender's values for them are dropped.
_OURS = {
    "x-opt-sequence-number", "x-opt-enqueued-time", "x-opt-locked-until", "x-opt-lock-token", "x-opt-message-state",
    "x-opt-enqueue-sequence-number", "x-opt-deadletter-source", "x-opt-scheduled-enqueue-time",
}  # fmt: skip
_SCHEDULED = "x-opt-scheduled-enqueue-time"
_PARTITION_KEY = "x-opt-partition-key"


def envelope(payload: bytes) -> Envelope:
    """One message as its sender made it. Raises CodecError."""
    found = wire.read(payload)
    made = Envelope(found.bare, size=found.size)
    if found.header:
        _header(made, found.header)
    if found.annotations:
        _annotations(made, found.annotations)
    if found.properties:
        properties(made, found.properties)
    if found.application:
        if not all(isinstance(name, str) for name in found.application):
            raise CodecError("application properties have strings as names")
        made.application_properties = found.application
    return made


def decode(raw: bytes) -> Envelope:
    """An envelope from its bare message, as the journal has it."""
    return envelope(raw)


def properties(made: Envelope, fields: list[Any]) -> None:
    """Fill `made` from the properties section."""
    fields = fields + [None] * (13 - len(fields))
    made.message_id = fields[wire.MESSAGE_ID]
    made.to = _text(fields[wire.TO], "to")
    made.subject = _text(fields[wire.SUBJECT], "subject")
    made.reply_to = _text(fields[wire.REPLY_TO], "reply-to")
    made.correlation_id = fields[wire.CORRELATION_ID]
    made.content_type = _text(fields[wire.CONTENT_TYPE], "content-type")
    made.session_id = _text(fields[wire.GROUP_ID], "group-id")
    made.reply_to_session_id = _text(fields[wire.REPLY_TO_GROUP_ID], "reply-to-group-id")


def _text(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise CodecError(f"the property {name} is a string, got {type(value).__name__}")
    return value


def _header(made: Envelope, fields: list[Any]) -> None:
    durable, priority, ttl = (fields + [None] * 3)[:3]
    made.durable = durable is not False
    if isinstance(priority, int):
        made.priority = int(priority)
    if ttl is not None:
        if not isinstance(ttl, int):
            raise CodecError(f"the header's ttl is a number of milliseconds, got {type(ttl).__name__}")
        made.ttl = ttl / 1000


def _annotations(made: Envelope, found: dict[Any, Any]) -> None:
    scheduled = found.get(_SCHEDULED)
    if isinstance(scheduled, int):
        made.scheduled = scheduled / 1000
    key = found.get(_PARTITION_KEY)
    if isinstance(key, str):
        made.partition_key = key
    made.annotations = {
        str(name): value for name, value in found.items() if isinstance(name, str) and name not in _OURS
    }


def delivery(
    message: Message, locked_until: float | None = None, *, peeked: bool = False, token: UUID | None = None
) -> bytes:
    """One whole message for a receiver: header and annotations of now, the sender's bytes untouched. `token`: the lock,
    for a message that does not come as a delivery, whose tag would tell it.
    """
    sent = message.envelope
    out = bytearray()
    ttl = None if sent.ttl is None else round(sent.ttl * 1000)
    wire.write_header(
        out, durable=sent.durable, priority=sent.priority, ttl_ms=ttl, delivery_count=message.delivery_count
    )
    if token is not None:
        wire.write_section(out, wire.DELIVERY_ANNOTATIONS, {Symbol("x-opt-lock-token"): token})
    others = sent.annotations
    if peeked or message.enqueued_sequence or message.dead_letter_source or sent.scheduled is not None or message.state:
        others = {**others, **_more_annotations(message)}
    wire.write_annotations(
        out,
        sequence=message.sequence,
        enqueued_ms=round(message.enqueued * 1000),
        locked_until_ms=None if locked_until is None else round(locked_until * 1000),
        others=others,
    )
    if message.dead_letter_reason is None and message.dead_letter_description is None and not sent.rewritten:
        return bytes(out) + sent.raw
    return bytes(out) + _rewritten(message)


def _more_annotations(message: Message) -> dict[str, Any]:
    more: dict[str, Any] = {"x-opt-message-state": Int(message.state)}
    if message.enqueued_sequence:
        more["x-opt-enqueue-sequence-number"] = message.enqueued_sequence
    if message.dead_letter_source:
        more["x-opt-deadletter-source"] = message.dead_letter_source
    if message.envelope.scheduled is not None:
        more[_SCHEDULED] = Timestamp(round(message.envelope.scheduled * 1000))
    return more


def _rewritten(message: Message) -> bytes:
    """The bare message with what the broker changed: by a rule's action, on settlement, for a dead letter."""
    sent = message.envelope
    sections = wire.read(sent.raw) if sent.raw else wire.Sections(0)
    out = bytearray()
    fields = sections.properties + [None] * (13 - len(sections.properties))
    if sent.rewritten:
        for place, value in (
            (wire.MESSAGE_ID, sent.message_id), (wire.TO, sent.to), (wire.SUBJECT, sent.subject),
            (wire.REPLY_TO, sent.reply_to), (wire.CORRELATION_ID, sent.correlation_id),
            (wire.GROUP_ID, sent.session_id), (wire.REPLY_TO_GROUP_ID, sent.reply_to_session_id),
        ):  # fmt: skip
            fields[place] = value
        fields[wire.CONTENT_TYPE] = None if sent.content_type is None else Symbol(sent.content_type)
    if any(field is not None for field in fields):
        wire.write_section(out, wire.PROPERTIES, fields)
    application = dict(sent.application_properties)
    if message.dead_letter_reason is not None:
        application["DeadLetterReason"] = message.dead_letter_reason
    if message.dead_letter_description is not None:
        application["DeadLetterErrorDescription"] = message.dead_letter_description
    if application:
        wire.write_section(out, wire.APPLICATION, application)
    return bytes(out) + sections.bare[sections.tail :]
