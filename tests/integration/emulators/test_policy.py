"""IAM policy documents and role assignments: the decisions, as tables."""

import json
import re
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


def statement(**changed: Any) -> str:
    base = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", **changed}
    return json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in base.items() if v is not None}]})


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (statement(NotAction="s3:PutObject"), "either Action or NotAction"),
        (statement(NotResource="arn:aws:s3:::c/*"), "either Resource or NotResource"),
        (statement(Action=None), "either Action or NotAction"),
        (statement(Action=[]), "Action must be a text"),
        (statement(Action={"x": "y"}), "Action must be a text"),
        (statement(Resource=7), "Resource must be a text"),
        (statement(NotPrincipal="*"), "NotPrincipal"),
        (statement(Principal={"CanonicalUser": "x"}), "Principal must be"),
        (statement(Principal="arn:aws:iam::1:root"), "Principal must be"),
        (statement(Resource="arn:aws:s3:::b/${aws:username}/*"), "policy variables"),
        (statement(Condition={"StringLike": {"s3:prefix": "${aws:userid}/*"}}), "policy variables"),
        *[
            (statement(Condition={operator: {"aws:SourceAccount": "1"}}), operator)
            for operator in (
                *("IpAddress", "DateLessThan", "NumericEquals", "Null", "BinaryEquals"),
                *("ForAllValues:StringEquals", "ForAnyValue:StringLike"),
            )
        ],
        *[
            (statement(Effect="Deny", Condition={"StringNotEquals": {key: "x"}}), key)
            for key in (
                "aws:SourceIp",
                "aws:RequestedRegion",
                "s3:x-amz-acl",
                "aws:ResourceTag/a",
                "aws:PrincipalOrgID",
            )
        ],
        (statement(Condition="StringEquals"), "Condition must be"),
        (statement(Condition={"StringEquals": {}}), "Condition must be"),
        ('{"Version": "2012-10-17", "Statement": "Allow"}', "must be an object"),
        ("[]", "must be an object"),
        ("[" * 5000, "must be JSON"),
        ('{"Version": "2012-10-17", "Statement": [], "Extra": 1}', "Version, Id and Statement"),
    ],
)
def test_what_is_not_evaluated_is_named_and_refused(document: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)) as refused:
        parse(document, owner="role x")
    assert str(refused.value).startswith("role x: ")


def test_exceptions_are_evaluated() -> None:
    """NotAction and NotResource mean everything else, also under Deny."""
    allow, deny = (
        statement(Action="*", Resource="*"),
        statement(Effect="Deny", Action=None, NotAction="s3:Get*", Resource="*"),
    )
    both = [*parse(allow, owner="x"), *parse(deny, owner="x")]
    assert decide(both, "s3:GetObject", "arn:aws:s3:::b/k", {}) == "Allow"
    assert decide(both, "s3:PutObject", "arn:aws:s3:::b/k", {}) == "Deny"
    rest = parse(statement(Effect="Deny", Action="*", Resource=None, NotResource="arn:aws:s3:::b/*"), owner="x")
    both = [*parse(allow, owner="x"), *rest]
    assert decide(both, "s3:GetObject", "arn:aws:s3:::b/k", {}) == "Allow"
    assert decide(both, "s3:GetObject", "arn:aws:s3:::c/k", {}) == "Deny"
