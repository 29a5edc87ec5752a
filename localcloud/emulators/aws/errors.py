"""AWS's error answers in their three shapes: S3's XML, the query protocol's XML (STS), and JSON (SQS)."""

import json
import uuid
from collections.abc import Callable
from typing import Final
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.emulators.door import Reply

_STS: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
SQS_NAMESPACE: Final = "http://queue.amazonaws.com/doc/2012-11-05/"
_QUERY_NAMES: Final = {
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "MessageNotInflight": "AWS.SimpleQueueService.MessageNotInflight",
    "PurgeQueueInProgress": "AWS.SimpleQueueService.PurgeQueueInProgress",
    "EmptyBatchRequest": "AWS.SimpleQueueService.EmptyBatchRequest",
    "TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    "BatchEntryIdsNotDistinct": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    "BatchRequestTooLong": "AWS.SimpleQueueService.BatchRequestTooLong",
    "QueueNameExists": "QueueAlreadyExists",
    "AccessDenied": "AccessDeniedException",
}
"""SQS still tells clients of its old protocol the old names, in the header x-amzn-query-error."""


class AwsError(Exception):
    """A refusal with AWS's own code and HTTP status; `resource` is what S3 names in its body."""

    def __init__(self, code: str, message: str, status: int = 400, *, resource: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.resource = code, message, status, resource


def shaped(shape: Callable[[AwsError], web.Response]) -> Reply:
    """One of the three shapes as the door wants it."""

    def reply(status: int, code: str, message: str, headers: dict[str, str]) -> web.Response:
        response = shape(AwsError(code, message, status))
        response.headers.update(headers)
        return response

    return reply


def s3_error(error: AwsError) -> web.Response:
    """`<Error><Code>…` without a namespace, as S3 answers; S3's own name for a bad session token differs."""
    request_id = uuid.uuid4().hex[:16].upper()
    body = (
        '<?xml version="1.0" '
        f'encoding="UTF-8"?>\n<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>'
        f"<Resource>{escape(error.resource)}</Resource><RequestId>{request_id}</RequestId></Error>"
    )
    headers = {"x-amz-request-id": request_id}
    return web.Response(status=error.status, body=body.encode(), content_type="application/xml", headers=headers)


def query_error(error: AwsError, namespace: str = _STS) -> web.Response:
    """`<ErrorResponse><Error><Type>…` as STS answers, and SQS those who speak its old protocol."""
    side = "Sender" if error.status < 500 else "Receiver"
    body = (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>{side}</Type>'
        f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return web.Response(status=error.status, body=body.encode(), content_type="text/xml")


def sqs_error(error: AwsError) -> web.Response:
    """`{"__type": "com.amazonaws.sqs#…", "message": …}` as SQS's JSON protocol answers."""
    side = "Sender" if error.status < 500 else "Receiver"
    headers = {
        "x-amzn-query-error": f"{_QUERY_NAMES.get(error.code, error.code)};{side}",
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    body = json.dumps({"__type": f"com.amazonaws.sqs#{error.code}", "message": error.message}).encode()
    return web.Response(status=error.status, body=body, content_type="application/x-amz-json-1.0", headers=headers)
