"""Taking objects in: put, copy, delete, and multipart uploads; each ends with its event."""

import asyncio
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from localcloud.emulators.aws.errors import AwsError
from localcloud.emulators.aws.s3_body import joined_etag, receive
from localcloud.emulators.aws.s3_notify import Notifier
from localcloud.emulators.aws.s3_operation import Operation
from localcloud.emulators.aws.s3_read import version_header
from localcloud.emulators.aws.s3_store import Bucket, ObjectStore, ObjectVersion
from localcloud.emulators.aws.s3_xml import tag, xml

MAX_KEY_BYTES: Final = 1024
MIN_PART_BYTES: Final = 5 * 1024**2
_KEPT: Final = (
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
)


class S3Writes:
    """The operations that change objects."""

    def __init__(self, store: ObjectStore, notifier: Notifier) -> None:
        self._store = store
        self._notifier = notifier

    async def put(self, request: web.BaseRequest, bucket: Bucket, key: str, caller: str) -> web.Response:
        """PutObject; `If-None-Match: *` and `If-Match` guard it."""
        if len(key.encode()) > MAX_KEY_BYTES:
            raise AwsError("KeyTooLongError", "Your key is too long", 400)
        payload = await receive(request, self._store.new_file())
        self._guard(request, bucket, key, payload.file)
        headers = kept_headers(request) | payload.checksums
        version = self._store.put(bucket, key, payload.file, etag=payload.etag, size=payload.size, headers=headers)
        self._notifier.happened(bucket, "ObjectCreated:Put", version, caller)
        return web.Response(headers={"ETag": f'"{version.etag}"', **payload.checksums, **version_header(version)})

    async def copy(
        self, request: web.BaseRequest, bucket: Bucket, key: str, source: ObjectVersion, caller: str
    ) -> web.Response:
        """CopyObject from a version the caller may read."""
        file = self._store.new_file()
        await asyncio.to_thread(shutil.copyfile, self._store.path(source), file)
        replace = request.headers.get("x-amz-metadata-directive") == "REPLACE"
        headers = kept_headers(request) if replace else source.headers
        version = self._store.put(
            bucket, key, file, etag=source.etag.partition("-")[0], size=source.size, headers=headers
        )
        self._notifier.happened(bucket, "ObjectCreated:Copy", version, caller)
        answer = xml("CopyObjectResult", f'<ETag>"{version.etag}"</ETag>')
        answer.headers.update(version_header(version))
        return answer

    def delete(self, bucket: Bucket, key: str, version_id: str | None, caller: str) -> dict[str, str]:
        """DeleteObject: a delete marker in a versioned bucket, else the object itself; answers S3's headers."""
        if version_id is not None:
            found = self._store.find(bucket.name, key, version_id)
            self._store.delete(bucket.name, key, version_id)
            if found:
                self._notifier.happened(bucket, "ObjectRemoved:Delete", found, caller)
            marker = {"x-amz-delete-marker": "true"} if found and found.marker else {}
            return {"x-amz-version-id": version_id, **marker}
        if bucket.versioning:
            version = self._store.put(bucket, key, None, etag="", size=0, headers={})
            self._notifier.happened(bucket, "ObjectRemoved:DeleteMarkerCreated", version, caller)
            return {"x-amz-delete-marker": "true", **version_header(version)}
        found = self._store.find(bucket.name, key, None)
        if found:
            self._store.delete(bucket.name, key, found.version)
            self._notifier.happened(bucket, "ObjectRemoved:Delete", found, caller)
        return {}

    async def multipart(
        self, request: web.BaseRequest, bucket: Bucket, operation: Operation, caller: str
    ) -> web.Response:
        """The five multipart operations."""
        key = operation.key
        if operation.name == "CreateMultipartUpload":
            upload = self._store.start_upload(bucket.name, key, kept_headers(request))
            return xml(
                "InitiateMultipartUploadResult", tag("Bucket", bucket.name) + tag("Key", key) + tag("UploadId", upload)
            )
        upload = request.query["uploadId"]
        headers = self._store.upload_headers(upload, bucket.name, key)
        if headers is None:
            raise AwsError("NoSuchUpload", "The specified upload does not exist.", 404)
        if operation.name == "UploadPart":
            return await self._upload_part(request, upload)
        if operation.name == "AbortMultipartUpload":
            self._store.end_upload(upload)
            return web.Response(status=204)
        if operation.name == "ListParts":
            items = "".join(
                f'<Part>{tag("PartNumber", number)}<ETag>"{etag}"</ETag>{tag("Size", size)}</Part>'
                for number, (etag, size, _) in self._store.parts(upload).items()
            )
            return xml("ListPartsResult", tag("UploadId", upload) + items)
        version = await self._complete(await request.read(), bucket, key, upload, headers)
        self._notifier.happened(bucket, "ObjectCreated:CompleteMultipartUpload", version, caller)
        answer = xml(
            "CompleteMultipartUploadResult",
            f'{tag("Bucket", bucket.name)}{tag("Key", key)}<ETag>"{version.etag}"</ETag>',
        )
        answer.headers.update(version_header(version))
        return answer

    async def _upload_part(self, request: web.BaseRequest, upload: str) -> web.Response:
        number = request.query.get("partNumber", "")
        if not (number.isascii() and number.isdigit() and len(number) < 6) or not 1 <= int(number) <= 10_000:
            raise AwsError("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        payload = await receive(request, self._store.new_file())
        self._store.put_part(upload, int(number), payload.file, payload.etag, payload.size)
        return web.Response(headers={"ETag": f'"{payload.etag}"', **payload.checksums})

    async def _complete(
        self, body: bytes, bucket: Bucket, key: str, upload: str, headers: dict[str, str]
    ) -> ObjectVersion:
        have = self._store.parts(upload)
        wanted = [(_number(part), _text(part, "ETag").strip('"')) for part in _elements(body, "Part")]
        if not wanted or [number for number, _ in wanted] != sorted({number for number, _ in wanted}):
            raise AwsError("InvalidPartOrder", "The list of parts was not in ascending order.")
        if any(number not in have or have[number][0] != etag for number, etag in wanted):
            raise AwsError("InvalidPart", "One or more of the specified parts could not be found.")
        if any(have[number][1] < MIN_PART_BYTES for number, _ in wanted[:-1]):
            raise AwsError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        file = self._store.new_file()
        parts = [self._store.part_path(have[number][2]) for number, _ in wanted]
        await asyncio.to_thread(_join, parts, file)  # gigabytes must not hold up everybody else
        size = sum(have[number][1] for number, _ in wanted)
        etag = joined_etag([etag for _, etag in wanted])
        version = self._store.put(bucket, key, file, etag=etag, size=size, headers=headers)
        self._store.end_upload(upload)
        return version

    def _guard(self, request: web.BaseRequest, bucket: Bucket, key: str, received: Path) -> None:
        current = self._store.find(bucket.name, key, None)
        live = current is not None and not current.marker
        match = request.headers.get("If-Match")
        broken = (request.headers.get("If-None-Match") == "*" and live) or (
            match is not None and (current is None or match.strip('"') != current.etag)
        )
        if broken:
            received.unlink(missing_ok=True)
            raise AwsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)


