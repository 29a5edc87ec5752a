"""AMQP 1.0 values from bytes. Positions are offsets into one `bytes` object, so nothing is copied but what is kept."""

import struct
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.emulators.service_bus.codec.types import (
    DEEPEST,
    MOST_EMPTY_ELEMENTS,
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

Reader = Callable[[bytes, int, int], tuple[Any, int]]

_U16 = struct.Struct(">H").unpack_from
_U32 = struct.Struct(">I").unpack_from
_U64 = struct.Struct(">Q").unpack_from
_PAIR8 = struct.Struct(">BB").unpack_from
_PAIR32 = struct.Struct(">II").unpack_from


def decode(buffer: bytes, position: int = 0) -> tuple[Any, int]:
    """The value that starts at `position`, and where the next one starts. Raises CodecError."""
    try:
        return _value(buffer, position, 0)
    except (struct.error, IndexError) as error:
        raise CodecError(
            f"a value that starts at byte {position} ends after the {len(buffer)} bytes there are"
        ) from error
    except UnicodeDecodeError as error:
        raise CodecError(f"text is not UTF-8: {error.reason} at byte {error.start} of it") from error
    except (TypeError, OverflowError, ValueError) as error:
        if isinstance(error, CodecError):
            raise
        raise CodecError(str(error)) from error


def skip(buffer: bytes, position: int) -> int:
    """Where the value at `position` (not a described one) ends, without reading it. Raises CodecError."""
    try:
        code = buffer[position]
        width = _WIDTH[code >> 4]
        if width >= 0:
            end = position + 1 + width
        elif width == -1:
            end = position + 2 + buffer[position + 1]
        elif width == -4:
            end = int(position + 5 + _U32(buffer, position + 1)[0])
        else:
            raise CodecError(f"0x{code:02x} starts no AMQP value")
    except (struct.error, IndexError) as error:
        raise CodecError(
            f"a value that starts at byte {position} ends after the {len(buffer)} bytes there are"
        ) from error
    if end > len(buffer):
        raise CodecError(f"a value ends at byte {end}, after the {len(buffer)} bytes there are")
    return end


# Bytes of a value by the upper half of its constructor; -1, -4: a size of so many bytes stands first; -9: no value.
_WIDTH = (-9, -9, -9, -9, 0, 1, 2, 4, 8, 16, -1, -4, -1, -4, -1, -4)


def _value(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
    code = buffer[position]
    reader = _READ[code]
    if reader is None:
        raise CodecError(f"0x{code:02x} starts no AMQP value")
    return reader(buffer, position + 1, depth)


def _constant(value: Any) -> Reader:
    return lambda _buffer, position, _depth: (value, position)


def _fixed(code: str, kind: Callable[[Any], Any] | None = None) -> Reader:
    layout = struct.Struct(">" + code)
    unpack, size = layout.unpack_from, layout.size
    if kind is None:
        return lambda buffer, position, _depth: (unpack(buffer, position)[0], position + size)
    return lambda buffer, position, _depth: (kind(unpack(buffer, position)[0]), position + size)


def _boolean(buffer: bytes, position: int, _depth: int) -> tuple[bool, int]:
    if buffer[position] > 1:
        raise CodecError(f"a boolean is 0 or 1, got {buffer[position]}")
    return buffer[position] == 1, position + 1


def _opaque(size: int, kind: Callable[[bytes], Any]) -> Reader:
    def read(buffer: bytes, position: int, _depth: int) -> tuple[Any, int]:
        return kind(_slice(buffer, position, position + size)), position + size

    return read


def _slice(buffer: bytes, start: int, end: int) -> bytes:
    if end > len(buffer):
        raise CodecError(f"a value ends at byte {end}, after the {len(buffer)} bytes there are")
    return bytes(buffer[start:end])


def _variable8(kind: Callable[[bytes], Any]) -> Reader:
    def read(buffer: bytes, position: int, _depth: int) -> tuple[Any, int]:
        start = position + 1
        end = start + buffer[position]
        return kind(_slice(buffer, start, end)), end

    return read


def _variable32(kind: Callable[[bytes], Any]) -> Reader:
    def read(buffer: bytes, position: int, _depth: int) -> tuple[Any, int]:
        start = position + 4
        end = start + _U32(buffer, position)[0]
        return kind(_slice(buffer, start, end)), end

    return read


def _text(raw: bytes) -> str:
    return raw.decode("utf-8")


def _symbol(raw: bytes) -> Symbol:
    return Symbol(raw.decode("ascii"))


def _extent(buffer: bytes, position: int, depth: int, *, wide: bool) -> tuple[int, int, int]:
    """Count, first element's place and end of a list, map or array; refuses what cannot be true."""
    if depth >= DEEPEST:
        raise CodecError(f"values nest deeper than {DEEPEST}")
    size, count = _PAIR32(buffer, position) if wide else _PAIR8(buffer, position)
    width = 4 if wide else 1
    end = position + width + size
    if end > len(buffer) or size < width:
        raise CodecError(f"a compound of {size} bytes does not fit into the {len(buffer)} there are")
    return count, position + 2 * width, end


def _list(*, wide: bool) -> Reader:
    def read(buffer: bytes, position: int, depth: int) -> tuple[list[Any], int]:
        count, position, end = _extent(buffer, position, depth, wide=wide)
        if count > end - position:
            raise CodecError(f"a list of {count} elements in {end - position} bytes")
        found = []
        for _ in range(count):
            value, position = _value(buffer, position, depth + 1)
            found.append(value)
        _ends(position, end)
        return found, end

    return read


def _map(*, wide: bool) -> Reader:
    def read(buffer: bytes, position: int, depth: int) -> tuple[dict[Any, Any], int]:
        count, position, end = _extent(buffer, position, depth, wide=wide)
        if count % 2 or count > end - position:
            raise CodecError(f"a map of {count} keys and values in {end - position} bytes")
        found = {}
        for _ in range(count // 2):
            key, position = _value(buffer, position, depth + 1)
            found[key], position = _value(buffer, position, depth + 1)
        _ends(position, end)
        return found, end

    return read


def _array(*, wide: bool) -> Reader:
    def read(buffer: bytes, position: int, depth: int) -> tuple[Array, int]:
        count, position, end = _extent(buffer, position, depth, wide=wide)
        descriptor = None
        if described := buffer[position] == 0:
            descriptor, position = _value(buffer, position + 1, depth + 1)
        code = buffer[position]
        reader = _READ[code]
        if reader is None or code == 0:
            raise CodecError(f"0x{code:02x} is no constructor of array elements")
        position += 1
        if count > (MOST_EMPTY_ELEMENTS if code < 0x50 else end - position):  # 0x4_: elements that take no bytes
            raise CodecError(f"an array of {count} elements in {end - position} bytes")
        found = Array(constructor=code)
        for _ in range(count):
            value, position = reader(buffer, position, depth + 1)
            found.append(Described(descriptor, value) if described else value)
        _ends(position, end)
        return found, end

    return read


def _ends(position: int, end: int) -> None:
    if position != end:
        raise CodecError(f"a compound's elements end at byte {position}, the compound at {end}")


def _described(buffer: bytes, position: int, depth: int) -> tuple[Described, int]:
    if depth >= DEEPEST:
        raise CodecError(f"values nest deeper than {DEEPEST}")
    descriptor, position = _value(buffer, position, depth + 1)
    value, position = _value(buffer, position, depth + 1)
    return Described(descriptor, value), position


def _char(number: int) -> Char:
    if number > 0x10FFFF:
        raise CodecError(f"0x{number:x} is no Unicode character")
    return Char(chr(number))


_READ: list[Reader | None] = [None] * 256
for _code, _reader in {
    0x00: _described,
    0x40: _constant(None), 0x41: _constant(True), 0x42: _constant(False),
    0x43: _constant(UInt(0)), 0x44: _constant(ULong(0)), 0x45: lambda _buffer, position, _depth: ([], position),
    0x50: _fixed("B", UByte), 0x51: _fixed("b", Byte), 0x52: _fixed("B", UInt),
    0x53: _fixed("B", ULong), 0x54: _fixed("b", Int), 0x55: _fixed("b"), 0x56: _boolean,
    0x60: _fixed("H", UShort), 0x61: _fixed("h", Short),
    0x70: _fixed("I", UInt), 0x71: _fixed("i", Int), 0x72: _fixed("f", Float), 0x73: _fixed("I", _char),
    0x74: _opaque(4, Decimal), 0x84: _opaque(8, Decimal), 0x94: _opaque(16, Decimal),
    0x80: _fixed("Q", ULong), 0x81: _fixed("q"), 0x82: _fixed("d"), 0x83: _fixed("q", Timestamp),
    0x98: _opaque(16, lambda raw: uuid.UUID(bytes=raw)),
    0xA0: _variable8(bytes), 0xA1: _variable8(_text), 0xA3: _variable8(_symbol),
    0xB0: _variable32(bytes), 0xB1: _variable32(_text), 0xB3: _variable32(_symbol),
    0xC0: _list(wide=False), 0xC1: _map(wide=False), 0xD0: _list(wide=True), 0xD1: _map(wide=True),
    0xE0: _array(wide=False), 0xF0: _array(wide=True),
}.items():  # fmt: skip
    _READ[_code] = _reader
