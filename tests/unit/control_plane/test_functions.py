"""The providers' functions. Write one here when a function joins `FUNCTIONS`."""

import json
from typing import Any

import pytest

from localcloud.control.functions import Asked, call, looked_up
from localcloud.engine.provider import Refused
from tests.components.program import ACCOUNT, TENANCY

POLICY = "aws:iam/getPolicyDocument:getPolicyDocument"
STATEMENT = {
    "sid": "Send",
    "actions": ["sqs:SendMessage"],
    "resources": ["arn:one", "arn:two"],
    "principals": [{"type": "Service", "identifiers": ["s3.amazonaws.com"]}],
    "conditions": [{"test": "ArnEquals", "variable": "aws:SourceArn", "values": ["arn:b"]}],
}


def ask(token: str, found: dict[str, Any] | None = None, **args: Any) -> dict[str, Any]:
    return call(token, Asked(args, TENANCY, "me"), lambda _type, _args: found)


def test_a_policy_document_is_what_aws_would_be_sent() -> None:
    document = json.loads(ask(POLICY, statements=[STATEMENT])["json"])
    assert document == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Send",
                "Effect": "Allow",
                "Action": "sqs:SendMessage",
                "Resource": ["arn:one", "arn:two"],
                "Principal": {"Service": "s3.amazonaws.com"},
                "Condition": {"ArnEquals": {"aws:SourceArn": "arn:b"}},
            }
        ],
    }


def test_an_overriding_statement_takes_the_place_of_the_one_with_its_sid() -> None:
    other = json.dumps({"Statement": {"Sid": "Send", "Effect": "Deny", "Action": "*", "Resource": "*"}})
    document = json.loads(ask(POLICY, statements=[STATEMENT], overridePolicyDocuments=[other])["json"])
    assert [one["Effect"] for one in document["Statement"]] == ["Deny"]


def test_who_and_where_we_are() -> None:
    assert ask("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == ACCOUNT
    assert ask("aws:index/getRegion:getRegion")["region"] == "eu-central-1"
    assert ask("aws:index/getRegion:getRegion", region="us-east-1")["name"] == "us-east-1"
    assert ask("aws:index/getArn:getArn", arn="arn:aws:sqs:eu-west-1:1:q")["resource"] == "q"


@pytest.mark.parametrize(
    ("token", "type_"),
    [
        ("azure-native:storage:getStorageAccount", "azure-native:storage:StorageAccount"),
        ("aws:sqs/getQueue:getQueue", "aws:sqs/queue:Queue"),
        ("aws:s3/getBucket:getBucket", "aws:s3/bucket:Bucket"),
        ("azure-native:network:getVirtualNetwork", None),
        ("azure-native:storage:listStorageAccountKeys", None),
    ],
)
def test_every_described_type_can_be_looked_up(token: str, type_: str | None) -> None:
    assert looked_up(token) == type_


def test_a_lookup_answers_what_exists_and_refuses_what_does_not() -> None:
    assert ask("aws:sqs/getQueue:getQueue", {"url": "u", "id": "u"}, name="q") == {"name": "q", "url": "u", "id": "u"}
    with pytest.raises(Refused, match="must name a aws:sqs/queue:Queue that exists, got name=q"):
        ask("aws:sqs/getQueue:getQueue", None, name="q")
    with pytest.raises(Refused, match=r"add it to FUNCTIONS in localcloud/control/functions.py"):
        ask("aws:ec2/getVpc:getVpc")
