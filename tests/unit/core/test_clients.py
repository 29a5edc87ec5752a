"""The REST clients against scripted answers: what is tried again, what is not, and what each answer means."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from core.clients.blob import BlobContainer
from core.clients.data_collector import DataCollector, signature
from core.clients.faults import Changed, Denied, Fault, InDoubt, Refused, Transient
from core.clients.http import Http
from core.clients.logs_ingestion import LogsIngestion
from core.clients.managed_identity import ManagedIdentity
from core.clients.wire import NotSentError

Script = list[Any]


class _Reply:
    def __init__(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.status, self._body = status, body
        self.headers = HTTPHeaderDict({name.replace("_", "-"): value for name, value in headers.items()})

    def read(self) -> bytes:
        return self._body


class Wire:
    """Answers in the order of the script; keeps what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
        self.script = script
        self.asked: list[tuple[str, str, dict[str, str], bytes | None]] = []
        self.slept: list[float] = []
        self.now = 0.0
        self.http = Http(sleep=self._sleep, clock=lambda: self.now)
        monkeypatch.setattr(self.http._wire, "request", self._request)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def _request(self, method: str, url: str, *, body: bytes | None, headers: dict[str, str], **_: Any) -> Any:
        self.asked.append((method, url, headers, body))
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Tokens:
    def __init__(self) -> None:
        self.forgotten = 0

    def bearer(self, audience: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {audience} {self.forgotten}"}

    def forget(self, audience: str) -> None:
        assert audience
        self.forgotten += 1


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], Wire]:
    return lambda script: Wire(monkeypatch, script)


def _logs(wire: Wire) -> LogsIngestion:
    return LogsIngestion(wire.http, Tokens(), endpoint="https://e/", rule_id="dcr-1", stream="Custom-X_CL")


def test_rows_go_as_gzip_to_the_streams_url(wire: Callable[[Script], Wire]) -> None:
    asked = wire([_Reply(204)])
    assert _logs(asked).send(b'[{"a":1}]')[1] == 0
    method, url, headers, body = asked.asked[0]
    assert (method, url) == ("POST", "https://e/dataCollectionRules/dcr-1/streams/Custom-X_CL?api-version=2023-01-01")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body or b"") == b'[{"a":1}]'
    assert headers["Authorization"].startswith("Bearer https://monitor.azure.com")


def test_throttling_waits_as_long_as_asked(wire: Callable[[Script], Wire]) -> None:
    asked = wire([*[_Reply(429, Retry_After="7")] * 8, _Reply(204)])
    _logs(asked).send(b"[]")
    assert asked.slept == pytest.approx([7] * 8, abs=0.26)


def test_a_lost_answer_is_tried_again_and_told(wire: Callable[[Script], Wire]) -> None:
    asked = wire([ProtocolError("gone"), _Reply(500), _Reply(204)])
    assert _logs(asked).send(b"[]")[1] == 1
    assert len(asked.slept) == 2


def test_a_gateways_timeout_is_no_answer_of_the_service(wire: Callable[[Script], Wire]) -> None:
    assert _logs(wire([_Reply(504), _Reply(502), _Reply(503), _Reply(204)])).send(b"[]")[1] == 2


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([_Reply(503)] * 5, Transient),
        ([ReadTimeoutError(None, "/", "late")] * 5, InDoubt),  # type: ignore[arg-type]
        ([ProtocolError("x"), _Reply(400)], InDoubt),
        ([_Reply(504)] * 5, InDoubt),
        ([NotSentError("refused")] * 5, Transient),
        ([_Reply(400, b'{"error":{"code":"InvalidStream"}}')], Refused),
        ([_Reply(413)], Refused),
        ([_Reply(403)], Transient),
        ([_Reply(404)], Transient),
        ([_Reply(429, Retry_After="3600")], Transient),
    ],
)
def test_what_an_upload_answer_means(wire: Callable[[Script], Wire], script: Script, kind: type[Fault]) -> None:
    asked = wire(list(script))
    with pytest.raises(Fault) as caught:
        _logs(asked).send(b"[]")
    assert type(caught.value) is kind
    assert asked.script == []


def test_no_try_begins_after_the_time_is_up(wire: Callable[[Script], Wire]) -> None:
    asked = wire([_Reply(429, Retry_After="10"), _Reply(429, Retry_After="10")])
    with pytest.raises(Transient):
        _logs(asked).send(b"[]", until=15)
    assert asked.slept == pytest.approx([10], abs=0.26)


def test_a_refused_token_is_renewed_once(wire: Callable[[Script], Wire]) -> None:
    asked = wire([_Reply(401), _Reply(204)])
    _logs(asked).send(b"[]")
    assert asked.asked[0][2]["Authorization"] != asked.asked[1][2]["Authorization"]
    with pytest.raises(Transient):
        _logs(wire([_Reply(401), _Reply(401)])).send(b"[]")


