"""Our own reader of objects against S3's emulator: the plain way is taken, and its signature is accepted."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.credentials import Credentials

from core.clients.aws_session import AwsSession
from core.clients.faults import Denied, Gone
from core.clients.s3_objects import S3Objects
from tests.integration.emulators.local import REGION, Local


class _NoIdentity:
    def token(self, audience: str) -> str:
        raise AssertionError(audience)


def _objects(local: Local, monkeypatch: pytest.MonkeyPatch) -> S3Objects:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", local.cloud.endpoints["s3"])
    session = AwsSession(_NoIdentity(), role_arn="r", audience="a", region=REGION, name="log-ingest", ca_file=local.ca)
    credentials: Any = Credentials(*local.do(local.cloud.aws.vendor_keys))
    session._credentials = session._session._session._credentials = credentials
    return S3Objects(session, connections=2)


def test_objects_and_versions_are_read_the_plain_way(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"b-{uuid.uuid4().hex[:8]}"
    local.do(lambda: local.cloud.aws.put_bucket(name))
    local.do(lambda: local.cloud.aws.put_bucket_versioning(name, "Enabled"))
    vendor = local.vendor("s3")
    key = "logs/dt=2026-10-31/file~1.gz"
    first = vendor.put_object(Bucket=name, Key=key, Body=b"first")
    second = vendor.put_object(Bucket=name, Key=key, Body=b"second" * 100_000)
    objects = _objects(local, monkeypatch)
    by_botocore = objects.open(name, key, None)  # the bucket's first: botocore shows the way
    asked: list[str] = []
    objects._client.meta.events.register("before-send.s3.GetObject", lambda request, **_: asked.append(request.url))
    for version, made in ((None, second), (second["VersionId"], second), (first["VersionId"], first)):
        opened = objects.open(name, key, version)
        assert (opened.etag, opened.version) == (made["ETag"].strip('"'), made["VersionId"])
        body = b"".join(iter(lambda opened=opened: opened.read(65_536), b""))  # type: ignore[misc]
        assert body == (b"first" if made is first else b"second" * 100_000)
        opened.close()
    assert asked == []
    last = objects.open(name, key, None)
    assert last.modified == by_botocore.modified
    for opened in (last, by_botocore):
        opened.close()


def test_what_is_refused_is_explained_by_botocore(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"b-{uuid.uuid4().hex[:8]}"
    local.do(lambda: local.cloud.aws.put_bucket(name))
    local.vendor("s3").put_object(Bucket=name, Key="k", Body=b"x")
    objects = _objects(local, monkeypatch)
    objects.open(name, "k", None).close()
    with pytest.raises(Gone, match="404"):
        objects.open(name, "no-such", None)
    with pytest.raises(Denied, match="NoSuchBucket"):
        objects.open("b-nowhere", "k", None)
