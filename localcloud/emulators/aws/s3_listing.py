"""ListObjects, ListObjectsV2 and ListObjectVersions: prefix, delimiter, paging."""

import base64
import binascii
from collections.abc import Mapping

from aiohttp import web

from localcloud.emulators.aws.errors import AwsError
from localcloud.emulators.aws.s3_store import ObjectStore, ObjectVersion
from localcloud.emulators.aws.s3_xml import contents, encoded, tag, version_item, xml

MAX_KEYS = 1000


def list_objects(store: ObjectStore, bucket: str, query: Mapping[str, str]) -> web.Response:
    """Both versions of the operation; `list-type=2` is the current one."""
    second = query.get("list-type") == "2"
    encoding = query.get("encoding-type")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = _limit(query)
    after = (
        _token(query["continuation-token"])
        if "continuation-token" in query
        else query.get("start-after" if second else "marker", "")
    )
    found: list[ObjectVersion] = []
    prefixes: list[str] = []
    last, truncated = "", False
    for version in store.keys(bucket, prefix, after):
        group = _group(version.key, prefix, delimiter)
        if group and (group in prefixes or after.startswith(group)):
            continue
        if len(found) + len(prefixes) >= limit:
            truncated = True
            break
        if group:
            prefixes.append(group)
        else:
            found.append(version)
        last = group + "\U0010ffff" if group else version.key
    inner = tag("Name", bucket) + tag("Prefix", encoded(prefix, encoding)) + tag("MaxKeys", limit)
    inner += tag("IsTruncated", str(truncated).lower()) + (tag("EncodingType", encoding) if encoding else "")
    inner += tag("Delimiter", encoded(delimiter, encoding)) if delimiter else ""
    if second:
        inner += tag("KeyCount", len(found) + len(prefixes))
        inner += tag("NextContinuationToken", base64.urlsafe_b64encode(last.encode()).decode()) if truncated else ""
    elif truncated:
        inner += tag("NextMarker", encoded(last, encoding))
    inner += "".join(contents(version, encoding) for version in found)
    inner += "".join(
        f"<CommonPrefixes>{tag('Prefix', encoded(group, encoding))}</CommonPrefixes>" for group in prefixes
    )
    return xml("ListBucketResult", inner)


def list_versions(store: ObjectStore, bucket: str, query: Mapping[str, str]) -> web.Response:
    """Every version with a prefix; pages end between keys, never inside one."""
    encoding, prefix, limit = query.get("encoding-type"), query.get("prefix", ""), _limit(query)
    items, last, truncated, count = "", "", False, 0
    for version in store.keys(bucket, prefix, query.get("key-marker", ""), versions=True):
        if count >= limit and version.key != last:
            truncated = True
            break
        items += version_item(version, encoding)
        last, count = version.key, count + 1
    inner = tag("Name", bucket) + tag("Prefix", encoded(prefix, encoding)) + tag("MaxKeys", limit)
    inner += tag("IsTruncated", str(truncated).lower()) + (tag("EncodingType", encoding) if encoding else "")
    inner += tag("NextKeyMarker", encoded(last, encoding)) if truncated else ""
    return xml("ListVersionsResult", inner + items)


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("max-keys", str(MAX_KEYS))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise AwsError("InvalidArgument", f"Provided max-keys not an integer or within integer range: {text}")
    return min(int(text), MAX_KEYS)


def _group(key: str, prefix: str, delimiter: str) -> str:
    if not delimiter or delimiter not in key[len(prefix) :]:
        return ""
    return key[: key.index(delimiter, len(prefix)) + len(delimiter)]


def _token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AwsError("InvalidArgument", "The continuation token provided is incorrect") from error
