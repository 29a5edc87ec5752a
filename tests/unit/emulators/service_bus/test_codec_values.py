"""Every AMQP type comes back as it went; no bytes whatever do more harm than a CodecError."""

import contextlib
import math
import uuid
from typing import Any

import pytest
from azure.servicebus._pyamqp import _decode as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.emulators.service_bus.codec.reading import decode, skip
from localcloud.emulators.service_bus.codec.types import (
    Array,
    Byte,
    Char,
    CodecError,
    Decimal,
    Described,
    Float,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)
from localcloud.emulators.service_bus.codec.writing import encoded

I64 = st.integers(-(2**63), 2**63 - 1)
SCALARS: list[st.SearchStrategy[Any]] = [
    st.booleans(),
    st.integers(0, 255).map(UByte),
    st.integers(0, 2**16 - 1).map(UShort),
    st.integers(0, 2**32 - 1).map(UInt),
    st.integers(0, 2**64 - 1).map(ULong),
    st.integers(-128, 127).map(Byte),
    st.integers(-(2**15), 2**15 - 1).map(Short),
    st.integers(-(2**31), 2**31 - 1).map(Int),
    I64,
    I64.map(Timestamp),
    st.floats(width=32, allow_nan=False).map(Float),
    st.floats(allow_nan=False),
    st.characters(codec="utf-8").map(Char),
    st.sampled_from([4, 8, 16]).flatmap(lambda size: st.binary(min_size=size, max_size=size)).map(Decimal),
    st.uuids(),
    st.binary(max_size=600),
    st.text(max_size=300),
    st.text(st.characters(codec="ascii"), max_size=300).map(Symbol),
]
KEYS = st.one_of(st.text(max_size=9), st.text(st.characters(codec="ascii"), max_size=9).map(Symbol), I64)


def arrays(scalars: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One type in each; decimals of one size."""
    plain = [strategy for strategy in scalars if strategy is not SCALARS[13]]
    elements = st.one_of(plain[1:]).flatmap(lambda first: st.lists(st.just(first), min_size=1, max_size=70))
    return elements.map(Array)


def compounds(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(children, max_size=40),
        st.dictionaries(KEYS, children, max_size=9),
        st.builds(Described, st.one_of(st.integers(0, 2**64 - 1).map(ULong), st.just(Symbol("a:b:list"))), children),
    )


VALUES = st.recursive(st.one_of(st.none(), *SCALARS, arrays(SCALARS)), compounds, max_leaves=12)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(list(pair), list(twin)) for pair, twin in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other, strict=True))
    return bool(one == other)


@settings(deadline=None)
@given(VALUES)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    raw = encoded(value)
    assert decode(b"." + raw, 1) == (value, len(raw) + 1)
    assert same(decode(raw)[0], value)
    if raw[0]:
        assert skip(raw, 0) == len(raw)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), *(SCALARS[:12] + SCALARS[14:])), max_size=20))
def test_the_sdk_reads_what_we_write(values: list[Any]) -> None:
    """An independent reader: strings and symbols are bytes there, and it has no char."""
    raw = memoryview(encoded(values))
    rest, read = theirs._DECODE_BY_CONSTRUCTOR[raw[0]](raw[1:])
    assert not rest
    assert read == [value.encode() if isinstance(value, str) else value for value in values]


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_value_or_a_codec_error(raw: bytes) -> None:
    try:
        value, end = decode(raw)
    except CodecError:
        return
    assert 0 < end <= len(raw)
    if isinstance(value, float) and math.isnan(value):
        return
    encoded(value)


@settings(deadline=None)
@given(VALUES, st.data())
def test_a_damaged_value_is_a_value_or_a_codec_error(value: Any, data: st.DataObject) -> None:
    raw = bytearray(encoded(value))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    with contextlib.suppress(CodecError):
        assert decode(bytes(raw))[1] <= len(raw)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "ends after"),
        (b"\x3f", "0x3f starts no AMQP value"),
        (b"\xa1\x02\xff\xfe", "not UTF-8"),
        (b"\x56\x02", "a boolean is 0 or 1"),
        (b"\xd0\x00\x00\x00\x04\xff\xff\xff\xff", "4294967295 elements in 0 bytes"),
        (b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40", "array of 4294967295 elements"),
        (b"\xc1\x02\x01\x40", "a map of 1 keys and values"),
        (b"\xc0\x03\x01\x40\x40", "elements end at byte"),
        (b"\xc1\x05\x02\xc0\x01\x00\x40", "unhashable"),
        (b"\x00" * 64, "nest deeper than 32"),
        (b"\xc0\x7f\x01" * 60, "does not fit"),
        (b"\x73\xff\xff\xff\xff", "no Unicode character"),
        (b"\xb0\xff\xff\xff\xff", "ends at byte"),
    ],
)
def test_what_is_no_value_says_why(raw: bytes, says: str) -> None:
    with pytest.raises(CodecError, match=says):
        decode(raw)


def test_what_has_no_amqp_type_is_refused() -> None:
    for value in (object(), {1, 2}, 2**63, UByte(256), Symbol("ä")):
        with pytest.raises(CodecError):
            encoded(value)


def test_a_uuid_is_sixteen_bytes_in_network_order() -> None:
    assert encoded(uuid.UUID(int=1)) == b"\x98" + bytes(15) + b"\x01"
