"""The AWS side: a trust for one audience and one subject, a closed bucket, a queue that only S3 may write to."""

import json
from typing import Any

import pytest

from components.aws.log_bucket import LogBucket, LogBucketArgs
from components.aws.trust import EntraTrust, EntraTrustArgs, WebIdentityRole
from components.link import Link
from localcloud.engine.embedded import ProgramError
from tests.components.program import ACCOUNT, TENANT, Base, Declared, declare, environment, links_of

BUCKET = "millrace-source-test-eefa8"
QUEUE_ARN = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:logs-source-test"
PROVIDER_ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/sts.windows.net/{TENANT}/"
WRITERS = ["arn:aws:iam::210987654321:role/vendor", "arn:aws:iam::123456789012:user/other"]


def trust(**changes: Any) -> EntraTrust:
    fields: dict[str, Any] = {"environment": environment(), "audience": "api://test"}
    return EntraTrust("entra", EntraTrustArgs(**(fields | changes)))


def bucket(*, keeps_data: bool = False, **changes: Any) -> Declared:
    def main() -> None:
        LogBucket("source", LogBucketArgs(trust=trust(environment=environment(keeps_data=keeps_data)), **changes))

    return declare(main)


def document(record: Any, key: str) -> Any:
    return json.loads(record.inputs[key])["Statement"]


def test_aws_trusts_the_tenants_v1_issuer_for_our_audience() -> None:
    provider = declare(trust).one("OpenIdConnectProvider").inputs
    assert provider["url"] == f"https://sts.windows.net/{TENANT}/"
    assert provider["clientIdLists"] == ["api://test"]


def test_an_existing_provider_is_used_and_not_made_again() -> None:
    assert declare(lambda: trust(provider_arn=PROVIDER_ARN)).types() == []


