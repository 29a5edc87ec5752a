"""A Service Bus message as the Functions host hands it to a Python worker: body, and metadata by name.

Names: the binding contract of the extension's 5.x ServiceBusTriggerBindingStrategy, those of them that azure-functions'
converter reads; a batch has an array of each (`MessageIdArray`), and `UserProperties` tells the two apart. The body is
bytes or text as the binding's `dataType` says; "Trigger - configuration" of the Service Bus trigger's documentation.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage

from core.clients.service_bus import deliveries_of, of_sdk

Data = tuple[Any, str]
"""What `Call` takes: data and its type."""


def single(message: ServiceBusReceivedMessage, *, binary: bool) -> tuple[Data, dict[str, Any]]:
    """Of one message."""
    body = of_sdk(message).body
    return body_of(body, binary=binary), _metadata(message)


def batch(messages: Sequence[ServiceBusReceivedMessage], *, binary: bool) -> tuple[Data, dict[str, Any]]:
    """Of several, for a function of cardinality many."""
    each = [_metadata(message) for message in messages]
    names = sorted({name for one in each for name in one})
    arrays = {f"{name}Array": [one.get(name) for one in each] for name in names}
    bodies = [body_of(of_sdk(message).body, binary=binary)[0] for message in messages]
    return (bodies, "collection_bytes" if binary else "collection_string"), arrays


def body_of(body: bytes, *, binary: bool) -> Data:
    """Bytes travel to the worker as base64."""
    if binary:
        return base64.b64encode(body).decode(), "bytes"
    return body.decode("utf-8", "replace"), "string"


def by_hand() -> dict[str, Any]:
    """Of a message that nobody sent."""
    return {
        "MessageId": str(uuid.uuid4()),
        "DeliveryCount": 1,
        "SequenceNumber": 0,
        "LockToken": str(uuid.UUID(int=0)),
        "ApplicationProperties": {},
        "UserProperties": {},
    }


def _metadata(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    properties = {name: _plain(value) for name, value in of_sdk(message).properties.items()}
    found = {
        "MessageId": message.message_id or "",
        "DeliveryCount": deliveries_of(message),
        "SequenceNumber": message.sequence_number,
        "EnqueuedSequenceNumber": message.enqueued_sequence_number,
        "EnqueuedTimeUtc": _time(message.enqueued_time_utc),
        "ExpiresAtUtc": _time(message.expires_at_utc),
        "LockToken": str(message.lock_token) if message.lock_token else None,
        "LockedUntil": _time(message.locked_until_utc),
        "ContentType": message.content_type,
        "CorrelationId": message.correlation_id,
        "Subject": message.subject,
        "Label": message.subject,
        "To": message.to,
        "ReplyTo": message.reply_to,
        "ReplyToSessionId": message.reply_to_session_id,
        "SessionId": message.session_id,
        "PartitionKey": message.partition_key,
        "DeadLetterSource": message.dead_letter_source,
        "ApplicationProperties": properties,
        "UserProperties": properties,
    }
    return {name: value for name, value in found.items() if value is not None}


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def _plain(value: Any) -> Any:
    """As JSON can say it."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)
