"""Every operation of S3 and SQS as one request, signed or not, and what a refusal of each service looks like."""

import json
from dataclasses import dataclass
from typing import Any, Final

from localcloud.emulators.aws.s3_operation import BUCKET_OPERATIONS, OBJECT_OPERATIONS
from tests.integration.emulators.local import Local
from tests.integration.emulators.security.sigv4 import Headers, Keys, signed
from tests.integration.emulators.security.wire import Answer, Wire

JSON: Final = ("content-type", "application/x-amz-json-1.0")


@dataclass(frozen=True, slots=True)
class Ask:
    """One operation, unsigned."""

    service: str
    operation: str
    method: str
    base: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def s3_asks(local: Local, bucket: str) -> list[Ask]:
    base, found = local.cloud.endpoints["s3"], []
    for table, path in ((BUCKET_OPERATIONS, f"/{bucket}"), (OBJECT_OPERATIONS, f"/{bucket}/key")):
        for (method, subresource), (operation, _) in table.items():
            query = f"?{subresource}=1" if subresource else ""
            query += "&partNumber=1" if operation == "UploadPart" else ""
            body = b"<Delete><Object><Key>key</Key></Object></Delete>" if operation == "DeleteObjects" else b""
            found.append(Ask("s3", operation, method, base, path + query, (), body))
    return found


def sqs_asks(local: Local, queue: str) -> list[Ask]:
    url = local.cloud.aws.sqs.url(queue)
    entry = {"Id": "a", "ReceiptHandle": "a.b.c", "MessageBody": "m", "VisibilityTimeout": 0}
    fields = {
        **entry,
        "QueueUrl": url,
        "QueueName": queue,
        "Entries": [entry],
        "Attributes": {},
        "MaxNumberOfMessages": 1,
    }
    body = json.dumps(fields).encode()
    return [
        Ask("sqs", one, "POST", local.cloud.endpoints["sqs"], "/", (("x-amz-target", f"AmazonSQS.{one}"), JSON), body)
        for one in sorted(local.cloud.aws.sqs.operations)
    ]


def call(wire: Wire, ask: Ask, keys: Keys | None, **wrong: Any) -> Answer:
    headers: Headers = list(ask.headers)
    if keys is not None:
        headers = signed(keys, ask.service, ask.method, ask.base, ask.target, headers=headers, body=ask.body, **wrong)
    return wire.send(ask.base, ask.method, ask.target, headers, ask.body)


def refusal(service: str, answer: Answer) -> tuple[int, str]:
    """(status, code), the shape of the whole answer checked."""
    assert b"CANARY" not in answer.body
    if service == "s3":
        if not answer.body:
            return answer.status, ""
        assert answer.headers["content-type"].startswith("application/xml")
        assert answer.xml.tag == "Error"
        assert answer.xml.findtext("RequestId") == answer.headers["x-amz-request-id"]
        return answer.status, str(answer.xml.findtext("Code"))
    if service == "sqs":
        assert answer.headers["content-type"].startswith("application/x-amz-json-1.0")
        assert "x-amzn-requestid" in answer.headers
        assert answer.headers["x-amzn-query-error"].endswith(";Sender")
        return answer.status, answer.json["__type"].removeprefix("com.amazonaws.sqs#")
    namespace = "{https://sts.amazonaws.com/doc/2011-06-15/}"
    assert answer.xml.tag == f"{namespace}ErrorResponse"
    assert answer.xml.findtext(f"{namespace}RequestId")
    return answer.status, str(answer.xml.findtext(f"{namespace}Error/{namespace}Code"))


DENIED: Final = (403, "AccessDenied")
