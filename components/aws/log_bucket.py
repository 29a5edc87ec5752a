"""A bucket that others write logs into, and the queue that says what has come.

S3 tells SQS of every new object; what cannot be handled after `max_receives` goes to a dead-letter queue for an
operator. Deliberately absent: any AWS user or key. Readers come by `EntraTrust`, the writer is a named principal.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.dead_letter_alarm import dead_letter_alarm
from components.aws.trust import EntraTrust
from components.errors import require
from components.link import AwsGrant, Link, after, setting_prefix

QUEUE_ARN = re.compile(r"arn:aws:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}")
RETENTION_S = 14 * 24 * 3600  # seconds; SQS's longest: nothing may expire while somebody mends a fault


@dataclass(frozen=True, kw_only=True, slots=True)
class LogBucketArgs:
    """A bucket with its queue; an existing one of either can be named instead."""

    trust: EntraTrust
    """How workers get to it."""
    visibility_s: int = 360
    """Seconds a received message stays hidden: longer than the worker's whole run."""
    max_receives: int = 50
    """Receives before the queue gives a message up: a backstop, as a big message may need several runs."""
    keep_days: int = 90
    """Objects are removed after that many days; their rows are in Log Analytics by then."""
    writers: list[str] = field(default_factory=list)
    """AWS principals (ARNs) that may put objects: the log vendor's."""
    existing_bucket: str | None = None
    """Name of a bucket that exists: it is read, never changed; point its notifications at the queue yourself."""
    existing_queue_arn: str | None = None
    """ARN of a queue that exists and is already told of new objects."""

    def __post_init__(self) -> None:
        """Plain values are checked at once (SQS API reference, SetQueueAttributes)."""
        require(
            0 <= self.visibility_s <= 43_200,
            "LogBucket",
            must="visibility_s must be 0 to 43200 seconds",
            got=self.visibility_s,
            change="use a value a little longer than the worker's time limit",
        )
        require(
            self.existing_queue_arn is None or QUEUE_ARN.fullmatch(self.existing_queue_arn),
            "LogBucket",
            must="existing_queue_arn must be arn:aws:sqs:REGION:ACCOUNT:NAME",
            got=repr(self.existing_queue_arn),
            change="see it with: aws sqs get-queue-attributes --attribute-names QueueArn --queue-url URL",
        )
        require(
            self.keep_days >= 1,
            "LogBucket",
            must="keep_days must be 1 or more",
            got=self.keep_days,
            change="use 90",
        )
        require(
            1 <= self.max_receives <= 1_000,
            "LogBucket",
            must="max_receives must be 1 to 1000",
            got=self.max_receives,
            change="use 50",
        )


