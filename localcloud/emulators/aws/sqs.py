"""SQS behind the door: the JSON protocol current SDKs speak, standard queues, identity and queue policies enforced."""

import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from localcloud.emulators.aws.account import Account, Caller
from localcloud.emulators.aws.errors import SQS_NAMESPACE, AwsError, query_error, shaped, sqs_error
from localcloud.emulators.aws.policy import Statement, parse
from localcloud.emulators.aws.sqs_moves import Moves
from localcloud.emulators.aws.sqs_store import QueueStore, md5
from localcloud.emulators.aws.sqs_wire import (
    DEFAULTS,
    MAX_MESSAGE_BYTES,
    attributes_md5,
    check_attributes,
    check_batch,
    check_body,
    check_name,
    message_json,
)
from localcloud.emulators.door import Call, Refusal, Troubles

MAX_WAIT_S: Final = 20
_TARGET: Final = "AmazonSQS."
Fields = dict[str, Any]


class Sqs:
    """The service behind the SQS door. `base` is its address, set once it is known."""

    name = "sqs"
    troubles = Troubles(
        shaped(sqs_error), busy=(500, "InternalFailure"), throttled=(400, "RequestThrottled"),
        expired=(403, "ExpiredTokenException"),
    )  # fmt: skip

    def __init__(self, account: Account, store: QueueStore) -> None:
        self._account = account
        self.store = store
        self.base = ""
        self.moves = Moves(store, self.arn)
        self._operations: dict[str, Callable[[str, Fields], Fields]] = {
            "CreateQueue": self._create,
            "GetQueueUrl": lambda queue, _: {"QueueUrl": self.url(queue)},
            "GetQueueAttributes": self._get_attributes,
            "SetQueueAttributes": self._set_attributes,
            "ListQueues": self._list,
            "DeleteQueue": self._delete_queue,
            "PurgeQueue": self._purge,
            "SendMessage": self._send,
            "SendMessageBatch": self._batch(self._send, "SendMessage"),
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._batch(self._delete, "DeleteMessage"),
            "ChangeMessageVisibility": self._visibility,
            "ChangeMessageVisibilityBatch": self._batch(self._visibility, "ChangeMessageVisibility"),
            "StartMessageMoveTask": self.moves.start,
            "ListMessageMoveTasks": self.moves.list,
            "CancelMessageMoveTask": self.moves.cancel,
        }

    @property
    def operations(self) -> set[str]:
        """The names of the operations it has."""
        return {*self._operations, "ReceiveMessage"}

    def arn(self, queue: str) -> str:
        """The ARN of a queue."""
        return f"arn:aws:sqs:{self._account.region}:{self._account.account_id}:{queue}"

    def url(self, queue: str) -> str:
        """The URL of a queue."""
        return f"{self.base}/{self._account.account_id}/{queue}"

    def policy(self, queue: str) -> list[Statement]:
        """The queue's own policy."""
        text = (self.store.attributes(queue) or {}).get("Policy")
        return parse(text, owner=f"queue {queue}") if text else []

    async def admit(self, request: web.BaseRequest) -> Call:
        """Signature, then identity and queue policy for the operation's action."""
        body = await request.read()
        operation = request.headers.get("X-Amz-Target", "").removeprefix(_TARGET)
        try:
            if operation not in self.operations:
                raise AwsError("UnsupportedOperation", f"The local cloud's SQS speaks the JSON protocol and knows "
                               f"{', '.join(sorted(self.operations))}; got "
                               f"{operation or 'none'}.")  # fmt: skip
            caller = self._account.caller(request, body, "sqs")
            fields = _fields(body)
            moving = operation.endswith(("MoveTask", "MoveTasks"))
            queue = self.moves.source_of(fields) if moving else self._named(fields)
            self._permit(caller, f"sqs:{operation.removesuffix('Batch')}", "" if operation == "ListQueues" else queue)
            for action, needed in self.moves.needs(operation, queue, fields):
                self._permit(caller, action, needed)
            if not moving and operation not in {"CreateQueue", "ListQueues"} and self.store.attributes(queue) is None:
                raise AwsError("QueueDoesNotExist", "The specified queue does not exist.")
        except AwsError as error:
            old = "X-Amz-Target" not in request.headers  # the query protocol: its clients read XML
            raise Refusal(query_error(error, SQS_NAMESPACE) if old else sqs_error(error), operation or "?") from error
        sender = caller.user_id if caller else "anonymous"
        fields["_sender"] = sender
        # Delivered twice: visible again although handed out. Out of order: the newest first.
        twice, newest = {**fields, "VisibilityTimeout": 0}, {**fields, "_newest_first": True}
        received = {"duplicate": (queue, twice), "reorder": (queue, newest)} if operation == "ReceiveMessage" else {}
        return Call(operation, caller.arn if caller else "anonymous", (queue, fields), received)

    def _named(self, fields: Fields) -> str:
        """The queue's name; AwsError for one of another account, which nobody here has a right to."""
        url = str(fields.get("QueueUrl") or "").rstrip("/")
        account, name = url.split("/")[-2:] if url.count("/") > 1 else (self._account.account_id, url)
        owner = str(fields.get("QueueOwnerAWSAccountId") or account)
        if owner != self._account.account_id:
            raise AwsError("AccessDenied", f"Access to queues of account {ascii(owner)[:40]} is denied.", 403)
        return str(fields.get("QueueName") or name)

    def _permit(self, caller: Caller | None, action: str, queue: str) -> None:
        resource = self.arn(queue) if queue else "*"
        if not self._account.allowed(caller, action, resource, self.policy(queue)):
            who = caller.arn if caller else "anonymous"
            raise AwsError("AccessDenied", f"User: {who} is not authorized to perform: {action.lower()} on resource: "
                           f"{resource} because no policy allows the {action} action", 403)  # fmt: skip

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """JSON out."""
        queue, fields = call.detail
        try:
            if call.operation == "ReceiveMessage":
                result = await self._receive(request, queue, fields)
            else:
                result = self._operations[call.operation](queue, fields)
        except AwsError as error:
            raise Refusal(sqs_error(error), call.operation) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:  # a parameter of another type
            words = f"A parameter is of the wrong type or missing: {ascii(str(error))[:100]}"
            raise Refusal(sqs_error(AwsError("InvalidParameterValue", words)), call.operation) from error
        headers = {"x-amzn-RequestId": str(uuid.uuid4())}
        return web.Response(
            body=json.dumps(result).encode(), content_type="application/x-amz-json-1.0", headers=headers
        )

    def put_queue(self, name: str, attributes: dict[str, str]) -> tuple[str, str]:
        """Declares a queue with exactly these attributes (others at their defaults); answers (URL, ARN)."""
        check_name(name)
        self.store.put(name, {**DEFAULTS, **check_attributes(name, attributes)})
        return self.url(name), self.arn(name)

    def _create(self, queue: str, fields: Fields) -> Fields:
        wanted = {**DEFAULTS, **check_attributes(queue, fields.get("Attributes") or {})}
        check_name(queue)
        existing = self.store.attributes(queue)
        given = fields.get("Attributes") or {}
        if existing is not None and any(existing.get(key) != value for key, value in given.items()):
            raise AwsError(
                "QueueNameExists", "A queue already exists with the same name and a different value for an attribute."
            )
        if existing is None:
            self.store.put(queue, wanted)
        return {"QueueUrl": self.url(queue)}

    def _get_attributes(self, queue: str, fields: Fields) -> Fields:
        visible, in_flight, delayed = self.store.counts(queue)
        every = {
            **(self.store.attributes(queue) or {}),
            "QueueArn": self.arn(queue),
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
        }
        wanted = fields.get("AttributeNames") or []
        return {"Attributes": every if "All" in wanted else {k: v for k, v in every.items() if k in wanted}}

    def _set_attributes(self, queue: str, fields: Fields) -> Fields:
        given = fields.get("Attributes") or {}
        kept = {k: v for k, v in (self.store.attributes(queue) or {}).items() if k not in given}
        self.store.put(queue, {**kept, **check_attributes(queue, given)})
        return {}

    def _list(self, queue: str, fields: Fields) -> Fields:  # noqa: ARG002 -- one shape for all operations
        prefix = str(fields.get("QueueNamePrefix") or "")
        return {"QueueUrls": [self.url(name) for name in self.store.names() if name.startswith(prefix)]}

    def _delete_queue(self, queue: str, fields: Fields) -> Fields:  # noqa: ARG002
        self.store.remove(queue)
        return {}

    def _purge(self, queue: str, fields: Fields) -> Fields:  # noqa: ARG002
        self.store.purge(queue)
        return {}

    def _send(self, queue: str, fields: Fields) -> Fields:
        settings = self.store.attributes(queue) or DEFAULTS
        body, attributes = fields.get("MessageBody"), fields.get("MessageAttributes") or {}
        check_body(body, attributes, int(settings["MaximumMessageSize"]))
        delay_s = int(fields.get("DelaySeconds", settings["DelaySeconds"]))
        if not 0 <= delay_s <= 900:
            raise AwsError("InvalidParameterValue", f"Value {delay_s} for parameter DelaySeconds is invalid: 0 to 900.")
        (message_id,) = self.store.send(queue, [(str(body), attributes, delay_s)], str(fields["_sender"]))
        answer = {"MessageId": message_id, "MD5OfMessageBody": md5(str(body))}
        digest = attributes_md5(attributes)
        return {**answer, "MD5OfMessageAttributes": digest} if digest else answer

    async def _receive(self, request: web.BaseRequest, queue: str, fields: Fields) -> Fields:
        settings = self.store.attributes(queue) or DEFAULTS
        limit = int(fields.get("MaxNumberOfMessages", 1))
        wait_s = int(fields.get("WaitTimeSeconds", settings["ReceiveMessageWaitTimeSeconds"]))
        visibility_s = int(fields.get("VisibilityTimeout", settings["VisibilityTimeout"]))
        if not (1 <= limit <= 10 and 0 <= wait_s <= MAX_WAIT_S and 0 <= visibility_s <= 43_200):
            raise AwsError("InvalidParameterValue", "ReceiveMessage takes MaxNumberOfMessages 1 to 10, "
            "WaitTimeSeconds 0 "
            "to 20 and "
                           f"VisibilityTimeout 0 to 43200; got {limit}, {wait_s}, {visibility_s}.")  # fmt: skip
        deadline = self.store.now() + wait_s * 1000
        newest_first = "_newest_first" in fields
        messages = self.store.receive(queue, limit, visibility_s, newest_first=newest_first)
        while not messages and (left := deadline - self.store.now()) > 0:
            await self.store.wait_for_message(queue, left / 1000)
            if request.transport is None or request.transport.is_closing() or self.store.attributes(queue) is None:
                break  # nobody is listening any more: a message handed out now would be lost for its visibility time
            messages = self.store.receive(queue, limit, visibility_s, newest_first=newest_first)
        wanted = {*(fields.get("MessageSystemAttributeNames") or []), *(fields.get("AttributeNames") or [])}
        names = fields.get("MessageAttributeNames") or []
        return {"Messages": [message_json(message, wanted, names) for message in messages]} if messages else {}

    def _delete(self, queue: str, fields: Fields) -> Fields:
        self.store.delete(queue, _receipt(fields))
        return {}

    def _visibility(self, queue: str, fields: Fields) -> Fields:
        seconds = int(fields.get("VisibilityTimeout", -1))
        if not 0 <= seconds <= 43_200:
            raise AwsError(
                "InvalidParameterValue", f"Value {seconds} for parameter VisibilityTimeout is invalid: 0 to 43200."
            )
        if not self.store.change_visibility(queue, _receipt(fields), seconds):
            raise AwsError("MessageNotInflight", "The specified message isn't in flight.")
        return {}

    def _batch(self, one: Callable[[str, Fields], Fields], name: str) -> Callable[[str, Fields], Fields]:
        def many(queue: str, fields: Fields) -> Fields:
            entries: list[Fields] = fields.get("Entries") or []
            check_batch(entries)
            if name == "SendMessage":
                total = sum(len(str(entry.get("MessageBody", "")).encode()) for entry in entries)
                if total > MAX_MESSAGE_BYTES:
                    raise AwsError("BatchRequestTooLong", "Batch requests cannot be longer than "
                    f"{MAX_MESSAGE_BYTES} bytes. "
                                   f"You have sent {total} bytes.")  # fmt: skip
            good, bad = [], []
            for entry in entries:
                try:
                    good.append({"Id": entry["Id"], **one(queue, {**entry, "_sender": fields["_sender"]})})
                except AwsError as error:
                    bad.append({"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message})
            return {"Successful": good, "Failed": bad} if bad else {"Successful": good}

        return many


def _fields(body: bytes) -> Fields:
    try:
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise AwsError("SerializationException", f"The body must be JSON: {str(error)[:100]}.") from error
    if not isinstance(fields, dict):
        raise AwsError("SerializationException", "The body must be a JSON object.")
    return fields


def _receipt(fields: Fields) -> str:
    receipt = str(fields.get("ReceiptHandle") or "")
    if receipt.count(".") != 2:
        raise AwsError("ReceiptHandleIsInvalid", f'The input receipt handle "{receipt}" is not a valid receipt handle.')
    return receipt
