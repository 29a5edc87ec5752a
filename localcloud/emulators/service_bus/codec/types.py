"""AMQP 1.0 values: what Python object stands for which type. `reading` and `writing` turn them from and into bytes.

A value read keeps its AMQP type, so that writing it gives an equal value of that type (a `message-id` that came as uuid
goes back as uuid). Plain Python objects stand for the common types: `None`, `bool`, `int` (long), `float` (double),
`str`, `bytes`, `uuid.UUID`, `list`, `dict`; the others have a small subclass here. Source: OASIS AMQP 1.0, part 1.

Bounds, so that no peer makes us work or allocate beyond what it sent: nesting of 32, no count above the bytes that
follow it.
"""

from typing import Any, NamedTuple

DEEPEST = 32
MOST_EMPTY_ELEMENTS = 1024
"""An array of a type that takes no bytes (null, true, zero …) has no other bound on its count."""


class CodecError(ValueError):
    """Bytes that are no AMQP 1.0 value, message or frame."""

    condition = "amqp:decode-error"


class Symbol(str):
    """An ASCII name from a fixed vocabulary."""

    __slots__ = ()


class UByte(int):
    """0 … 255."""

    __slots__ = ()


class UShort(int):
    """0 … 65535."""

    __slots__ = ()


class UInt(int):
    """0 … 2^32 - 1."""

    __slots__ = ()


class ULong(int):
    """0 … 2^64 - 1."""

    __slots__ = ()


class Byte(int):
    """-128 … 127."""

    __slots__ = ()


class Short(int):
    """-32768 … 32767."""

    __slots__ = ()


class Int(int):
    """-2^31 … 2^31 - 1. (A plain `int` is AMQP's long.)"""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since 1970, UTC."""

    __slots__ = ()


class Char(str):
    """One Unicode character."""

    __slots__ = ()


class Float(float):
    """IEEE 754 binary32. (A plain `float` is AMQP's double.)"""

    __slots__ = ()


class Decimal(bytes):
    """IEEE 754 decimal32, 64 or 128 by its length, untouched: nothing here computes with it."""

    __slots__ = ()


class Described(NamedTuple):
    """A value with a descriptor that says what it means."""

    descriptor: Any
    value: Any


class Array(list[Any]):
    """Elements of one type; an empty array keeps the constructor that it came with, as the wire does."""

    __slots__ = ("constructor",)

    def __init__(self, elements: Any = (), constructor: int = 0x40) -> None:
        super().__init__(elements)
        self.constructor = constructor