class LogBucket(pulumi.ComponentResource):
    """Bucket → notifications → queue (→ dead letters)."""

    bucket_name: pulumi.Output[str]
    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    dead_letter_queue_url: pulumi.Output[str] | None

    def __init__(self, name: str, args: LogBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name` becomes the prefix of the settings: `source` → `SOURCE_QUEUE_URL`."""
        super().__init__("millrace:aws:LogBucket", name, None, opts)
        self._name, self._args, self._environment = name, args, args.trust.environment
        self._child = pulumi.ResourceOptions(parent=self)
        self._find_queue()
        self._find_bucket()
        self.register_outputs({"bucket_name": self.bucket_name, "queue_url": self.queue_url})

    def consume(self) -> Link:
        """Take messages and read the objects they name."""
        prefix = setting_prefix(self._name)
        statements: list[dict[str, Any]] = [
            {
                "Effect": "Allow",
                "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
                "Resource": self.queue_arn,
            },
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                "Resource": pulumi.Output.concat(self.bucket_arn, "/*"),
            },
            # Without it S3 answers 403 for an object that is gone, which looks like a missing right.
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": self.bucket_arn},
        ]
        return Link(
            name=f"{self._name}.consume",
            settings={f"{prefix}_QUEUE_URL": self.queue_url, f"{prefix}_REGION": self._region},
            aws=[AwsGrant(trust=self._args.trust, prefix=prefix, statements=statements)],
        )

    def _find_queue(self) -> None:
        if self._args.existing_queue_arn:
            region, account, queue = self._args.existing_queue_arn.split(":")[3:6]
            self._region = region  # of the queue, which the handler's clients are made for
            self.queue_arn = pulumi.Output.from_input(self._args.existing_queue_arn)
            self.queue_url = pulumi.Output.from_input(f"https://sqs.{region}.amazonaws.com/{account}/{queue}")
            self.dead_letter_queue_url = None
            return
        self._region = self._environment.aws_region
        dead, dead_arn = self._queue("dead", message_retention_seconds=RETENTION_S)
        redrive = dead_arn.apply(
            lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": self._args.max_receives})
        )
        main, self.queue_arn = self._queue(
            "",
            message_retention_seconds=RETENTION_S,
            visibility_timeout_seconds=self._args.visibility_s,
            receive_wait_time_seconds=20,  # SQS's longest poll: fewer empty answers
            redrive_policy=redrive,
        )
        self.queue_url, self.dead_letter_queue_url = main.url, dead.url
        tls_only = dead_arn.apply(
            lambda arn: json.dumps({"Version": "2012-10-17", "Statement": [_tls_only("sqs", arn)]})
        )
        aws.sqs.QueuePolicy(f"{self._name}-dead", queue_url=dead.url, policy=tls_only, opts=self._child)
        dead_letter_alarm(self._name, dead.name, self._environment, parent=self)

    def _queue(self, part: str, **attributes: Any) -> tuple[aws.sqs.Queue, pulumi.Output[str]]:
        """A queue and its ARN, which is known before it exists: a preview can show the policies that name it."""
        environment = self._environment
        name = f"{self._name}-{part}" if part else self._name
        physical = environment.claim("sqs_queue", f"logs-{name}")
        queue = aws.sqs.Queue(
            name,
            name=physical,
            sqs_managed_sse_enabled=True,
            tags=environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None),
            **attributes,
        )
        return queue, after(f"arn:aws:sqs:{environment.aws_region}:{environment.aws_account_id}:{physical}", queue)

    def _find_bucket(self) -> None:
        if self._args.existing_bucket:
            self.bucket_name = pulumi.Output.from_input(self._args.existing_bucket)
            self.bucket_arn = pulumi.Output.concat("arn:aws:s3:::", self.bucket_name)
            self._allow_notifications()
            return
        environment = self._environment
        physical = environment.claim("bucket", f"millrace-{self._name}")
        bucket = aws.s3.Bucket(
            self._name,
            bucket=physical,
            force_destroy=not environment.keeps_data,
            tags=environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None),
        )
        self.bucket_name, self.bucket_arn = after(physical, bucket), after(f"arn:aws:s3:::{physical}", bucket)
        self._close()
        allowed = self._allow_notifications()
        aws.s3.BucketNotification(
            self._name,
            bucket=self.bucket_name,
            queues=[{"queue_arn": self.queue_arn, "events": ["s3:ObjectCreated:*"], "id": "created"}],
            # S3 sends a test event at once and refuses a queue that does not let it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed] if allowed else []),
        )

    def _close(self) -> None:
        """Private, encrypted, versioned, TLS only; writable by the named writers; emptied after `keep_days`."""
        aws.s3.BucketPublicAccessBlock(
            self._name,
            bucket=self.bucket_name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketOwnershipControls(
            self._name, bucket=self.bucket_name, rule={"object_ownership": "BucketOwnerEnforced"}, opts=self._child
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            self._name,
            bucket=self.bucket_name,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=self._child,
        )
        aws.s3.BucketVersioning(
            self._name, bucket=self.bucket_name, versioning_configuration={"status": "Enabled"}, opts=self._child
        )
        aws.s3.BucketLifecycleConfiguration(
            self._name,
            bucket=self.bucket_name,
            rules=[
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": self._args.keep_days},
                    "noncurrent_version_expiration": {"noncurrent_days": self._args.keep_days},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=self._child,
        )
        aws.s3.BucketPolicy(
            self._name,
            bucket=self.bucket_name,
            policy=self.bucket_arn.apply(lambda arn: bucket_policy(arn, self._args.writers)),
            opts=self._child,
        )

    def _allow_notifications(self) -> aws.sqs.QueuePolicy | None:
        """Let S3 send to the queue, for this bucket of this account only."""
        if self._args.existing_queue_arn:
            return None
        policy = pulumi.Output.all(self.queue_arn, self.bucket_arn).apply(
            lambda arns: queue_policy(arns[0], arns[1], self._environment.aws_account_id)
        )
        return aws.sqs.QueuePolicy(self._name, queue_url=self.queue_url, policy=policy, opts=self._child)


def bucket_policy(bucket_arn: str, writers: list[str]) -> str:
    """Nobody without TLS; the writers may put objects and nothing else."""
    statements = [_tls_only("s3", bucket_arn, f"{bucket_arn}/*")]
    if writers:
        statements.append(
            {
                "Sid": "Writers",
                "Effect": "Allow",
                "Principal": {"AWS": sorted(writers)},
                "Action": "s3:PutObject",
                "Resource": f"{bucket_arn}/*",
            }
        )
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def queue_policy(queue_arn: str, bucket_arn: str, account_id: str) -> str:
    """Nobody without TLS; S3 may send, for one bucket of one account (AWS's guard against the confused deputy)."""
    statement = {
        "Sid": "BucketNotifications",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": bucket_arn}, "StringEquals": {"aws:SourceAccount": account_id}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [_tls_only("sqs", queue_arn), statement]})


def _tls_only(service: str, *resources: str) -> dict[str, Any]:
    """A request that is not encrypted on its way is refused, whoever sends it. Calls that AWS makes itself may come
    without the key: `Bool` does not match what is missing, so they are not refused.
    """
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": f"{service}:*",
        "Resource": list(resources) if len(resources) > 1 else resources[0],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
