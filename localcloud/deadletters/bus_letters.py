"""A dead letter of Service Bus: as people see it, and as the message that goes back."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType, AmqpMessageHeader, AmqpMessageProperties

from localcloud.deadletters.entry import BODY_BYTES, Entry, rfc3339, shown
from localcloud.session.bus_access import Entity
from localcloud.session.bus_messages import body_of, properties_of, text

REASON: Final = "DeadLetterReason"
DESCRIPTION: Final = "DeadLetterErrorDescription"
FUNCTION: Final = "function"
MARK: Final = "millrace-redrive"
"""The application property by which a copy is known again after a crash; its value names the letter."""
OF_THE_LETTER: Final = frozenset({REASON, DESCRIPTION, FUNCTION, MARK})
PARTITION_KEY: Final = b"x-opt-partition-key"
MARGIN: Final = timedelta(minutes=1)
"""Of the clocks."""
LONGEST_ID: Final = 128


def mark(place: str, letter: ServiceBusReceivedMessage) -> str:
    """A letter's id: the same at every look, no other's beginning, and not that of a letter with the same number after
    its entity was made anew.
    """
    when = letter.enqueued_time_utc.isoformat() if letter.enqueued_time_utc else ""
    whole = f"{place}#{letter.sequence_number}#{when}#{letter.message_id}"
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def entry(
    letter: ServiceBusReceivedMessage, place: str, entity: Entity, *, aside: bool, system: str, app: str
) -> Entry:
    """Of a message in a dead-letter queue or (`aside`) in a `-dead` queue, where it is a new one: its own count of
    deliveries says nothing of the tries before.
    """
    properties = properties_of(letter)
    said = [str(properties[name]) for name in (REASON, DESCRIPTION) if properties.get(name)]
    reason = ": ".join(said) or "dead-lettered without a reason"
    attempt, body, when = properties.get("attempt"), body_of(letter), letter.enqueued_time_utc
    number, tries = letter.sequence_number or 0, 1 if aside else letter.delivery_count or 0
    trace = str(properties.get("traceparent") or properties.get("Diagnostic-Id") or "")
    more = {
        "message_id": letter.message_id,
        "subject": letter.subject,
        "session": letter.session_id,
        "function": properties.get(FUNCTION),
        "trace": trace[3:35],
        "source": letter.dead_letter_source,
        "expires": letter.expires_at_utc.isoformat() if letter.expires_at_utc else None,
    }
    return Entry(
        id=mark(place, letter), kind="bus", system=system, app=app, origin=entity.name,
        reason=shown(reason, BODY_BYTES), attempts=attempt if isinstance(attempt, int) else tries,
        time=rfc3339(int((when or datetime.now(UTC)).timestamp() * 1000)), size=len(body), excerpt=shown(body),
        details={
            "queue": place, "sequence_number": number, "receives": letter.delivery_count or 0,
            **{name: shown(str(value)) for name, value in more.items() if value},
            "properties": {
                name: shown(str(value)) for name, value in properties.items() if name not in OF_THE_LETTER
            },
            "body": shown(body, BODY_BYTES),
        },
    )  # fmt: skip


def copy_of(letter: ServiceBusReceivedMessage, label: str, message_id: str | None) -> AmqpAnnotatedMessage:
    """The message itself, body and properties as they were sent; its time to live begins anew."""
    raw = letter.raw_amqp_message
    given = {name: text(value) for name, value in dict(raw.properties or {}).items() if value is not None}
    # The SDK says these itself, from the time to live.
    known = {name: value for name, value in given.items() if name not in {"absolute_expiry_time", "creation_time"}}
    properties = AmqpMessageProperties(**{**known, "message_id": message_id})
    application = {name: value for name, value in properties_of(letter).items() if name not in OF_THE_LETTER}
    key = (raw.annotations or {}).get(PARTITION_KEY)
    annotations: dict[Any, Any] | None = {PARTITION_KEY: key} if key else None
    ttl = raw.header.time_to_live if raw.header else None
    return AmqpAnnotatedMessage(
        **_body(raw),
        header=AmqpMessageHeader(time_to_live=ttl) if ttl else None,
        properties=properties,
        annotations=annotations,
        application_properties={**application, MARK: label},
    )


def id_of_copy(letter: ServiceBusReceivedMessage, label: str, duplicates_s: float | None, now: datetime) -> str | None:
    """Its own message id; but where that one is still remembered (duplicate detection), another, or the service would
    take the copy for the message itself and drop it.
    """
    own, since = letter.message_id, letter.enqueued_time_utc
    if duplicates_s is None or own is None:
        return own
    if since is not None and since + timedelta(seconds=duplicates_s) + MARGIN < now:
        return own
    ending = f"/redrive-{label}"
    return own[: LONGEST_ID - len(ending)] + ending


def _body(raw: AmqpAnnotatedMessage) -> dict[str, Any]:
    if raw.body_type is AmqpMessageBodyType.DATA:
        return {"data_body": list(raw.body)}
    return {"value_body" if raw.body_type is AmqpMessageBodyType.VALUE else "sequence_body": raw.body}
