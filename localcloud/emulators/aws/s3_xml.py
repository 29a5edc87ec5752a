"""S3's XML answers."""

import datetime as dt
from collections.abc import Iterable
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.emulators.aws.s3_store import Bucket, ObjectVersion

_XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def xml(root: str, inner: str, *, status: int = 200) -> web.Response:
    """A document `<root>inner</root>` in S3's name space."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} {_XMLNS}>{inner}</{root}>'
    return web.Response(status=status, body=body.encode(), content_type="application/xml")


def tag(name: str, value: object) -> str:
    """`<name>value</name>`, escaped. Characters that XML cannot carry are why clients ask for encoding-type=url."""
    return f"<{name}>{escape(str(value))}</{name}>"


def moment(seconds: float) -> str:
    """2026-01-02T03:04:05.678Z."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def encoded(key: str, encoding: str | None) -> str:
    """A key as the list shows it: percent-encoded when `encoding-type=url` was asked for."""
    return quote(key, safe="/-_.*~") if encoding == "url" else key


def bucket_list(buckets: Iterable[Bucket], owner: str) -> web.Response:
    """ListBuckets."""
    items = "".join(f"<Bucket>{tag('Name', b.name)}{tag('CreationDate', moment(b.created))}</Bucket>" for b in buckets)
    return xml("ListAllMyBucketsResult", f"<Owner>{tag('ID', owner)}</Owner><Buckets>{items}</Buckets>")


def contents(version: ObjectVersion, encoding: str | None) -> str:
    """One `<Contents>` of a listing."""
    return (
        f"<Contents>{tag('Key', encoded(version.key, encoding))}{tag('LastModified', moment(version.modified))}"
        f'<ETag>"{version.etag}"</ETag>{tag("Size", version.size)}<StorageClass>STANDARD</StorageClass></Contents>'
    )


def version_item(version: ObjectVersion, encoding: str | None) -> str:
    """One `<Version>` or `<DeleteMarker>` of a listing."""
    common = (
        f"{tag('Key', encoded(version.key, encoding))}{tag('VersionId', version.version)}"
        f"{tag('IsLatest', str(version.latest).lower())}{tag('LastModified', moment(version.modified))}"
    )
    if version.marker:
        return f"<DeleteMarker>{common}</DeleteMarker>"
    size = f"{tag('Size', version.size)}<StorageClass>STANDARD</StorageClass>"
    return f'<Version>{common}<ETag>"{version.etag}"</ETag>{size}</Version>'
