"""Our signature against botocore's own, header by header."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from core.clients.signature import signed

NOW = dt.datetime(2026, 10, 31, 23, 59, 59, tzinfo=dt.UTC)


@pytest.mark.parametrize("token", ["session/+=", None])
@pytest.mark.parametrize(
    ("service", "method", "url", "body"),
    [
        ("s3", "GET", "http://127.0.0.1:4566/logs/a/b~c%3D1.gz", b""),
        ("s3", "GET", "https://logs.s3.eu-central-1.amazonaws.com/a/b-1.gz", b""),
        ("s3", "GET", "https://logs.s3.eu-central-1.amazonaws.com/a/b-1.gz?versionId=3.x_Y-~", b""),
        ("s3", "GET", "https://s3.example.com:443/logs.dotted/k", b""),
        ("sqs", "POST", "https://sqs.eu-central-1.amazonaws.com/", b'{"QueueUrl":"https://x/1/q"}'),
        ("sqs", "POST", "http://[::1]:4566/", b"{}"),
    ],
)
def test_every_header_is_as_botocore_writes_it(
    monkeypatch: pytest.MonkeyPatch, service: str, method: str, url: str, body: bytes, token: str | None
) -> None:
    keys: Any = Credentials("AKIA", "secret", token)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW)
    theirs = AWSRequest(method, url, data=body)
    theirs.context["payload_signing_enabled"] = True
    (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, "eu-central-1").add_auth(theirs)
    ours = signed(keys, method, url, service=service, region="eu-central-1", now=NOW, body=body)
    assert {name.lower(): value for name, value in ours.items()} == {
        name.lower(): value for name, value in theirs.headers.items()
    }
