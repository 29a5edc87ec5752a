"""Settling a message the plain way, and when botocore is asked instead."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials
from urllib3.exceptions import ProtocolError

from core.clients.aws_session import AwsSession
from core.clients.sqs_queue import Received, SqsQueue

MESSAGE = Received("m", "receipt", "{}", 1)


class _Tokens:
    def token(self, audience: str) -> str:
        return audience


class _Reply:
    def __init__(self, status: int) -> None:
        self.status = status

    def read(self) -> bytes:
        return b"{}"


class Way:
    """A queue whose plain way answers with `answer`; botocore's always with 200."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
        session = AwsSession(_Tokens(), role_arn="r", audience="a", region="eu-central-1", name="log-ingest")
        credentials: Any = Credentials("AKIA", "secret", "session")
        session._credentials = session._session._session._credentials = credentials
        self.answer = answer
        self.asked: list[tuple[str, str, bytes]] = []
        self.by_botocore: list[str] = []
        self.queue = SqsQueue(session, url="https://sqs.eu-central-1.amazonaws.com/1/q", connections=1)
        self.queue._client.meta.events.register_last("before-send.sqs", self._send)
        monkeypatch.setattr(self.queue._plain._wire, "request", self._request)

    def settle(self) -> None:
        self.queue.delete(MESSAGE)
        self.queue.hide(MESSAGE, 7)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"]
        self.by_botocore.append(operation.decode() if isinstance(operation, bytes) else operation)
        raw: Any = BytesIO(b"{}")
        raw.stream = lambda: iter([b"{}"])
        return AWSResponse(request.url, 200, {}, raw)  # type: ignore[arg-type]

    def _request(self, method: str, url: str, *, headers: dict[str, str], body: bytes) -> Any:
        assert (method, headers["Authorization"].partition("/")[0]) == ("POST", "AWS4-HMAC-SHA256 Credential=AKIA")
        self.asked.append((url, headers["X-Amz-Target"], body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_before_a_receive_its_address_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    way = Way(monkeypatch, _Reply(200))
    way.settle()
    assert way.asked == []
    assert way.by_botocore == ["AmazonSQS.DeleteMessage", "AmazonSQS.ChangeMessageVisibility"]


def test_after_it_messages_are_settled_there(monkeypatch: pytest.MonkeyPatch) -> None:
    way = Way(monkeypatch, _Reply(200))
    way.queue.receive(1, wait_s=0, visibility_s=30)
    way.settle()
    assert way.by_botocore == ["AmazonSQS.ReceiveMessage"]
    where, queue = "https://sqs.eu-central-1.amazonaws.com/", b'"QueueUrl":"https://sqs.eu-central-1.amazonaws.com/1/q"'
    assert way.asked == [
        (where, "AmazonSQS.DeleteMessage", b'{%b,"ReceiptHandle":"receipt"}' % queue),
        (where, "AmazonSQS.ChangeMessageVisibility", b'{%b,"ReceiptHandle":"receipt","VisibilityTimeout":7}' % queue),
    ]


@pytest.mark.parametrize("answer", [_Reply(301), _Reply(403), _Reply(500), ProtocolError("x")])
def test_what_is_not_done_at_once_is_left_to_botocore(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    way = Way(monkeypatch, answer)
    way.queue.receive(1, wait_s=0, visibility_s=30)
    way.settle()
    assert len(way.asked) == 2
    assert way.by_botocore[1:] == ["AmazonSQS.DeleteMessage", "AmazonSQS.ChangeMessageVisibility"]


def test_a_proxy_is_left_to_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    way = Way(monkeypatch, _Reply(200))
    way.queue.receive(1, wait_s=0, visibility_s=30)
    way.settle()
    assert (way.asked, len(way.by_botocore)) == ([], 3)
