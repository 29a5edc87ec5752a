"""SQS's attribute rules, limits and digests: what the API reference says about the shape of requests and answers."""

import base64
import json
import re
import struct
from typing import Any, Final

from localcloud.emulators.aws.errors import AwsError
from localcloud.emulators.aws.policy import parse
from localcloud.emulators.aws.sqs_store import Received, md5

MAX_MESSAGE_BYTES: Final = 1_048_576
"""1 MiB for a message and for a batch (raised from 256 KiB in August 2025)."""
DEFAULTS: Final = {
    "DelaySeconds": "0",
    "MaximumMessageSize": str(MAX_MESSAGE_BYTES),
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "SqsManagedSseEnabled": "true",
}
_RANGES: Final = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, MAX_MESSAGE_BYTES),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
_FREE: Final = {"Policy", "RedrivePolicy", "RedriveAllowPolicy", "SqsManagedSseEnabled", "KmsMasterKeyId"}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_BATCH_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_BAD_TEXT: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_name(name: str) -> None:
    """AwsError for a name AWS refuses; FIFO queues are not part of this emulator."""
    if not _NAME.fullmatch(name):
        raise AwsError("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 "
        "to 80 in "
                       f"length (FIFO queues are not emulated); got {name}.")  # fmt: skip


def check_attributes(name: str, attributes: dict[str, str]) -> dict[str, str]:
    """The attributes with empty values (AWS: take it away) left out; AwsError for one out of range."""
    kept = {}
    for key, value in attributes.items():
        if key in _RANGES:
            low, high = _RANGES[key]
            if not value.isdigit() or not low <= int(value) <= high:
                raise AwsError(
                    "InvalidAttributeValue", f"Invalid value for the parameter {key}: {low} to {high}, got {value}."
                )
        elif key not in _FREE:
            raise AwsError("InvalidAttributeName", f"Unknown Attribute {key}.")
        if value:
            kept[key] = value
    try:
        if "Policy" in kept:
            parse(kept["Policy"], owner=f"queue {name}")
        if "RedrivePolicy" in kept:
            count = int(json.loads(kept["RedrivePolicy"])["maxReceiveCount"])
            if not 1 <= count <= 1000:
                raise ValueError(f"maxReceiveCount must be 1 to 1000, got {count}")
    except (ValueError, KeyError, TypeError) as error:
        raise AwsError("InvalidAttributeValue", str(error)) from error
    return kept


def check_body(body: Any, attributes: dict[str, Any], limit: int) -> int:
    """The size of a message in bytes; AwsError for an empty, too large or unprintable one."""
    if not isinstance(body, str) or not body:
        raise AwsError("MissingParameter", "The request must contain the parameter MessageBody.")
    if _BAD_TEXT.search(body):
        raise AwsError("InvalidMessageContents", "Message body contains characters outside the allowed set.")
    if len(attributes) > 10:
        raise AwsError(
            "InvalidParameterValue",
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10].",
        )
    size = len(body.encode())
    for name, value in attributes.items():
        data = value.get("StringValue") or value.get("BinaryValue") or ""
        size += len(name) + len(value.get("DataType", "")) + len(data.encode())
    if size > limit:
        raise AwsError(
            "InvalidParameterValue",
            f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes.",
        )
    return size


def check_batch(entries: list[dict[str, Any]]) -> None:
    """AwsError unless there are 1 to 10 entries with distinct, well-formed ids."""
    if not entries:
        raise AwsError("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > 10:
        raise AwsError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are 10. You have sent {len(entries)}.",
        )
    ids = [str(entry.get("Id")) for entry in entries]
    if len(set(ids)) < len(ids):
        raise AwsError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
    if any(not _BATCH_ID.fullmatch(batch_id) for batch_id in ids):
        raise AwsError(
            "InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores."
        )


def attributes_md5(attributes: dict[str, Any]) -> str | None:
    """MD5OfMessageAttributes as clients check it: names sorted, each part with its length, a type byte before the
    value.
    """
    if not attributes:
        return None
    encoded = b""
    for name in sorted(attributes):
        value = attributes[name]
        encoded += _part(name.encode()) + _part(value["DataType"].encode())
        if "BinaryValue" in value:
            encoded += b"\x02" + _part(base64.b64decode(value["BinaryValue"]))
        else:
            encoded += b"\x01" + _part(value["StringValue"].encode())
    return md5(encoded)


def message_json(message: Received, wanted: set[str], wanted_attributes: list[str]) -> dict[str, Any]:
    """A message as ReceiveMessage answers it."""
    system = {
        "SenderId": message.sender,
        "SentTimestamp": str(message.sent),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(message.first_received),
    }
    answer: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": md5(message.body),
        "Body": message.body,
    }
    shown = system if "All" in wanted else {key: value for key, value in system.items() if key in wanted}
    if shown:
        answer["Attributes"] = shown
    chosen = {name: value for name, value in message.attributes.items() if _chosen(name, wanted_attributes)}
    if chosen:
        answer["MessageAttributes"] = chosen
        answer["MD5OfMessageAttributes"] = attributes_md5(chosen)
    return answer


def _chosen(name: str, wanted: list[str]) -> bool:
    return any(w in {"All", ".*", name} or (w.endswith(".*") and name.startswith(w[:-2])) for w in wanted)


def _part(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
