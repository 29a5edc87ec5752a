"""Reading S3 objects over answers that are short or wrong: what arrives is what is stored, or it does not count."""

from __future__ import annotations

import io
from collections.abc import Callable
from hashlib import md5
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from core.clients.faults import Corrupt, Transient
from core.clients.s3_objects import S3Objects

STORED = bytes(range(256)) * 40


class _Store:
    """One object; each answer's content goes through the next of `spoil`."""

    def __init__(self, *spoil: Callable[[bytes], bytes], etag: str = "") -> None:
        self.spoil, self.asked = list(spoil), 0
        self.etag = etag or md5(STORED, usedforsecurity=False).hexdigest()
        self.encryption = "AES256"
        self.verify = True
        self.meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))  # the plain way stays unlearnt

    def client(self, service: str, *, connections: int) -> Any:
        assert (service, connections) == ("s3", 1)
        return self

    def get_object(self, *, Range: str = "bytes=0-", **_: Any) -> Any:  # noqa: N803 - boto3's own
        self.asked += 1
        start = int(Range.removeprefix("bytes=").removesuffix("-"))
        if start >= len(STORED):
            answer: Any = {"Error": {"Code": "InvalidRange"}, "ResponseMetadata": {"HTTPStatusCode": 416}}
            raise ClientError(answer, "GetObject")
        body = self.spoil.pop(0)(STORED[start:]) if self.spoil else STORED[start:]
        return {"Body": StreamingBody(io.BytesIO(body), len(body)), "ETag": f'"{self.etag}"',
                "ContentLength": len(body), "ServerSideEncryption": self.encryption}  # fmt: skip


def _read(store: _Store, objects: S3Objects | None = None) -> bytes:
    opened = (objects or S3Objects(store, connections=1)).open("b", "k", None)  # type: ignore[arg-type]
    return b"".join(iter(lambda: opened.read(1000), b""))


def _short(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _flipped(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def _none(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("spoil", [(_short,), (_none,), (_short, _short, _none, _short)])
def test_an_answer_that_is_short_although_it_says_it_is_whole_is_read_on(spoil: Any) -> None:
    assert _read(_Store(*spoil)) == STORED


def test_an_object_that_stays_short_is_a_passing_fault() -> None:
    with pytest.raises(Transient):
        _read(_Store(*[_none] * 9))


def test_other_bytes_than_those_that_are_stored_do_not_count() -> None:
    with pytest.raises(Corrupt, match="other bytes"):
        _read(_Store(_flipped))


def test_a_store_whose_etags_are_no_md5_is_believed_after_a_second_look() -> None:
    store = _Store(etag="0" * 32)
    objects = S3Objects(store, connections=1)  # type: ignore[arg-type]
    assert [_read(store, objects), _read(store, objects)] == [STORED, STORED]
    assert store.asked == 4  # the object, what follows it, the second look; then the next object alone


@pytest.mark.parametrize(("etag", "encryption"), [("0" * 32, "aws:kms"), ("0" * 32 + "-3", "AES256")])
def test_an_etag_that_is_no_md5_by_its_kind_is_not_compared(etag: str, encryption: str) -> None:
    store = _Store(etag=etag)
    store.encryption = encryption
    assert _read(store) == STORED
    assert store.asked == 1