def test_a_role_may_be_taken_by_one_identity_with_one_audience() -> None:
    def main() -> None:
        statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::x/*"}
        WebIdentityRole("work", trust(), subject="the-principal", statements=[statement])

    found = declare(main)
    role = found.one("Role")
    assert document(role, "assumeRolePolicy") == [
        {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER_ARN},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"sts.windows.net/{TENANT}/:aud": "api://test",
                    f"sts.windows.net/{TENANT}/:sub": "the-principal",
                }
            },
        }
    ]
    assert role.inputs["maxSessionDuration"] == 3600
    assert document(found.one("RolePolicy"), "policy") == [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::x/*"}
    ]


def test_a_log_bucket_declares_bucket_queue_dead_letters_and_what_binds_them() -> None:
    assert bucket().types() == [
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "aws:s3/bucket:Bucket",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketNotification:BucketNotification",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sqs/queue:Queue",
        "aws:sqs/queue:Queue",
        "aws:sqs/queuePolicy:QueuePolicy",
        "aws:sqs/queuePolicy:QueuePolicy",
    ]


def test_the_bucket_is_private_encrypted_versioned_and_emptied_in_time() -> None:
    found = bucket(keep_days=10)
    blocked = found.one("BucketPublicAccessBlock").inputs
    switches = {"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"}
    assert {key: blocked[key] for key in switches} == dict.fromkeys(switches, True)
    assert found.one("BucketOwnershipControls").inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    assert found.one("BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    (encryption,) = found.one("BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert encryption["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    (expiry,) = found.one("BucketLifecycleConfiguration").inputs["rules"]
    assert expiry["expiration"] == {"days": 10}
    assert expiry["noncurrentVersionExpiration"] == {"noncurrentDays": 10}
    assert expiry["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}


def test_without_tls_nobody_gets_in_and_writers_may_only_write() -> None:
    tls, writers = document(bucket(writers=WRITERS).one("BucketPolicy"), "policy")
    assert (tls["Effect"], tls["Principal"], tls["Action"]) == ("Deny", "*", "s3:*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert tls["Resource"] == [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    assert (writers["Effect"], writers["Action"]) == ("Allow", "s3:PutObject")
    assert writers["Principal"] == {"AWS": sorted(WRITERS)}
    assert len(document(bucket().one("BucketPolicy"), "policy")) == 1


def test_only_s3_for_this_bucket_of_this_account_may_send_to_the_queue() -> None:
    _, statement = document(bucket().one("QueuePolicy", "source"), "policy")
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", QUEUE_ARN)
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }


def test_whatever_is_not_encrypted_on_its_way_is_refused() -> None:
    found = bucket()
    places = {
        ("BucketPolicy", "source"): ("s3:*", [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]),
        ("QueuePolicy", "source"): ("sqs:*", QUEUE_ARN),
        ("QueuePolicy", "source-dead"): ("sqs:*", QUEUE_ARN.replace("logs-source", "logs-source-dead")),
    }
    for (kind, name), (action, resource) in places.items():
        first = document(found.one(kind, name), "policy")[0]
        assert (first["Effect"], first["Principal"], first["Action"]) == ("Deny", "*", action)
        assert first["Resource"] == resource
        assert first["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_queues_are_encrypted_keep_messages_long_and_give_up_into_dead_letters() -> None:
    found = bucket(visibility_s=360, max_receives=7)
    main, dead = found.one("sqs/queue:Queue", "source"), found.one("sqs/queue:Queue", "source-dead")
    for queue in (main, dead):
        assert queue.inputs["sqsManagedSseEnabled"] is True
        assert queue.inputs["messageRetentionSeconds"] == 14 * 24 * 3600
    assert main.inputs["visibilityTimeoutSeconds"] == 360
    assert json.loads(main.inputs["redrivePolicy"]) == {
        "deadLetterTargetArn": f"arn:aws:sqs:eu-central-1:{ACCOUNT}:logs-source-dead-test",
        "maxReceiveCount": 7,
    }


def test_notifications_come_after_the_right_to_send_them() -> None:
    found = bucket()
    notification = found.one("BucketNotification")
    assert notification.inputs["queues"] == [{"queueArn": QUEUE_ARN, "events": ["s3:ObjectCreated:*"], "id": "created"}]
    assert found.one("QueuePolicy", "source").urn in notification.dependencies


def test_where_data_is_kept_the_bucket_is_neither_removed_nor_emptied() -> None:
    kept, loose = bucket(keeps_data=True).one("s3/bucket:Bucket"), bucket().one("s3/bucket:Bucket")
    assert (kept.protect, kept.inputs["forceDestroy"]) == (True, False)
    assert (loose.protect, loose.inputs["forceDestroy"]) == (False, True)
    assert {one.protect for one in bucket(keeps_data=True).all("sqs/queue:Queue")} == {True}


def test_an_existing_bucket_is_read_and_never_changed() -> None:
    assert bucket(existing_bucket="theirs").types() == [
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "aws:sqs/queue:Queue",
        "aws:sqs/queue:Queue",
        "aws:sqs/queuePolicy:QueuePolicy",
        "aws:sqs/queuePolicy:QueuePolicy",
    ]


def test_an_existing_queue_is_used_by_its_address() -> None:
    arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:theirs"

    def make(base: Base) -> dict[str, Link]:
        args = LogBucketArgs(trust=trust(), existing_bucket="their-logs", existing_queue_arn=arn)
        return {"consume": LogBucket("source", args).consume()}

    link = links_of(make)["consume"]
    assert link["settings"] == {
        "SOURCE_QUEUE_URL": f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/theirs",
        "SOURCE_REGION": "eu-west-1",
    }
    assert [(one["Action"][0], one["Resource"]) for one in link["aws"]] == [
        ("sqs:ReceiveMessage", arn),
        ("s3:GetObject", "arn:aws:s3:::their-logs/*"),
        ("s3:ListBucket", "arn:aws:s3:::their-logs"),
    ]


def test_consuming_is_taking_messages_and_reading_objects_and_nothing_else() -> None:
    def make(base: Base) -> dict[str, Link]:
        return {"consume": LogBucket("source", LogBucketArgs(trust=trust())).consume()}

    assert links_of(make)["consume"] == {
        "settings": {
            "SOURCE_QUEUE_URL": f"https://sqs.test/{ACCOUNT}/logs-source-test",
            "SOURCE_REGION": "eu-central-1",
        },
        "grants": [],
        "aws": [
            {
                "Effect": "Allow",
                "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
                "Resource": QUEUE_ARN,
            },
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                "Resource": f"arn:aws:s3:::{BUCKET}/*",
            },
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": f"arn:aws:s3:::{BUCKET}"},
        ],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visibility_s": 43_201}, "LogBucket: visibility_s must be 0 to 43200 seconds, got 43201; use"),
        ({"max_receives": 0}, "LogBucket: max_receives must be 1 to 1000, got 0; use 50"),
        ({"existing_queue_arn": "their-queue"}, "LogBucket: existing_queue_arn must be .*, got 'their-queue'; "),
        ({"keep_days": 0}, "LogBucket: keep_days must be .*, got 0; "),
    ],
)
def test_wrong_values_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=f"^{message}"):
        bucket(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audience": "test"}, "EntraTrust: audience must be an Application ID URI .*, got 'test'; register an app"),
        ({"provider_arn": "arn:aws:iam::1:role/x"}, "EntraTrust: provider_arn must be the ARN of an IAM OIDC provider"),
    ],
)
def test_a_wrong_trust_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=f"^{message}"):
        declare(lambda: trust(**change))
