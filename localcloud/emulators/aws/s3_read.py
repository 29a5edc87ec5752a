"""Giving objects out: conditions, ranges, headers; the body is streamed from its file."""

import email.utils
import re
from typing import Final

from aiohttp import web

from localcloud.emulators.aws.errors import AwsError
from localcloud.emulators.aws.s3_store import NULL_VERSION, ObjectStore, ObjectVersion

_CHUNK: Final = 256 * 1024
_OVERRIDES: Final = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def check_conditions(request: web.BaseRequest, version: ObjectVersion) -> int:
    """200, or 304 when the client has this version already; AwsError PreconditionFailed."""
    headers, etag = request.headers, version.etag
    failed = AwsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
    if "If-Match" in headers:
        if etag not in _etags(headers["If-Match"]):
            raise failed
    elif "If-Unmodified-Since" in headers and int(version.modified) > _seconds(headers["If-Unmodified-Since"]):
        raise failed
    if "If-None-Match" in headers:
        return 304 if etag in _etags(headers["If-None-Match"]) else 200
    if "If-Modified-Since" in headers and int(version.modified) <= _seconds(headers["If-Modified-Since"]):
        return 304
    return 200


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, end) with `end` exclusive for a Range header; None for all of it; AwsError InvalidRange."""
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size or start >= end:
        raise AwsError("InvalidRange", "The requested range is not satisfiable", 416)
    return start, end


async def send_object(request: web.BaseRequest, store: ObjectStore, version: ObjectVersion) -> web.StreamResponse:
    """GET or HEAD of a version that is no delete marker."""
    status = check_conditions(request, version)
    span = byte_range(request.headers.get("Range"), version.size)
    start, end = span or (0, version.size)
    response = web.StreamResponse(status=status if span is None or status == 304 else 206)
    response.headers.update(
        object_headers(version, checksums=span is None and request.headers.get("x-amz-checksum-mode") == "ENABLED")
    )
    response.headers.update(_overrides(request))
    if status == 304:
        await response.prepare(request)
        return response
    if span:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{version.size}"
    response.content_length = end - start
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    with store.path(version).open("rb") as file:  # open before the headers go out: a deletion meanwhile does no harm
        await response.prepare(request)
        file.seek(start)
        left = end - start
        while left and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            await response.write(chunk)
    await response.write_eof()
    return response


def _overrides(request: web.BaseRequest) -> dict[str, str]:
    """The `response-…` parameters: six headers, and no line break that would begin a seventh."""
    given = {name: request.query[f"response-{name}"] for name in _OVERRIDES if f"response-{name}" in request.query}
    if any(not value.isprintable() for value in given.values()):
        raise AwsError("InvalidArgument", "A response header must be one line of printable characters", 400)
    return given


def object_headers(version: ObjectVersion, *, checksums: bool) -> dict[str, str]:
    """The headers a version is described by."""
    kept = {k: v for k, v in version.headers.items() if checksums or not k.startswith("x-amz-checksum-")}
    headers = {
        "Accept-Ranges": "bytes",
        "content-type": "binary/octet-stream",
        **kept,
        "ETag": f'"{version.etag}"',
        "Last-Modified": email.utils.formatdate(version.modified, usegmt=True),
        "x-amz-server-side-encryption": "AES256",
    }
    return {**headers, **version_header(version)}


def version_header(version: ObjectVersion) -> dict[str, str]:
    """x-amz-version-id, where there are versions."""
    return {"x-amz-version-id": version.version} if version.version != NULL_VERSION else {}


def _etags(header: str) -> set[str]:
    return {part.strip().removeprefix("W/").strip('"') for part in header.split(",")}


def _seconds(header: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError) as error:
        raise AwsError("InvalidArgument", f"Not a date: {ascii(header)[:60]}", 400) from error
