"""Inputs that AWS accepts, per type, as pulumi-aws serialises them."""

import json
from typing import Any

TENANT = "66666666-7777-4888-9999-aaaaaaaaaaaa"
QUEUE_ARN = "arn:aws:sqs:eu-central-1:123456789012:logs"


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


TRUST = policy(
    Principal={"Federated": f"arn:aws:iam::123456789012:oidc-provider/sts.windows.net/{TENANT}/"},
    Action="sts:AssumeRoleWithWebIdentity",
    Condition={"StringEquals": {f"sts.windows.net/{TENANT}/:aud": "api://mill"}},
)

AWS: dict[str, dict[str, Any]] = {
    "cloudwatch/metricAlarm:MetricAlarm": {
        "name": "mill-dead",
        "namespace": "AWS/SQS",
        "metricName": "ApproximateNumberOfMessagesVisible",
        "dimensions": {"QueueName": "logs-dead"},
        "statistic": "Maximum",
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 0,
        "period": 300,
        "evaluationPeriods": 1,
        "treatMissingData": "notBreaching",
        "alarmActions": ["arn:aws:sns:eu-central-1:123456789012:mill"],
    },
    "sns/topic:Topic": {"name": "mill", "tags": {"system": "log_ingest"}},
    "sns/topicSubscription:TopicSubscription": {
        "topic": "arn:aws:sns:eu-central-1:123456789012:mill",
        "protocol": "email",
        "endpoint": "ops@example.com",
    },
    "iam/openIdConnectProvider:OpenIdConnectProvider": {
        "url": f"https://sts.windows.net/{TENANT}/",
        "clientIdLists": ["api://mill"],
        "tags": {"system": "log_ingest"},
    },
    "iam/role:Role": {"name": "mill-ingest", "assumeRolePolicy": TRUST, "maxSessionDuration": 3600},
    "iam/rolePolicy:RolePolicy": {
        "name": "least",
        "role": "mill-ingest",
        "policy": policy(Action=["sqs:ReceiveMessage", "sqs:DeleteMessage"], Resource=QUEUE_ARN),
    },
    "s3/bucket:Bucket": {"bucket": "millrace-logs-ab12c", "forceDestroy": True, "tags": {}},
    "s3/bucketNotification:BucketNotification": {
        "bucket": "millrace-logs-ab12c",
        "queues": [{"queueArn": QUEUE_ARN, "events": ["s3:ObjectCreated:*"], "id": "created"}],
    },
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {"bucket": "millrace-logs-ab12c", "blockPublicAcls": True},
    "s3/bucketOwnershipControls:BucketOwnershipControls": {
        "bucket": "millrace-logs-ab12c",
        "rule": {"objectOwnership": "BucketOwnerEnforced"},
    },
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "bucket": "millrace-logs-ab12c",
        "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": True}],
    },
    "s3/bucketVersioning:BucketVersioning": {
        "bucket": "millrace-logs-ab12c",
        "versioningConfiguration": {"status": "Enabled"},
    },
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
        "bucket": "millrace-logs-ab12c",
        "rules": [
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"days": 90},
                "noncurrentVersionExpiration": {"noncurrentDays": 90},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            }
        ],
    },
    "s3/bucketLogging:BucketLogging": {
        "bucket": "millrace-logs-ab12c",
        "targetBucket": "audit-x",
        "targetPrefix": "s3/",
    },
    "s3/bucketPolicy:BucketPolicy": {
        "bucket": "millrace-logs-ab12c",
        "policy": policy(Principal="*", Action="s3:*", Resource=["arn:aws:s3:::millrace-logs-ab12c"]),
    },
    "sqs/queue:Queue": {
        "name": "millrace-logs",
        "visibilityTimeoutSeconds": 360.0,
        "messageRetentionSeconds": 1209600,
        "receiveWaitTimeSeconds": 20,
        "sqsManagedSseEnabled": True,
        "redrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE_ARN, "maxReceiveCount": 5}),
    },
    "sqs/queuePolicy:QueuePolicy": {
        "queueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/logs",
        "policy": policy(Principal={"Service": "s3.amazonaws.com"}, Action="sqs:SendMessage", Resource=QUEUE_ARN),
    },
    "sqs/redriveAllowPolicy:RedriveAllowPolicy": {
        "queueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/logs",
        "redriveAllowPolicy": json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [QUEUE_ARN]}),
    },
}
