"""AMQP 1.0 values to bytes, each in the shortest form that its type has."""

import struct
import uuid
from collections.abc import Callable
from typing import Any

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

Writer = Callable[[bytearray, Any], None]


def encode(out: bytearray, value: Any) -> None:
    """Append `value`. Raises CodecError for what has no AMQP type, or lies outside its own."""
    writer = _WRITE.get(type(value)) or _writer_of(value)
    try:
        writer(out, value)
    except (struct.error, UnicodeEncodeError) as error:
        raise CodecError(f"{value!r} is no {type(value).__name__}: {error}") from error


def encoded(value: Any) -> bytes:
    """`value` alone."""
    out = bytearray()
    encode(out, value)
    return bytes(out)


def _writer_of(value: Any) -> Writer:
    for kind in type(value).__mro__:
        if kind in _WRITE:
            return _WRITE[kind]
    raise CodecError(f"{type(value).__name__} has no AMQP type")


def _write_bool(out: bytearray, value: bool) -> None:
    out.append(0x41 if value else 0x42)


def _write_packed(code: int, layout: str) -> Writer:
    pack = struct.Struct(">B" + layout).pack
    return lambda out, value: out.extend(pack(code, value))


def _write_small(zero: int | None, small: int, large: int, layout: str, low: int, high: int) -> Writer:
    pack_small, pack_large = struct.Struct(">B" + ("b" if low else "B")).pack, struct.Struct(">B" + layout).pack

    def write(out: bytearray, value: int) -> None:
        if zero is not None and value == 0:
            out.append(zero)
        elif low <= value <= high:
            out += pack_small(small, value)
        else:
            out += pack_large(large, value)

    return write


def _write_variable(small: int, large: int, raw_of: Callable[[Any], bytes]) -> Writer:
    pack = struct.Struct(">BI").pack

    def write(out: bytearray, value: Any) -> None:
        raw = raw_of(value)
        if len(raw) < 256:
            out.append(small)
            out.append(len(raw))
        else:
            out += pack(large, len(raw))
        out += raw

    return write


def _write_compound(out: bytearray, small: int, large: int, count: int, body: bytes | bytearray) -> None:
    if len(body) < 255 and count < 256:
        out += bytes((small, len(body) + 1, count))
    else:
        out.append(large)
        out += struct.pack(">II", len(body) + 4, count)
    out += body


def _write_list(out: bytearray, value: list[Any] | tuple[Any, ...]) -> None:
    if not value:
        out.append(0x45)
        return
    body = bytearray()
    for element in value:
        encode(body, element)
    _write_compound(out, 0xC0, 0xD0, len(value), body)


def _write_map(out: bytearray, value: dict[Any, Any]) -> None:
    body = bytearray()
    for key, element in value.items():
        encode(body, key)
        encode(body, element)
    _write_compound(out, 0xC1, 0xD1, 2 * len(value), body)


def _write_described(out: bytearray, value: Described) -> None:
    out.append(0x00)
    encode(out, value.descriptor)
    encode(out, value.value)


def _write_array(out: bytearray, value: Array) -> None:
    body = bytearray()
    elements: list[Any] = list(value)
    if elements and isinstance(elements[0], Described):
        body.append(0x00)
        encode(body, elements[0].descriptor)
        elements = [element.value for element in elements]
    if not elements:
        body.append(value.constructor)
    else:
        code, write = _element_form(elements[0])
        body.append(code)
        for element in elements:
            if type(element) is not type(elements[0]):
                raise CodecError(
                    f"an array holds one type, got {type(elements[0]).__name__} and {type(element).__name__}"
                )
            write(body, element)
    _write_compound(out, 0xE0, 0xF0, len(value), body)


def _element_form(first: Any) -> tuple[int, Writer]:
    """Constructor and writer of an array's elements: each type in its widest form, written without its constructor."""
    kind = next((kind for kind in type(first).__mro__ if kind in _ELEMENT), None)
    if kind is None:
        raise CodecError(f"{type(first).__name__} has no AMQP type")
    if kind is Decimal:
        code = {4: 0x74, 8: 0x84, 16: 0x94}[len(first)]
        return code, lambda out, value: out.extend(value)
    return _ELEMENT[kind]


