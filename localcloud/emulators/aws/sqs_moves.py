"""SQS's message move tasks: StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask.

The API reference's rules: only from a dead-letter queue, one active task a source, 1 to 500 messages a second, back to
the queue each came from unless a destination is named; a moved message is a new one (new id, new retention, no
receives). Here each message moves in one transaction together with the task's count, and a task outlives the process:
it goes on at the next start. Only visible messages move; a task ends when none is left, or when as many moved as there
were at its start (what dies again meanwhile is not moved in circles).
"""

import asyncio
import base64
import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from localcloud.emulators.aws.errors import AwsError
from localcloud.emulators.aws.sqs_move_store import MoveTask
from localcloud.emulators.aws.sqs_store import QueueStore

MAX_PER_SECOND: Final = 500
MAX_LISTED: Final = 10
_BATCH: Final = 10
"""Messages of one transaction when no rate is asked for."""
_TICK_S: Final = 0.1
"""With a rate, messages move about this often."""
Fields = dict[str, Any]


class Moves:
    """The move tasks of one region. `arn`: a queue's ARN by its name."""

    def __init__(self, store: QueueStore, arn: Callable[[str], str]) -> None:
        self._store, self._arn = store, arn
        self._running: dict[str, asyncio.Task[None]] = {}

    def resume(self) -> None:
        """Goes on with the tasks that ran when the process ended."""
        for task in self._store.moves.running():
            self._begin(task)

    def stop(self) -> None:
        """Stops moving; tasks stay running in the record."""
        for running in self._running.values():
            running.cancel()
        self._running.clear()

    async def wait(self) -> None:
        """Until every task is over."""
        if self._running:
            await asyncio.wait(self._running.values())

    def source_of(self, fields: Fields) -> str:
        """The name of the queue that an operation is about. AwsError for a handle that is none."""
        if "TaskHandle" not in fields:
            return _name(str(fields.get("SourceArn", "")))
        try:
            return _name(str(json.loads(base64.b64decode(str(fields["TaskHandle"]), validate=True))["sourceArn"]))
        except (ValueError, KeyError, TypeError) as error:
            raise AwsError("InvalidParameterValue", f"Value {str(fields['TaskHandle'])[:80]} for parameter TaskHandle "
                           "is invalid.") from error  # fmt: skip

    def needs(self, operation: str, queue: str, fields: Fields) -> list[tuple[str, str]]:
        """(action, queue) pairs that a caller must be allowed besides the operation itself ("Configuring queue
        permissions for dead-letter queue redrive").
        """
        if operation != "StartMessageMoveTask":
            return []
        own = [(f"sqs:{verb}", queue) for verb in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")]
        wanted = _name(str(fields["DestinationArn"])) if fields.get("DestinationArn") else None
        targets = [wanted] if wanted else self._store.origins(queue)
        return own + [("sqs:SendMessage", target) for target in targets]

    def start(self, queue: str, fields: Fields) -> Fields:
        """StartMessageMoveTask."""
        rate, destination = fields.get("MaxNumberOfMessagesPerSecond"), fields.get("DestinationArn")
        self._found(queue, "SourceArn")
        if destination:
            self._found(_name(str(destination)), "DestinationArn")
        if queue not in self._store.dead_queues():
            raise AwsError("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
        if rate is not None and not (type(rate) is int and 1 <= rate <= MAX_PER_SECOND):
            raise AwsError("InvalidParameterValue", f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is "
                           f"invalid. Reason: Must be an integer from 1 to {MAX_PER_SECOND}.")  # fmt: skip
        if any(task.source == queue for task in self._store.moves.running()):
            raise AwsError("InvalidParameterValue", "There is already a task running. Only one active task is allowed "
                           "for a source queue arn at a given time.")  # fmt: skip
        name = _name(str(destination)) if destination else None
        task = MoveTask(
            id=str(uuid.uuid4()), source=queue, destination=name, rate=rate, status="RUNNING", moved=0,
            to_move=self._store.counts(queue)[0], failure=None, started=self._store.now(),
        )  # fmt: skip
        self._store.moves.put(task)
        self._begin(task)
        return {"TaskHandle": self._handle(task)}

    def list(self, queue: str, fields: Fields) -> Fields:
        """ListMessageMoveTasks: the latest first."""
        self._found(queue, "SourceArn")
        limit = fields.get("MaxResults", 1)
        if not (type(limit) is int and 1 <= limit <= MAX_LISTED):
            raise AwsError("InvalidParameterValue", f"Value {limit} for parameter MaxResults is invalid. Reason: Must "
                           f"be an integer from 1 to {MAX_LISTED}.")  # fmt: skip
        return {"Results": [self._shown(task) for task in self._store.moves.latest(queue, limit)]}

    def cancel(self, queue: str, fields: Fields) -> Fields:
        """CancelMessageMoveTask: what moved stays moved."""
        self._found(queue, "TaskHandle")
        handle = str(fields["TaskHandle"])
        found = next((task for task in self._store.moves.latest(queue) if self._handle(task) == handle), None)
        if found is None:
            raise AwsError("ResourceNotFoundException", "Task does not exist.", 404)
        if found.status != "RUNNING":
            raise AwsError("InvalidParameterValue", "Only active tasks can be cancelled.")
        self._store.moves.close(found.id, "CANCELLED")
        if running := self._running.pop(found.id, None):
            running.cancel()
        return {"ApproximateNumberOfMessagesMoved": found.moved}

    def _found(self, queue: str, parameter: str) -> None:
        if self._store.attributes(queue) is None:
            raise AwsError("ResourceNotFoundException", "The resource that you specified for the "
                           f"{parameter} parameter doesn't exist.", 404)  # fmt: skip

    def _begin(self, task: MoveTask) -> None:
        running = asyncio.get_running_loop().create_task(self._move(task))
        self._running[task.id] = running
        running.add_done_callback(lambda _: self._running.pop(task.id, None))

    async def _move(self, task: MoveTask) -> None:
        batch = max(1, round(task.rate * _TICK_S)) if task.rate else _BATCH
        wait_s = batch / task.rate if task.rate else 0
        while True:
            if not self._store.moves.step(task.id, batch):
                return
            await asyncio.sleep(wait_s)

    def _handle(self, task: MoveTask) -> str:
        text = json.dumps({"taskId": task.id, "sourceArn": self._arn(task.source)}, separators=(",", ":"))
        return base64.b64encode(text.encode()).decode()

    def _shown(self, task: MoveTask) -> Fields:
        shown: Fields = {
            "Status": task.status,
            "SourceArn": self._arn(task.source),
            "ApproximateNumberOfMessagesMoved": task.moved,
            "ApproximateNumberOfMessagesToMove": task.to_move,
            "StartedTimestamp": task.started,
        }
        more = {
            "TaskHandle": self._handle(task) if task.status == "RUNNING" else None,
            "DestinationArn": self._arn(task.destination) if task.destination else None,
            "MaxNumberOfMessagesPerSecond": task.rate,
            "FailureReason": task.failure,
        }
        return shown | {name: value for name, value in more.items() if value is not None}


def _name(arn: str) -> str:
    return arn.rsplit(":", 1)[-1]
