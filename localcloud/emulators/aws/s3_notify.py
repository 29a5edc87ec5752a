"""S3 event notifications to SQS, as the real service sends them.

Source: *Event message structure* (version 2.1). Keys are form-encoded (`quote_plus`, but slashes stay, as observed from
the service), `sequencer` grows with each event of a key, a test event comes first when a configuration is set, one
multipart upload yields one CompleteMultipartUpload.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote_plus

from localcloud.emulators.aws.account import Account
from localcloud.emulators.aws.s3_store import NULL_VERSION, Bucket, ObjectVersion
from localcloud.emulators.aws.s3_xml import moment
from localcloud.emulators.aws.sqs import Sqs

SERVICE: Final = "s3.amazonaws.com"


class Notifier:
    """Sends events where a bucket's notifications say so and the queue's policy lets S3 send."""

    def __init__(self, account: Account, sqs: Sqs, clock: Callable[[], float]) -> None:
        self._account = account
        self._sqs = sqs
        self._clock = clock

    def may_send(self, bucket: str, queue_arn: str) -> bool:
        """Whether the queue exists and its policy lets S3 send for this bucket."""
        queue = queue_arn.rsplit(":", 1)[-1]
        if self._sqs.store.attributes(queue) is None or queue_arn != self._sqs.arn(queue):
            return False
        context = {"aws:sourcearn": f"arn:aws:s3:::{bucket}", "aws:sourceaccount": self._account.account_id}
        return self._account.service_allowed(SERVICE, "sqs:SendMessage", queue_arn, self._sqs.policy(queue), context)

    def test(self, bucket: str, queue_arn: str) -> None:
        """The event S3 sends when a notification is set up."""
        event = {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": moment(self._clock()),
            "Bucket": bucket,
            "RequestId": secrets.token_hex(8).upper(),
            "HostId": secrets.token_urlsafe(32),
        }
        self._send(queue_arn, event)

    def happened(self, bucket: Bucket, event: str, version: ObjectVersion, caller: str) -> None:
        """`event` is like "ObjectCreated:Put". Sending never fails the request that caused it, as on AWS."""
        for notification in bucket.notifications:
            if not _wanted(notification, event, version.key) or not self.may_send(
                bucket.name, notification["queue_arn"]
            ):
                continue
            self._send(
                notification["queue_arn"], {"Records": [self._record(bucket, event, version, caller, notification)]}
            )

    def _record(
        self, bucket: Bucket, event: str, version: ObjectVersion, caller: str, notification: dict[str, Any]
    ) -> dict[str, Any]:
        described: dict[str, Any] = {"key": quote_plus(version.key, safe="/")}
        if event.startswith("ObjectCreated"):
            described |= {"size": version.size, "eTag": version.etag}
        if version.version != NULL_VERSION:
            described["versionId"] = version.version
        described["sequencer"] = f"{version.seq:018X}"
        return {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self._account.region,
            "eventTime": moment(self._clock()),
            "eventName": event,
            "userIdentity": {"principalId": f"AWS:{caller}"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {
                "x-amz-request-id": secrets.token_hex(8).upper(),
                "x-amz-id-2": secrets.token_urlsafe(32),
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": notification["id"],
                "bucket": {
                    "name": bucket.name,
                    "ownerIdentity": {"principalId": self._account.account_id},
                    "arn": f"arn:aws:s3:::{bucket.name}",
                },
                "object": described,
            },
        }

    def _send(self, queue_arn: str, event: dict[str, Any]) -> None:
        queue = queue_arn.rsplit(":", 1)[-1]
        self._sqs.store.send(queue, [(json.dumps(event), {}, 0)], SERVICE)


def _wanted(notification: dict[str, Any], event: str, key: str) -> bool:
    listed = any(name in {f"s3:{event}", f"s3:{event.partition(':')[0]}:*"} for name in notification.get("events", []))
    prefix, suffix = notification.get("filter_prefix") or "", notification.get("filter_suffix") or ""
    return listed and key.startswith(prefix) and key.endswith(suffix)
