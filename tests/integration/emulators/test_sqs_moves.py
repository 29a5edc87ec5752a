"""Message move tasks with boto3: from a dead-letter queue back to where its messages came from, and what is refused."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulators.local import Local


@pytest.fixture(scope="module")
def sqs(local: Local) -> Any:
    return local.vendor("sqs")


class Pair:
    """A queue and its dead-letter queue."""

    def __init__(self, local: Local, sqs: Any) -> None:
        self.sqs, name = sqs, f"q-{uuid.uuid4().hex[:8]}"
        self.dead, self.dead_arn = local.do(lambda: local.cloud.aws.put_queue(f"{name}-dead", {}))
        policy = json.dumps({"deadLetterTargetArn": self.dead_arn, "maxReceiveCount": 1})
        self.url, self.arn = local.do(lambda: local.cloud.aws.put_queue(name, {"RedrivePolicy": policy}))

    def kill(self, *bodies: str) -> None:
        """Messages that were received too often."""
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)
        for _ in range(2):
            while self.sqs.receive_message(QueueUrl=self.url, VisibilityTimeout=0, MaxNumberOfMessages=10).get(
                "Messages"
            ):
                pass

    def task(self) -> dict[str, Any]:
        (found,) = self.sqs.list_message_move_tasks(SourceArn=self.dead_arn)["Results"]
        return dict(found)

    def ended(self) -> dict[str, Any]:
        for _ in range(500):
            if (task := self.task())["Status"] != "RUNNING":
                return task
        raise AssertionError(task)

    def bodies(self, url: str) -> list[str]:
        found: list[str] = []
        while got := self.sqs.receive_message(QueueUrl=url, VisibilityTimeout=600, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            found += [message["Body"] for message in got]
        return sorted(found)


@pytest.fixture
def pair(local: Local, sqs: Any) -> Pair:
    return Pair(local, sqs)


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"]), str(error.value.response["Error"]["Message"])


def test_messages_go_back_as_new_ones(pair: Pair, sqs: Any) -> None:
    sent = sqs.send_message(QueueUrl=pair.url, MessageBody="first")
    pair.kill("second")
    handle = sqs.start_message_move_task(SourceArn=pair.dead_arn)["TaskHandle"]
    task = pair.ended()
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (
        "COMPLETED", 2, 2,
    )  # fmt: skip
    assert not {"TaskHandle", "DestinationArn", "FailureReason", "MaxNumberOfMessagesPerSecond"} & task.keys()
    got = sqs.receive_message(QueueUrl=pair.url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])[
        "Messages"
    ]
    assert sorted(message["Body"] for message in got) == ["first", "second"]
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in got} == {"1"}
    assert sent["MessageId"] not in {message["MessageId"] for message in got}
    assert refused(lambda: sqs.cancel_message_move_task(TaskHandle=handle))[1] == "Only active tasks can be cancelled."


def test_a_rate_is_kept_and_a_running_task_can_be_cancelled(pair: Pair, sqs: Any) -> None:
    pair.kill(*map(str, range(12)))
    began = time.monotonic()
    handle = sqs.start_message_move_task(SourceArn=pair.dead_arn, MaxNumberOfMessagesPerSecond=4)["TaskHandle"]
    assert refused(lambda: sqs.start_message_move_task(SourceArn=pair.dead_arn)) == (
        "InvalidParameterValue",
        "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
    )
    while (task := pair.task())["ApproximateNumberOfMessagesMoved"] < 4:
        assert task["TaskHandle"] == handle
    assert time.monotonic() - began >= 0.7
    moved = sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    assert (pair.task()["Status"], pair.task()["ApproximateNumberOfMessagesMoved"]) == ("CANCELLED", moved)
    back, left = pair.bodies(pair.url), pair.bodies(pair.dead)
    assert (len(back), sorted(back + left)) == (moved, sorted(map(str, range(12))))


def test_what_was_sent_straight_to_the_dead_needs_a_destination(pair: Pair, sqs: Any) -> None:
    sqs.send_message(QueueUrl=pair.dead, MessageBody="stray")
    sqs.start_message_move_task(SourceArn=pair.dead_arn)
    assert pair.ended()["FailureReason"] == "CouldNotDetermineMessageSource"
    sqs.start_message_move_task(SourceArn=pair.dead_arn, DestinationArn=pair.arn)
    task = pair.ended()
    assert (task["Status"], task["DestinationArn"]) == ("COMPLETED", pair.arn)
    assert pair.bodies(pair.url) == ["stray"]
    tasks = sqs.list_message_move_tasks(SourceArn=pair.dead_arn, MaxResults=10)["Results"]
    assert [one["Status"] for one in tasks] == ["COMPLETED", "FAILED"]


def test_messages_in_hand_stay(pair: Pair, sqs: Any) -> None:
    pair.kill("held", "free")
    (held,) = sqs.receive_message(QueueUrl=pair.dead, VisibilityTimeout=600)["Messages"]
    sqs.start_message_move_task(SourceArn=pair.dead_arn)
    assert pair.ended()["ApproximateNumberOfMessagesMoved"] == 1
    sqs.change_message_visibility(QueueUrl=pair.dead, ReceiptHandle=held["ReceiptHandle"], VisibilityTimeout=0)
    assert pair.bodies(pair.dead) == [held["Body"]]


def test_what_aws_refuses(local: Local, pair: Pair, sqs: Any) -> None:
    nobody = pair.arn + "-nobody"
    start = sqs.start_message_move_task
    assert refused(lambda: start(SourceArn=pair.arn)) == (
        "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.",
    )  # fmt: skip
    assert refused(lambda: start(SourceArn=nobody))[0] == "ResourceNotFoundException"
    assert refused(lambda: start(SourceArn=pair.dead_arn, DestinationArn=nobody))[0] == "ResourceNotFoundException"
    for rate in (0, 501):
        call = {"SourceArn": pair.dead_arn, "MaxNumberOfMessagesPerSecond": rate}
        assert refused(lambda call=call: start(**call))[0] == "InvalidParameterValue"  # type: ignore[misc]
    assert refused(lambda: sqs.cancel_message_move_task(TaskHandle="rubbish"))[0] == "InvalidParameterValue"
    assert refused(lambda: sqs.list_message_move_tasks(SourceArn=nobody))[0] == "ResourceNotFoundException"
    assert sqs.list_message_move_tasks(SourceArn=pair.dead_arn)["Results"] == []


def test_each_right_of_a_move_is_needed(local: Local, pair: Pair) -> None:
    pair.kill("x")
    aws = local.cloud.aws
    rights = {
        "sqs:StartMessageMoveTask": pair.dead_arn, "sqs:ReceiveMessage": pair.dead_arn,
        "sqs:DeleteMessage": pair.dead_arn, "sqs:GetQueueAttributes": pair.dead_arn, "sqs:SendMessage": pair.arn,
    }  # fmt: skip
    role = f"r-{uuid.uuid4().hex[:8]}"
    local.do(lambda: aws.put_role(role, json.dumps({"Version": "2012-10-17", "Statement": []})))
    session = local.do(lambda: aws.account.open_session(aws.account.roles[role], "s", 900))
    caller = local.aws("sqs", session.access_key, session.secret, session.token)
    for missing in rights:
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": arn}
            for action, arn in rights.items()
            if action != missing
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        local.do(lambda document=document: aws.put_role_policy(role, "p", document))  # type: ignore[misc]
        code, message = refused(lambda: caller.start_message_move_task(SourceArn=pair.dead_arn))
        assert (code, missing in message) == ("AccessDeniedException", True)
    assert pair.bodies(pair.dead) == ["x"]
