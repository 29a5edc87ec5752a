"""SQS with boto3: the life of a message, dead letters, policies, limits."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulators.local import AWS_ACCOUNT, Local


@pytest.fixture(scope="module")
def sqs(local: Local) -> Any:
    return local.vendor("sqs")


def queue(local: Local, **attributes: str) -> tuple[str, str]:
    name = f"q-{uuid.uuid4().hex[:8]}"
    return local.do(lambda: local.cloud.aws.put_queue(name, attributes))


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_send_receive_delete_with_attributes(local: Local, sqs: Any) -> None:
    url, arn = queue(local, VisibilityTimeout="360")
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="ü <x> \n",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "é"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    )
    (got,) = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"])[
        "Messages"
    ]
    assert (got["MessageId"], got["Body"]) == (sent["MessageId"], "ü <x> \n")
    assert got["MessageAttributes"]["raw"]["BinaryValue"] == b"\x00\xff"
    assert got["Attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(got["Attributes"]["SentTimestamp"]) - time.time() * 1000) < 10_000
    state = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (state["ApproximateNumberOfMessages"], state["ApproximateNumberOfMessagesNotVisible"]) == ("0", "1")
    assert (state["QueueArn"], state["VisibilityTimeout"]) == (arn, "360")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_a_stale_receipt_deletes_nothing_and_cannot_change_visibility(local: Local, sqs: Any) -> None:
    url, _ = queue(local)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (first,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    (second,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=60)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    with pytest.raises(ClientError) as error:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    assert "MessageNotInflight" in code(error)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    (third,) = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"])["Messages"]
    assert third["Attributes"]["ApproximateReceiveCount"] == "3"
    with pytest.raises(ClientError) as error:
        sqs.delete_message(QueueUrl=url, ReceiptHandle="rubbish")
    assert code(error) == "ReceiptHandleIsInvalid"


def test_after_max_receives_a_message_lies_in_the_dead_letter_queue(local: Local, sqs: Any) -> None:
    dead_url, dead_arn = queue(local)
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, _ = queue(local, RedrivePolicy=policy)
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    for _ in range(2):
        assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    (dead,) = sqs.receive_message(QueueUrl=dead_url)["Messages"]
    assert dead["Body"] == "poison"
    name = url.rsplit("/", 1)[-1]
    (depth,) = [d for d in local.do(local.cloud.aws.depths) if d.name == name]
    assert (depth.active, depth.in_flight, depth.dead) == (0, 0, 1)


def test_long_polling_returns_when_a_message_arrives(local: Local, sqs: Any) -> None:
    url, _ = queue(local)
    started = time.monotonic()
    sender = threading.Timer(0.2, lambda: local.vendor("sqs").send_message(QueueUrl=url, MessageBody="late"))
    sender.start()
    (got,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    sender.join()
    assert got["Body"] == "late"
    assert time.monotonic() - started < 10  # not at the end of the wait


def test_long_polling_sees_a_message_become_visible_again(local: Local, sqs: Any) -> None:
    url, _ = queue(local)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=1)["Messages"]
    started = time.monotonic()
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    assert time.monotonic() - started < 10  # as above


def test_batches_report_each_entry(local: Local, sqs: Any) -> None:
    url, _ = queue(local)
    entries = [{"Id": str(n), "MessageBody": f"m{n}"} for n in range(9)] + [{"Id": "bad", "MessageBody": "\x01"}]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert (len(answer["Successful"]), answer["Failed"][0]["Code"]) == (9, "InvalidMessageContents")
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [m["Body"] for m in got] == [f"m{n}" for n in range(9)]
    handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=handles)["Successful"]) == 9
    with pytest.raises(ClientError) as error:
        sqs.send_message_batch(QueueUrl=url, Entries=[])
    assert "EmptyBatchRequest" in code(error)


def test_sizes_delays_and_missing_queues(local: Local, sqs: Any) -> None:
    url, _ = queue(local)
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1_048_576, DelaySeconds=900)
    state = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesDelayed"])["Attributes"]
    assert state == {"ApproximateNumberOfMessagesDelayed": "1"}
    with pytest.raises(ClientError) as error:
        sqs.send_message(QueueUrl=url, MessageBody="x" * 1_048_577)
    assert code(error) == "InvalidParameterValue"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="nobody")


def test_only_what_a_policy_allows(local: Local, sqs: Any) -> None:
    aws = local.cloud.aws
    url, arn = queue(local)
    other, _ = queue(local)
    local.do(lambda: aws.put_role("consumer", json.dumps({"Version": "2012-10-17", "Statement": []})))
    statement = {"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"], "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    local.do(lambda: aws.put_role_policy("consumer", "p", document))
    session = local.do(lambda: aws.account.open_session(aws.account.roles["consumer"], "s", 900))
    consumer = local.aws("sqs", session.access_key, session.secret, session.token)
    assert "Messages" not in consumer.receive_message(QueueUrl=url)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: consumer.receive_message(QueueUrl=other),
        lambda: consumer.send_message(QueueUrl=url, MessageBody="x"),
        lambda: local.aws("sqs", session.access_key, "wrong", session.token).receive_message(QueueUrl=url),
    )
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    deny = {
        "Effect": "Deny",
        "Principal": {"AWS": f"arn:aws:iam::{AWS_ACCOUNT}:role/consumer"},
        "Action": "sqs:*",
        "Resource": arn,
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    local.do(lambda: aws.put_queue_policy(url.rsplit("/", 1)[-1], text))
    with pytest.raises(ClientError, match="not authorized"):
        consumer.receive_message(QueueUrl=url)
