"""Temporary credentials: had with the worker's token, renewed before they expire and when AWS refuses them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from core.clients.aws_session import AwsSession, fault_of
from core.clients.faults import Denied, Fault, Gone, Refused, Transient
from core.clients.sqs_queue import SqsQueue


class _Tokens:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def token(self, audience: str) -> str:
        self.asked.append(audience)
        return f"token-{len(self.asked)}"


class _Sts:
    """Answers as STS does, with credentials good for `lifetime`."""

    def __init__(self, lifetime: timedelta) -> None:
        self.lifetime = lifetime
        self.calls: list[dict[str, Any]] = []

    def assume_role_with_web_identity(self, **fields: Any) -> dict[str, Any]:
        self.calls.append(fields)
        number = len(self.calls)
        return {"Credentials": {"AccessKeyId": f"key-{number}", "SecretAccessKey": "s", "SessionToken": "t",
                                "Expiration": datetime.now(UTC) + self.lifetime}}  # fmt: skip


def _session(sts: Any) -> tuple[AwsSession, _Tokens]:
    tokens = _Tokens()
    session = AwsSession(
        tokens, role_arn="arn:aws:iam::1:role/r", audience="api://a", region="eu-central-1", name="log-ingest"
    )
    session._sts = sts
    return session, tokens


def _key(session: AwsSession) -> str:
    return str(session._credentials.get_frozen_credentials().access_key)


def test_credentials_are_kept_while_they_are_good() -> None:
    sts = _Sts(timedelta(hours=1))
    session, tokens = _session(sts)
    assert sts.calls == []  # making the session contacts nobody
    assert [_key(session), _key(session)] == ["key-1", "key-1"]
    assert tokens.asked == ["api://a"]
    assert sts.calls[0]["WebIdentityToken"] == "token-1"
    assert sts.calls[0]["RoleArn"] == "arn:aws:iam::1:role/r"


def test_credentials_near_their_end_are_renewed_with_a_new_token() -> None:
    sts = _Sts(timedelta(minutes=5))
    session, _ = _session(sts)
    assert [_key(session), _key(session)] == ["key-1", "key-2"]
    assert [call["WebIdentityToken"] for call in sts.calls] == ["token-1", "token-2"]


def _error(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetObject")


def test_refused_credentials_are_renewed_at_once() -> None:
    session, _ = _session(_Sts(timedelta(hours=1)))
    assert _key(session) == "key-1"
    assert isinstance(fault_of(_error("ExpiredToken", 400), "s3 get", session), Transient)
    assert [_key(session), _key(session)] == ["key-2", "key-2"]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDenied", 403, Denied),
        ("NoSuchKey", 404, Gone),
        ("NoSuchVersion", 404, Gone),
        ("SlowDown", 503, Transient),
        ("InternalError", 500, Transient),
        ("Throttling", 400, Transient),
        ("InvalidAccessKeyId", 403, Transient),
        ("RequestTimeTooSkewed", 403, Transient),
        ("KeyTooLongError", 400, Refused),
        ("InvalidObjectState", 403, Refused),
    ],
)
def test_what_an_error_means(code: str, status: int, kind: type[Fault]) -> None:
    session, _ = _session(_Sts(timedelta(hours=1)))
    assert type(fault_of(_error(code, status), "s3 get", session)) is kind


def test_a_role_that_cannot_be_assumed_yet_is_a_passing_fault() -> None:
    class Refusing:
        def assume_role_with_web_identity(self, **_: Any) -> Any:
            raise _error("AccessDenied", 403)

    session, _ = _session(Refusing())
    with pytest.raises(Transient, match="assume arn:aws:iam::1:role/r"):
        _key(session)
    assert isinstance(fault_of(ReadTimeoutError(endpoint_url="https://s3"), "s3 get", session), Transient)


def test_an_answer_that_cannot_be_read_is_a_passing_fault() -> None:
    class Unreadable:
        def assume_role_with_web_identity(self, **_: Any) -> Any:
            raise ResponseParserError("no element found")

    session, _ = _session(Unreadable())
    with pytest.raises(Transient, match="assume"):
        _key(session)


@pytest.mark.parametrize("answer", [{}, {"Credentials": {"AccessKeyId": "k"}}, {"Credentials": None}])
def test_credentials_of_another_shape_are_a_passing_fault(answer: Any) -> None:
    class Odd:
        def assume_role_with_web_identity(self, **_: Any) -> Any:
            return answer

    session, _ = _session(Odd())
    with pytest.raises(Transient, match="unreadable answer"):
        _key(session)


def test_a_message_that_changed_on_its_way_is_left_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    session, _ = _session(_Sts(timedelta(hours=1)))
    queue = SqsQueue(session, url="https://sqs/1/q", connections=1)
    message = {
        "MessageId": "1",
        "ReceiptHandle": "r",
        "Body": "text",
        "MD5OfBody": md5(b"text", usedforsecurity=False).hexdigest(),
    }
    monkeypatch.setattr(queue, "_call", lambda *_, **__: {"Messages": [message, {**message, "Body": "test"}]})
    assert [one.body for one in queue.receive(2, wait_s=0, visibility_s=1)] == ["text"]
    monkeypatch.setattr(queue, "_call", lambda *_, **__: {"Messages": [{"ReceiptHandle": "r"}]})
    with pytest.raises(Transient, match="unreadable answer"):
        queue.receive(2, wait_s=0, visibility_s=1)
