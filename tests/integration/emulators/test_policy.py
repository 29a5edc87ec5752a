"""IAM policy documents and role assignments: the decisions, as tables."""

import json
from typing import Any

import pytest

from localcloud.emulators.access import Access
from localcloud.emulators.aws.policy import decide, parse
from tests.integration.emulators.local import BLOB_CONTRIBUTOR, BLOB_READER, GROUP

QUEUE = "arn:aws:sqs:eu-central-1:123456789012:q"


def decision(statements: list[dict[str, Any]], action: str = "sqs:SendMessage", **context: str) -> str | None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return decide(parse(document, owner="test"), action, QUEUE, {k.replace("_", ":"): v for k, v in context.items()})


def allow(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "sqs:*", "Resource": "*", **more}


@pytest.mark.parametrize(
    ("statements", "context", "expected"),
    [
        ([], {}, None),
        ([allow()], {}, "Allow"),
        ([allow(Action="SQS:sendmessage")], {}, "Allow"),
        ([allow(Action="sqs:Receive*")], {}, None),
        ([allow(), allow(Effect="Deny", Resource=QUEUE[:-1] + "?")], {}, "Deny"),
        ([allow(Resource="arn:aws:sqs:*:123456789012:other")], {}, None),
        ([{"Effect": "Allow", "NotAction": "sqs:SendMessage", "Resource": "*"}], {}, None),
        ([allow(Condition={"StringEquals": {"aws:sourceAccount": ["1", "2"]}})], {"aws_sourceaccount": "2"}, "Allow"),
        ([allow(Condition={"StringEquals": {"aws:sourceAccount": "1"}})], {}, None),
        ([allow(Condition={"StringEqualsIfExists": {"aws:sourceAccount": "1"}})], {}, "Allow"),
        ([allow(Condition={"StringNotEquals": {"aws:sourceAccount": "1"}})], {"aws_sourceaccount": "1"}, None),
        ([allow(Condition={"StringNotEquals": {"aws:sourceAccount": "1"}})], {}, "Allow"),
        (
            [allow(Condition={"ArnLike": {"aws:SourceArn": "arn:*:b-*"}})],
            {"aws_sourcearn": "arn:aws:s3:::b-1"},
            "Allow",
        ),
        ([allow(Condition={"Bool": {"aws:SecureTransport": True}})], {"aws_securetransport": "true"}, "Allow"),
    ],
)
def test_decisions(statements: list[dict[str, Any]], context: dict[str, str], expected: str | None) -> None:
    assert decision(statements, **context) == expected


@pytest.mark.parametrize(
    "document",
    [
        "no json",
        '{"Statement": []}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Maybe"}]}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Actions": "*"}]}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Condition": {"Later": {}}}]}',
    ],
)
def test_what_cannot_be_enforced_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="role x"):
        parse(document, owner="role x")


READ = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
WRITE = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/st"


def test_roles_reach_downwards_only_and_ignore_case() -> None:
    access = Access()
    access.assign("1", "P1", f"/providers/Microsoft.Authorization/roleDefinitions/{BLOB_READER.upper()}", ACCOUNT)
    below = f"{ACCOUNT}/blobServices/default/containers/c"
    assert access.allowed("p1", READ.lower(), below.upper())
    assert not access.allowed("p1", WRITE, below)
    assert not access.allowed("p1", READ, ACCOUNT + "2")
    assert not access.allowed("p1", READ, GROUP)
    assert not access.allowed("p2", READ, below)
    access.assign("2", "p1", BLOB_CONTRIBUTOR, below)
    assert access.allowed("p1", WRITE, below)
    access.remove("2")
    assert not access.allowed("p1", WRITE, below)


def test_a_control_plane_role_opens_no_data_plane() -> None:
    access = Access()
    access.assign("1", "owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", GROUP)
    assert access.allowed("owner", "Microsoft.Storage/storageAccounts/write", ACCOUNT, data=False)
    assert not access.allowed("owner", READ, ACCOUNT)
    with pytest.raises(LookupError, match=r"role_definitions\.json"):
        access.assign("2", "owner", "00000000-0000-0000-0000-000000000000", GROUP)
