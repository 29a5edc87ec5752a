"""S3 behind the door: signature, identity and bucket policies, then the operation. Path-style addresses.

As on AWS, a missing key is NoSuchKey only for who may list the bucket; everybody else gets AccessDenied.
"""

import uuid
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from localcloud.emulators.aws.account import Account, Caller
from localcloud.emulators.aws.errors import AwsError, s3_error, shaped
from localcloud.emulators.aws.policy import Context, Statement, parse
from localcloud.emulators.aws.s3_listing import list_objects, list_versions
from localcloud.emulators.aws.s3_notify import Notifier
from localcloud.emulators.aws.s3_operation import Operation, operation_of
from localcloud.emulators.aws.s3_read import send_object
from localcloud.emulators.aws.s3_store import Bucket, ObjectStore, ObjectVersion
from localcloud.emulators.aws.s3_write import S3Writes, copy_source, delete_targets
from localcloud.emulators.aws.s3_xml import bucket_list, tag, xml
from localcloud.emulators.door import Call, Refusal, Troubles

_MULTIPART: Final = {
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListParts",
}
_DENIED: Final = "Access Denied"


class S3:
    """The service behind the S3 door."""

    name = "s3"
    troubles = Troubles(
        shaped(s3_error), busy=(500, "InternalError"), throttled=(503, "SlowDown"), expired=(400, "ExpiredToken")
    )

    def __init__(self, account: Account, store: ObjectStore, notifier: Notifier) -> None:
        self._account = account
        self.store = store
        self._writes = S3Writes(store, notifier)

    def policy(self, bucket: str) -> list[Statement]:
        """The bucket's own policy."""
        found = self.store.bucket(bucket)
        return parse(found.policy, owner=f"bucket {bucket}") if found and found.policy else []

    async def admit(self, request: web.BaseRequest) -> Call:
        """Signature and policies; the bucket must exist (but for its creation)."""
        try:
            operation = operation_of(request.method, request.raw_path, request.query, request.headers)
        except AwsError as error:
            raise _refusal(error, request, "?") from error
        try:
            caller = self._account.caller(request, b"", "s3")
            if operation.bucket and operation.name != "CreateBucket" and self.store.bucket(operation.bucket) is None:
                raise AwsError(
                    "NoSuchBucket", "The specified bucket does not exist", 404, resource=f"/{operation.bucket}"
                )
            if operation.name != "DeleteObjects" and not self._may(
                caller, operation.action, operation.resource, operation.bucket, _list_context(operation, request.query)
            ):
                raise AwsError(
                    "AccessDenied", _denied(caller, operation), 403, resource=request.raw_path.partition("?")[0]
                )
        except AwsError as error:
            raise _refusal(error, request, operation.name) from error
        return Call(operation.name, caller.arn if caller else "anonymous", (operation, caller))

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """The operation; its own refusals are S3's error documents."""
        operation, caller = call.detail
        try:
            response = await self._do(request, operation, caller)
        except AwsError as error:
            raise _refusal(error, request, operation.name) from error
        if not response.prepared:
            response.headers.setdefault("x-amz-request-id", uuid.uuid4().hex[:16].upper())
        return response

    async def _do(self, request: web.BaseRequest, operation: Operation, caller: Caller | None) -> web.StreamResponse:
        who = caller.user_id if caller else "anonymous"
        bucket = self.store.bucket(operation.bucket)
        if not operation.key or bucket is None:
            return await self._bucket(request, operation, caller)
        if operation.name in _MULTIPART:
            return await self._writes.multipart(request, bucket, operation, who)
        if operation.name in {"GetObject", "HeadObject"}:
            return await send_object(
                request, self.store, self._existing(caller, bucket.name, operation.key, request.query.get("versionId"))
            )
        if operation.name == "DeleteObject":
            headers = self._writes.delete(bucket, operation.key, request.query.get("versionId"), who)
            return web.Response(status=204, headers=headers)
        if operation.name == "CopyObject":
            return await self._writes.copy(request, bucket, operation.key, self._source(request, caller), who)
        if operation.name == "PutObject":
            return await self._writes.put(request, bucket, operation.key, who)
        raise AwsError("NotImplemented", f"{operation.name} is not implemented", 501)

    async def _bucket(
        self, request: web.BaseRequest, operation: Operation, caller: Caller | None
    ) -> web.StreamResponse:
        name, store = operation.bucket, self.store
        bucket = store.bucket(name)
        if bucket is None:
            if operation.name == "ListBuckets":
                return bucket_list(store.buckets(), self._account.account_id)
            store.put_bucket(name)
            return web.Response(headers={"Location": f"/{name}"})
        if operation.name in {"ListObjects", "ListObjectVersions"}:
            return (list_objects if operation.name == "ListObjects" else list_versions)(store, name, request.query)
        if operation.name == "DeleteObjects":
            return self._delete_many(await request.read(), bucket, caller)
        if operation.name == "DeleteBucket":
            if not store.is_empty(name):
                raise AwsError("BucketNotEmpty", "The bucket you tried to delete is not empty", 409)
            store.remove_bucket(name)
            return web.Response(status=204)
        return self._described(operation.name, bucket)

    def _described(self, operation: str, bucket: Bucket) -> web.Response:
        if operation == "GetBucketLocation":
            return xml("LocationConstraint", self._account.region)
        if operation == "GetBucketVersioning":
            return xml("VersioningConfiguration", tag("Status", bucket.versioning) if bucket.versioning else "")
        if operation == "GetBucketPolicy":
            if not bucket.policy:
                raise AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
            return web.Response(text=bucket.policy, content_type="application/json")
        if operation == "GetBucketNotificationConfiguration":
            return xml("NotificationConfiguration", "".join(
                "<QueueConfiguration>" + tag("Id", item["id"]) + tag("Queue", item["queue_arn"])
                + "".join(tag("Event", event) for event in item["events"]) + "</QueueConfiguration>"
                for item in bucket.notifications
            ))  # fmt: skip
        if operation == "CreateBucket":
            raise AwsError(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
                409,
            )
        return web.Response(headers={"x-amz-bucket-region": self._account.region})  # HeadBucket

    def _delete_many(self, body: bytes, bucket: Bucket, caller: Caller | None) -> web.Response:
        results = ""
        for key, version in delete_targets(body):
            action = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
            if self._may(caller, action, f"arn:aws:s3:::{bucket.name}/{key}", bucket.name):
                self._writes.delete(bucket, key, version, caller.user_id if caller else "anonymous")
                results += f"<Deleted>{tag('Key', key)}</Deleted>"
            else:
                results += f"<Error>{tag('Key', key)}<Code>AccessDenied</Code><Message>{_DENIED}</Message></Error>"
        return xml("DeleteResult", results)

    def _existing(self, caller: Caller | None, bucket: str, key: str, version: str | None) -> ObjectVersion:
        found = self.store.find(bucket, key, version)
        if found is not None and not found.marker:
            return found
        if not self._may(caller, "s3:ListBucket", f"arn:aws:s3:::{bucket}", bucket):
            raise AwsError("AccessDenied", _DENIED, 403, resource=key)
        if found is not None and version is not None:
            raise AwsError(
                "MethodNotAllowed", "The specified method is not allowed against this resource.", 405, resource=key
            )
        if version is not None:
            raise AwsError("NoSuchVersion", "The specified version does not exist.", 404, resource=key)
        raise AwsError("NoSuchKey", "The specified key does not exist.", 404, resource=key)

    def _source(self, request: web.BaseRequest, caller: Caller | None) -> ObjectVersion:
        bucket, key, version = copy_source(request.headers["x-amz-copy-source"])
        action = "s3:GetObjectVersion" if version else "s3:GetObject"
        if not self._may(caller, action, f"arn:aws:s3:::{bucket}/{key}", bucket):
            raise AwsError("AccessDenied", _DENIED, 403, resource=key)
        return self._existing(caller, bucket, key, version)

    def _may(
        self, caller: Caller | None, action: str, resource: str, bucket: str, context: Context | None = None
    ) -> bool:
        return self._account.allowed(caller, action, resource, self.policy(bucket), context)


def _list_context(operation: Operation, query: Mapping[str, str]) -> Context:
    """What a policy may say about a listing; a listing without a prefix has the empty one."""
    if operation.name not in {"ListObjects", "ListObjectVersions"}:
        return {}
    given = {"s3:prefix": query.get("prefix", "")}
    return given | {f"s3:{name}": query[name] for name in ("delimiter", "max-keys") if name in query}


def _denied(caller: Caller | None, operation: Operation) -> str:
    who = caller.arn if caller else "Anonymous"
    return f'User: {who} is not authorized to perform: {operation.action} on resource: "{operation.resource}"'


def _refusal(error: AwsError, request: web.BaseRequest, operation: str) -> Refusal:
    error.resource = error.resource or unquote(request.raw_path.partition("?")[0])
    response = s3_error(error)
    if request.method == "HEAD":  # an answer to HEAD has no body: clients only see the status
        response = web.Response(status=error.status)
    return Refusal(response, operation)