def _raw_packed(layout: str) -> Writer:
    pack = struct.Struct(">" + layout).pack
    return lambda out, value: out.extend(pack(value))


def _raw_variable(raw_of: Callable[[Any], bytes]) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        raw = raw_of(value)
        out += struct.pack(">I", len(raw))
        out += raw

    return write


def _raw_compound(out: bytearray, value: Any) -> None:
    body = bytearray()
    flat = [part for pair in value.items() for part in pair] if isinstance(value, dict) else value
    for element in flat:
        encode(body, element)
    out += struct.pack(">II", len(body) + 4, len(flat))
    out += body


def _raw_array(out: bytearray, value: Array) -> None:
    whole = bytearray()
    _write_array(whole, value)
    if whole[0] == 0xE0:  # an element's form is the wide one
        out += struct.pack(">II", whole[1] + 3, whole[2])
        out += whole[3:]
    else:
        out += whole[1:]


def _utf8(value: str) -> bytes:
    return value.encode("utf-8")


def _ascii(value: str) -> bytes:
    return value.encode("ascii")


def _write_decimal(out: bytearray, value: Decimal) -> None:
    out.append({4: 0x74, 8: 0x84, 16: 0x94}[len(value)])
    out += value


def _write_char(out: bytearray, value: str) -> None:
    out += struct.pack(">BI", 0x73, ord(value))


def _write_null(out: bytearray, _value: None) -> None:
    out.append(0x40)


_WRITE: dict[type, Writer] = {
    type(None): _write_null,
    bool: _write_bool,
    UByte: _write_packed(0x50, "B"),
    UShort: _write_packed(0x60, "H"),
    UInt: _write_small(0x43, 0x52, 0x70, "I", 0, 255),
    ULong: _write_small(0x44, 0x53, 0x80, "Q", 0, 255),
    Byte: _write_packed(0x51, "b"),
    Short: _write_packed(0x61, "h"),
    Int: _write_small(None, 0x54, 0x71, "i", -128, 127),
    int: _write_small(None, 0x55, 0x81, "q", -128, 127),
    Float: _write_packed(0x72, "f"),
    float: _write_packed(0x82, "d"),
    Timestamp: _write_packed(0x83, "q"),
    Char: _write_char,
    Decimal: _write_decimal,
    uuid.UUID: lambda out, value: out.extend(b"\x98" + value.bytes),
    bytes: _write_variable(0xA0, 0xB0, bytes),
    bytearray: _write_variable(0xA0, 0xB0, bytes),
    memoryview: _write_variable(0xA0, 0xB0, bytes),
    str: _write_variable(0xA1, 0xB1, _utf8),
    Symbol: _write_variable(0xA3, 0xB3, _ascii),
    list: _write_list,
    tuple: _write_list,
    dict: _write_map,
    Array: _write_array,
    Described: _write_described,
}

_ELEMENT: dict[type, tuple[int, Writer]] = {
    type(None): (0x40, lambda _out, _value: None),
    bool: (0x56, lambda out, value: out.append(1 if value else 0)),
    UByte: (0x50, _raw_packed("B")),
    UShort: (0x60, _raw_packed("H")),
    UInt: (0x70, _raw_packed("I")),
    ULong: (0x80, _raw_packed("Q")),
    Byte: (0x51, _raw_packed("b")),
    Short: (0x61, _raw_packed("h")),
    Int: (0x71, _raw_packed("i")),
    int: (0x81, _raw_packed("q")),
    Float: (0x72, _raw_packed("f")),
    float: (0x82, _raw_packed("d")),
    Timestamp: (0x83, _raw_packed("q")),
    Char: (0x73, lambda out, value: out.extend(struct.pack(">I", ord(value)))),
    Decimal: (0x94, lambda out, value: out.extend(value)),
    uuid.UUID: (0x98, lambda out, value: out.extend(value.bytes)),
    bytes: (0xB0, _raw_variable(bytes)),
    str: (0xB1, _raw_variable(_utf8)),
    Symbol: (0xB3, _raw_variable(_ascii)),
    list: (0xD0, _raw_compound),
    dict: (0xD1, _raw_compound),
    Array: (0xF0, _raw_array),
}