def test_the_collectors_signature(wire: Callable[[Script], Wire]) -> None:
    key = base64.b64encode(b"k" * 64).decode()
    asked = wire([_Reply(200)])
    DataCollector(asked.http, endpoint="https://w.ods", workspace_id="w", key=key, log_type="Code42Logs").send(b"[1]")
    _, url, headers, body = asked.asked[0]
    assert url == "https://w.ods/api/logs?api-version=2016-04-01"
    text = f"POST\n{len(body or b'')}\napplication/json\nx-ms-date:{headers['x-ms-date']}\n/api/logs"
    mac = base64.b64encode(hmac.digest(b"k" * 64, text.encode(), hashlib.sha256)).decode()
    assert headers["Authorization"] == f"SharedKey w:{mac}"
    assert headers["Log-Type"] == "Code42Logs"
    assert signature(b"k" * 64, 3, headers["x-ms-date"]) == mac
    with pytest.raises(ValueError, match="COLLECTOR_KEY"):
        DataCollector(asked.http, endpoint="https://w", workspace_id="w", key="no base64!", log_type="X")


def _token(text: str, expires_on: float) -> _Reply:
    return _Reply(200, json.dumps({"access_token": text, "expires_on": str(int(expires_on)), "x": 1}).encode())


def test_tokens_are_kept_per_audience_until_shortly_before_they_expire(wire: Callable[[Script], Wire]) -> None:
    now = [1000.0]
    asked = wire([_token("a1", 5000), _token("b1", 5000), _token("a2", 9000)])
    identity = ManagedIdentity(
        asked.http, endpoint="http://127.0.0.1:1/t", header="h", client_id="c", now=lambda: now[0]
    )
    assert [identity.token("a"), identity.token("a"), identity.token("b")] == ["a1", "a1", "b1"]
    now[0] = 4701
    assert identity.token("a") == "a2"
    method, url, headers, _ = asked.asked[0]
    assert (method, url) == ("GET", "http://127.0.0.1:1/t?api-version=2019-08-01&resource=a&client_id=c")
    assert headers == {"X-IDENTITY-HEADER": "h"}


@pytest.mark.parametrize("reply", [_Reply(400, b"no identity"), _Reply(200, b"{}"), _Reply(200, b"<html>")])
def test_a_bad_token_answer_is_a_passing_fault(wire: Callable[[Script], Wire], reply: _Reply) -> None:
    with pytest.raises(Transient, match="managed identity"):
        ManagedIdentity(wire([reply]).http, endpoint="http://i", header="h", client_id="c").token("a")
    with pytest.raises(Transient, match="IDENTITY_ENDPOINT is not set"):
        ManagedIdentity(wire([]).http, endpoint="", header="", client_id="c").token("a")


def _container(wire: Wire) -> BlobContainer:
    return BlobContainer(wire.http, Tokens(), url="https://127.0.0.1:10000/acct/progress/")


def test_blobs_carry_their_preconditions(wire: Callable[[Script], Wire]) -> None:
    asked = wire(
        [_Reply(201, ETag='"1"'), _Reply(201, ETag='"2"'), _Reply(201), _Reply(200, b"x", ETag='"2"'), _Reply(404)]
    )
    blobs = _container(asked)
    assert blobs.put("a b/ü.json", b"x", etag="") == '"1"'
    assert blobs.put("a", b"y", etag='"1"') == '"2"'
    blobs.put("a", b"z")
    kept = blobs.get("a")
    assert kept is not None
    assert (kept.body, kept.etag) == (b"x", '"2"')
    assert blobs.get("a") is None
    first, second, third, *_ = asked.asked
    assert first[1] == "https://127.0.0.1:10000/acct/progress/a%20b/%C3%BC.json"
    assert first[2]["If-None-Match"] == "*"
    assert second[2]["If-Match"] == '"1"'
    assert not {"If-Match", "If-None-Match"} & third[2].keys()
    assert first[2]["x-ms-blob-type"] == "BlockBlob"


@pytest.mark.parametrize(("status", "kind"), [(409, Changed), (412, Changed), (403, Denied), (400, Refused)])
def test_what_a_blobs_answer_means(wire: Callable[[Script], Wire], status: int, kind: type[Fault]) -> None:
    with pytest.raises(kind):
        _container(wire([_Reply(status)])).put("a", b"x", etag="")


def test_a_blob_that_changed_on_its_way_is_a_passing_fault(wire: Callable[[Script], Wire]) -> None:
    digest = base64.b64encode(hashlib.md5(b"whole", usedforsecurity=False).digest()).decode()
    kept = _container(wire([_Reply(200, b"whole", Content_MD5=digest)])).get("a")
    assert kept is not None
    with pytest.raises(Transient, match="not what is stored"):
        _container(wire([_Reply(200, b"who", Content_MD5=digest)])).get("a")


def test_listing_follows_its_markers(wire: Callable[[Script], Wire]) -> None:
    page = "<Results><Blobs><Blob><Name>{}</Name></Blob></Blobs><NextMarker>{}</NextMarker></Results>"
    asked = wire([_Reply(200, page.format("a", "m&amp;1").encode()), _Reply(200, page.format("b", "").encode())])
    assert list(_container(asked).names("p")) == ["a", "b"]
    assert "marker=m%261" in asked.asked[1][1]
