"""An SQS dead-letter queue, through AWS's own API with boto3: the same calls would serve the real cloud.

SQS shows nothing without handing it out: to look, every message is received, hidden for a while, and given back. To
send some of them back, the others stay hidden while SQS itself moves what is visible (StartMessageMoveTask): receiving,
sending and deleting by hand would double a message when killed in between, a move task cannot.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from localcloud.deadletters.entry import BODY_BYTES, Entry, Kind, rfc3339, shown
from localcloud.deadletters.holds import Hold, Holds
from localcloud.deadletters.place import DeadLetterError, Pace, Tell

LOOK_S: Final = 60
"""How long a message that is only looked at is hidden at most."""
_BATCH: Final = 10
_MOST_HIDDEN_S: Final = 43_200
_SLOWEST_MOVE: Final = 20  # messages a second that SQS moves by itself at the least; a guess on the safe side
_POLL_S: Final = 0.1
_MAX_RATE: Final = 500
Message = dict[str, Any]


class SqsPlace:
    """One dead-letter queue."""

    kinds: Sequence[Kind] = ("sqs",)

    def __init__(
        self,
        client: Any,
        *,
        url: str,
        system: str,
        sources: Sequence[str],
        receives: int,
        holds: Holds,
        why: Callable[[Sequence[str]], dict[str, str]] = lambda _: {},
    ) -> None:
        """`sources`: ARNs of the queues whose dead letters lie here, `receives`: after how many receives; `why`: what a
        system noted last of messages, by their id.
        """
        self.name = url.rsplit("/", 1)[-1]
        self._client, self._url, self._system = client, url, system
        self._sources, self._receives, self._holds, self._why = sources, receives, holds, why
        self._arn = ""

    def entries(self) -> list[Entry]:
        """Those that are visible now."""
        with self._in_hand() as held:
            notes = self._why(list(held))
            found = [self._entry(message, notes.get(name, "")) for name, message in held.items()]
        return sorted(found, key=lambda entry: entry.time)

    def hidden(self) -> int:
        """Those in somebody's hands."""
        names = ["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(map(int, answer.values()))

    def recover(self) -> None:
        """Waits for a move that an earlier command began, then gives back what that command held."""
        left = self._holds.left()
        self._await_move(lambda _: None)
        self._hide([{"ReceiptHandle": hold.receipt} for hold in left], 0)
        self._holds.clear()

    def redrive(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        """Has SQS move them to the queues they came from."""
        rate = min(_MAX_RATE, max(1, int(pace.rate))) if pace.rate else 0
        hide_s = min(_MOST_HIDDEN_S, int(120 + len(entries) / (rate or _SLOWEST_MOVE)))
        with self._in_hand() as held:
            wanted = [held.pop(entry.id) for entry in entries if entry.id in held]
            self._hide(list(held.values()), hide_s)
            self._hide(wanted, 0)
            if wanted:
                self._move(rate, tell)

    def drop(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        """Deletes them."""
        size = pace.batch(_BATCH)
        with self._in_hand() as held:
            doomed = [entry.id for entry in entries if entry.id in held]
            for at in range(0, len(doomed), size):
                part = doomed[at : at + size]
                pace.wait(len(part))
                answer = self._client.delete_message_batch(
                    QueueUrl=self._url, Entries=_handles([held[name] for name in part])
                )
                for one in answer["Successful"]:
                    del held[part[int(one["Id"])]]
                tell(len(answer["Successful"]))

    def _move(self, rate: int, tell: Tell) -> None:
        more: dict[str, Any] = {"MaxNumberOfMessagesPerSecond": rate} if rate else {}
        if len(self._sources) == 1:  # named, so that a message somebody sent here by hand moves as well
            more["DestinationArn"] = self._sources[0]
        handle = self._client.start_message_move_task(SourceArn=self._own_arn(), **more)["TaskHandle"]
        try:
            task = self._await_move(tell)
        except KeyboardInterrupt:
            self._cancel(handle)
            raise
        if task.get("Status") == "FAILED":
            raise DeadLetterError(f"queue {self.name}: SQS could not move all of it: {task.get('FailureReason')}")

    def _cancel(self, handle: str) -> None:
        try:
            self._client.cancel_message_move_task(TaskHandle=handle)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidParameterValue":  # it ended by itself meanwhile
                raise

    def _await_move(self, tell: Tell) -> dict[str, Any]:
        """Until the latest move task is over; answers it, empty when there never was one."""
        told = 0
        while True:
            tasks = self._client.list_message_move_tasks(SourceArn=self._own_arn())["Results"]
            moved = tasks[0]["ApproximateNumberOfMessagesMoved"] if tasks else 0
            tell(moved - told)
            told = moved
            if not tasks or tasks[0]["Status"] not in {"RUNNING", "CANCELLING"}:
                return tasks[0] if tasks else {}
            time.sleep(_POLL_S)

    def _own_arn(self) -> str:
        if not self._arn:
            answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
            self._arn = answer["Attributes"]["QueueArn"]
        return self._arn

    @contextmanager
    def _in_hand(self) -> Iterator[dict[str, Message]]:
        """Every visible message by its id, hidden for a while; what is in the dict at the end is given back."""
        held: dict[str, Message] = {}
        try:
            while messages := self._receive():
                self._holds.add(Hold(one["MessageId"], one["ReceiptHandle"]) for one in messages)
                held |= {one["MessageId"]: one for one in messages}
            yield held
        finally:
            self._hide(list(held.values()), 0)
            self._holds.clear()

    def _receive(self) -> list[Message]:
        answer = self._client.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=LOOK_S, WaitTimeSeconds=0,
            MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"],
        )  # fmt: skip
        return list(answer.get("Messages", []))

    def _hide(self, messages: Sequence[Message], seconds: int) -> None:
        """Messages in hand, hidden for so long from now; 0 gives them back."""
        for at in range(0, len(messages), _BATCH):
            entries = [{**entry, "VisibilityTimeout": seconds} for entry in _handles(messages[at : at + _BATCH])]
            self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)

    def _entry(self, message: Message, note: str) -> Entry:
        system = message["Attributes"]
        source = ", ".join(arn.rsplit(":", 1)[-1] for arn in self._sources) or self.name
        reason = f"received {self._receives} times and never settled" + (f"; last: {note}" if note else "")
        details = {
            "queue": self.name,
            "receives": int(system["ApproximateReceiveCount"]),  # those of people who look are among them
            "looked_at": rfc3339(int(datetime.now(UTC).timestamp() * 1000)),
            "body": shown(message["Body"], BODY_BYTES),
            "attributes": {name: shown(json.dumps(value.get("StringValue", value["DataType"])))
                           for name, value in message.get("MessageAttributes", {}).items()},
        }  # fmt: skip
        return Entry(
            id=message["MessageId"], kind="sqs", system=self._system, origin=source, reason=shown(reason, BODY_BYTES),
            time=rfc3339(int(system["SentTimestamp"])), attempts=self._receives, size=len(message["Body"].encode()),
            excerpt=shown(message["Body"]), details=details,
        )  # fmt: skip


def _handles(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]} for at, message in enumerate(messages)]