def _join(parts: list[Path], file: Path) -> None:
    with file.open("wb") as out:
        for path in parts:
            with path.open("rb") as part:
                shutil.copyfileobj(part, out, 1024**2)


def kept_headers(request: web.BaseRequest) -> dict[str, str]:
    """The request headers that belong to the object: content type and the like, and user metadata."""
    kept = {}
    for name, value in request.headers.items():
        low = name.lower()
        if low == "content-encoding":
            value = ",".join(part.strip() for part in value.split(",") if part.strip() != "aws-chunked")  # noqa: PLW2901
        if (low in _KEPT or low.startswith("x-amz-meta-")) and value:
            kept[low] = value
    return kept


def copy_source(header: str) -> tuple[str, str, str | None]:
    """(bucket, key, version id or None) of x-amz-copy-source."""
    path, _, query = header.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    return bucket, key, query.removeprefix("versionId=") or None


def delete_targets(body: bytes) -> list[tuple[str, str | None]]:
    """The (key, version id or None) of a DeleteObjects body: at most 1,000."""
    if len(_elements(body, "Object")) > 1000:
        raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate")
    return [(_text(item, "Key"), _text(item, "VersionId") or None) for item in _elements(body, "Object")]


class _NoDoctype(ET.TreeBuilder):
    """No document type: it is where entities are declared, which unfold into gigabytes or read files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called by the parser when one begins."""
        raise ValueError(f"a document type is not allowed, got {name} {pubid} {system}")


def _elements(body: bytes, name: str) -> list[ET.Element]:
    try:
        root = ET.fromstring(body, ET.XMLParser(target=_NoDoctype()))  # noqa: S314 -- entities need a doctype
    except (ET.ParseError, ValueError) as error:
        raise AwsError("MalformedXML", "The XML you provided was not well-formed") from error
    return [element for element in root.iter() if element.tag.rpartition("}")[2] == name]


def _number(part: ET.Element) -> int:
    text = _text(part, "PartNumber")
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate")
    return int(text)


def _text(element: ET.Element, name: str) -> str:
    for child in element:
        if child.tag.rpartition("}")[2] == name:
            return child.text or ""
    return ""
