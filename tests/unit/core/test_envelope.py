"""A message's own headers: what goes onto a queue comes out of it, and what has none is left alone."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.messages.envelope import pack, unpack

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Order(msgspec.Struct):
    VERSION: ClassVar[int] = 3
    text: str


@given(st.text(), st.text(), st.integers(min_value=1, max_value=2**31))
def test_a_message_comes_out_as_it_went_in(text: str, identity: str, attempt: int) -> None:
    body = pack(Order(text), id=identity, traceparent=TRACE, attempt=attempt)
    envelope = unpack(body)
    assert envelope is not None
    assert (envelope.id, envelope.type, envelope.version) == (identity, "Order", 3)
    assert (envelope.traceparent, envelope.attempt) == (TRACE, attempt)
    assert msgspec.json.decode(envelope.body, type=Order) == Order(text)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[1]",
        b'"x"',
        b"{",
        b'{"id": "1"}',
        b'{"id":1,"type":1,"version":1,"attempt":1,"body":1}',
        b"[" * 99_999,
    ],
)
def test_anything_else_has_no_envelope(body: bytes) -> None:
    assert unpack(body) is None


@pytest.mark.parametrize(("key", "value"), [("version", "x"), ("version", 0), ("attempt", 0), ("id", None)])
def test_an_envelope_with_wrong_values_is_said_to_be_one(key: str, value: object) -> None:
    fields = msgspec.json.decode(pack(Order("x"), id="1", traceparent=TRACE)) | {key: value}
    with pytest.raises(msgspec.ValidationError, match=key):
        unpack(msgspec.json.encode(fields))
