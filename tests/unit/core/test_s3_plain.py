"""The plain way to an object: what goes it, what is left to botocore, and that both ask for the same address."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import ProtocolError

from core.clients.aws_session import AwsSession
from core.clients.s3_plain import PlainGet


class _Tokens:
    def token(self, audience: str) -> str:
        return audience


class _Reply:
    def __init__(self, status: int) -> None:
        self.status = status
        self.headers = HTTPHeaderDict()
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Way:
    """A PlainGet whose pool answers with `status`; keeps what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
        session = AwsSession(_Tokens(), role_arn="r", audience="a", region="eu-central-1", name="log-ingest")
        credentials: Any = Credentials("AKIA", "secret", "session")
        session._credentials = session._session._session._credentials = credentials
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer = answer
        self.client = session.client("s3", connections=1)
        self.plain = PlainGet(session, self.client, connections=1)
        self.by_botocore: list[str] = []
        self.client.meta.events.register_last("before-send.s3.GetObject", self._send)
        monkeypatch.setattr(self.plain._wire, "request", self._request)

    def read(self, bucket: str, key: str, version: str = "") -> Any:
        """As S3Objects does: the plain way, else botocore's."""
        found = self.plain.get(bucket, key, version)
        if found is None:
            self.client.get_object(Bucket=bucket, Key=key)
        return found

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        self.by_botocore.append(request.url)
        return AWSResponse(request.url, 200, {}, BytesIO())  # type: ignore[arg-type]

    def _request(self, method: str, url: str, *, headers: dict[str, str], **_: Any) -> Any:
        assert method == "GET"
        self.asked.append((url, headers))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_an_ordinary_object(monkeypatch: pytest.MonkeyPatch) -> None:
    way = Way(monkeypatch, _Reply(200))
    assert [way.read("logs", "first"), way.read("logs.dotted", "first")] == [None, None]
    assert way.read("logs", "a/b-1.gz") is way.answer
    assert way.read("logs", "a/b-1.gz", "v1") is way.answer
    assert way.read("logs.dotted", "k") is way.answer
    assert [url for url, _ in way.asked] == [
        "https://logs.s3.eu-central-1.amazonaws.com/a/b-1.gz",
        "https://logs.s3.eu-central-1.amazonaws.com/a/b-1.gz?versionId=v1",
        "https://s3.eu-central-1.amazonaws.com/logs.dotted/k",
    ]
    assert "Credential=AKIA/" in way.asked[0][1]["Authorization"]
    assert way.asked[0][1]["X-Amz-Security-Token"] == "session"


@pytest.mark.parametrize(
    "key", ["a b", "a+b", "a%2Bb", "ü", "a//b", "/a", "a/../b", "./a", "a/.b", "", "a/", "a?b", "a#b"]
)
def test_keys_that_urls_write_differently_are_left_to_botocore(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    way = Way(monkeypatch, _Reply(200))
    way.read("logs", "first")
    assert way.plain.get("logs", key, "") is None
    assert way.asked == []


@pytest.mark.parametrize(
    "answer", [_Reply(206), _Reply(301), _Reply(403), _Reply(404), _Reply(503), ProtocolError("x")]
)
def test_whatever_is_no_content_is_left_to_botocore(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    way = Way(monkeypatch, answer)
    way.read("logs", "first")
    assert way.plain.get("logs", "key", "") is None
    assert getattr(answer, "closed", True)


@pytest.mark.parametrize("bucket", ["logs", "logs.dotted", "0123", "a-very-long-name-" * 3 + "of-63-char"])
@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:1", "https://s3.example.com"])
def test_the_address_is_the_one_botocore_asks(monkeypatch: pytest.MonkeyPatch, bucket: str, endpoint: str) -> None:
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    way = Way(monkeypatch, _Reply(200))
    for key in ("first", "a/b~c=1.gz", "a b+ü"):
        way.read(bucket, key)
    assert [url for url, _ in way.asked] == [way.by_botocore[0].removesuffix("first") + "a/b~c%3D1.gz"]
    way.client.get_object(Bucket=bucket, Key="a/b~c=1.gz")
    assert way.by_botocore[-1] == way.asked[0][0]


def test_a_proxy_is_left_to_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    way = Way(monkeypatch, _Reply(200))
    assert [way.read("logs", "first"), way.read("logs", "key")] == [None, None]
    assert way.asked == []
