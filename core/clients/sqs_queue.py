"""One SQS queue, from the consumer's side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.clients.aws_session import SDK_ERRORS, UNREADABLE, AwsSession, fault_of
from core.clients.faults import Transient
from core.clients.sqs_plain import PlainSettle


@dataclass(frozen=True, slots=True)
class Received:
    """A message in hand until its visibility ends."""

    id: str
    receipt: str
    body: str
    receives: int
    """How often it was received so far, this time included."""


class Held(Protocol):
    """A received message, as far as settling needs it."""

    @property
    def receipt(self) -> str:
        """The receipt handle of this delivery."""


class SqsQueue:
    """Receive, delete, change visibility; nothing else is granted. Thread-safe. Methods raise Fault's kinds."""

    def __init__(self, session: AwsSession, *, url: str, connections: int) -> None:
        self._session = session
        self._url = url
        self._client = session.client("sqs", connections=connections)
        self._plain = PlainSettle(session, self._client, connections=connections)

    def receive(self, count: int, *, wait_s: int, visibility_s: int) -> Sequence[Received]:
        """Up to `count` (1–10) messages; waits up to `wait_s` (0–20) for the first. One that did not arrive as it was
        sent (its MD5 says so) is left to its visibility: a wrong key would settle it as an object that is gone.
        """
        answer = self._call(
            "receive_message",
            MaxNumberOfMessages=max(1, min(10, count)),
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=visibility_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        try:
            return _messages(answer)
        except UNREADABLE as error:
            raise Transient(f"sqs receive_message: unreadable answer ({type(error).__name__}: {error})") from error

    def delete(self, message: Held) -> None:
        """Settles the message."""
        self._settle("DeleteMessage", "delete_message", ReceiptHandle=message.receipt)

    def hide(self, message: Held, seconds: int) -> None:
        """Invisible for `seconds` from now (0–43,200); 0 gives it back at once."""
        self._settle(
            "ChangeMessageVisibility", "change_message_visibility",
            ReceiptHandle=message.receipt, VisibilityTimeout=seconds,
        )  # fmt: skip

    def _settle(self, operation: str, method: str, **fields: Any) -> None:
        if not self._plain.call(operation, {"QueueUrl": self._url, **fields}):
            self._call(method, **fields)

    def _call(self, method: str, **fields: Any) -> Any:
        try:
            return getattr(self._client, method)(QueueUrl=self._url, **fields)
        except SDK_ERRORS as error:
            raise fault_of(error, f"sqs {method}", self._session) from error


def _messages(answer: Any) -> list[Received]:
    return [
        Received(
            str(message["MessageId"]),
            str(message["ReceiptHandle"]),
            str(message.get("Body", "")),
            int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        )
        for message in answer.get("Messages", [])
        if message.get("MD5OfBody") in {None, _md5(str(message.get("Body", "")))}
    ]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
