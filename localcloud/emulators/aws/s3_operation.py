"""Which S3 operation a request is, and which IAM action and resource it needs. Path-style addressing only.

Source: *Actions, resources, and condition keys for Amazon S3*. What is not listed here is answered with NotImplemented.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from localcloud.emulators.aws.errors import AwsError

BUCKET_OPERATIONS: Final = {
    ("GET", "location"): ("GetBucketLocation", "s3:GetBucketLocation"),
    ("GET", "versioning"): ("GetBucketVersioning", "s3:GetBucketVersioning"),
    ("GET", "policy"): ("GetBucketPolicy", "s3:GetBucketPolicy"),
    ("GET", "notification"): ("GetBucketNotificationConfiguration", "s3:GetBucketNotification"),
    ("GET", "versions"): ("ListObjectVersions", "s3:ListBucketVersions"),
    ("POST", "delete"): ("DeleteObjects", "s3:DeleteObject"),
    ("GET", ""): ("ListObjects", "s3:ListBucket"),
    ("HEAD", ""): ("HeadBucket", "s3:ListBucket"),
    ("PUT", ""): ("CreateBucket", "s3:CreateBucket"),
    ("DELETE", ""): ("DeleteBucket", "s3:DeleteBucket"),
}
OBJECT_OPERATIONS: Final = {
    ("GET", ""): ("GetObject", "s3:GetObject"),
    ("HEAD", ""): ("HeadObject", "s3:GetObject"),
    ("PUT", ""): ("PutObject", "s3:PutObject"),
    ("DELETE", ""): ("DeleteObject", "s3:DeleteObject"),
    ("POST", "uploads"): ("CreateMultipartUpload", "s3:PutObject"),
    ("PUT", "uploadId"): ("UploadPart", "s3:PutObject"),
    ("POST", "uploadId"): ("CompleteMultipartUpload", "s3:PutObject"),
    ("DELETE", "uploadId"): ("AbortMultipartUpload", "s3:AbortMultipartUpload"),
    ("GET", "uploadId"): ("ListParts", "s3:ListMultipartUploadParts"),
}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""*Bucket naming rules*; nothing in it needs encoding, so the raw path is the name."""
_SUBRESOURCES: Final = frozenset(
    [
        "location",
        "versioning",
        "policy",
        "notification",
        "versions",
        "delete",
        "uploads",
        "uploadId",
        "acl",
        "cors",
        "encryption",
        "lifecycle",
        "logging",
        "object-lock",
        "ownershipControls",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "tagging",
        "website",
        "inventory",
        "analytics",
        "metrics",
        "accelerate",
        "policyStatus",
        "attributes",
        "legal-hold",
        "retention",
        "torrent",
        "select",
        "restore",
    ]
)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked: S3's operation name, the IAM action, its resource's ARN, bucket and key ("" where there is
    none).
    """

    name: str
    action: str
    resource: str
    bucket: str
    key: str


def operation_of(method: str, raw_path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Operation:
    """The operation of a request; AwsError NotImplemented for one this emulator has not."""
    path = raw_path.partition("?")[0]
    bucket, _, raw_key = path.removeprefix("/").partition("/")
    try:
        key = unquote(raw_key, errors="strict")
    except UnicodeDecodeError as error:
        raise AwsError("InvalidURI", "Couldn't parse the specified URI.", resource=path) from error
    if not path.startswith("/") or "#" in raw_path:
        raise AwsError("InvalidURI", "Couldn't parse the specified URI.", resource=path)
    if bucket and not _NAME.fullmatch(bucket):
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.", resource=path)
    if not bucket:
        return Operation("ListBuckets", "s3:ListAllMyBuckets", "*", "", "")
    subresource = next((name for name in query if name in _SUBRESOURCES), "")
    table = OBJECT_OPERATIONS if key else BUCKET_OPERATIONS
    if (method, subresource) not in table:
        raise AwsError("NotImplemented", "A header or query you provided implies functionality that is not "
        "implemented: "
        f"{method} "
                       f"with {subresource or 'nothing'}; add it to s3_operation.", 501, resource=raw_path)  # fmt: skip
    name, action = table[method, subresource]
    if "versionId" in query and name in {"GetObject", "HeadObject", "DeleteObject"}:
        action += "Version"
    if "x-amz-copy-source" in headers:
        name = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}.get(name, name)
    arn = f"arn:aws:s3:::{bucket}"
    return Operation(name, action, f"{arn}/{key}" if key or name == "DeleteObjects" else arn, bucket, key)
