"""AMQP 1.0 frames: how a stream of bytes is cut into them, and the performatives inside.

A frame is `size:u32 doff:u8 type:u8 channel:u16`, an extended header of `4*doff - 8` bytes (ignored), then a described
list and, for transfers, the payload. Source: OASIS AMQP 1.0, part 2.
"""

import struct
from collections.abc import Sequence
from typing import Any

from localcloud.emulators.service_bus.codec.reading import decode
from localcloud.emulators.service_bus.codec.types import CodecError, Described, Symbol, ULong
from localcloud.emulators.service_bus.codec.writing import encode, encoded

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
AMQP, SASL = 0, 1
SMALLEST_MAX_FRAME = 512
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SOURCE, TARGET = 0x28, 0x29
ERROR = 0x1D
RECEIVED, ACCEPTED, REJECTED, RELEASED, MODIFIED = range(0x23, 0x28)
SASL_MECHANISMS, SASL_INIT, SASL_CHALLENGE, SASL_RESPONSE, SASL_OUTCOME = range(0x40, 0x45)

# How many fields each performative has: what a peer leaves out at the end is null.
FIELDS = {
    OPEN: 10, BEGIN: 8, ATTACH: 14, FLOW: 11, TRANSFER: 11, DISPOSITION: 6, DETACH: 3, END: 1, CLOSE: 1,
    SASL_MECHANISMS: 1, SASL_INIT: 3, SASL_CHALLENGE: 1, SASL_RESPONSE: 1, SASL_OUTCOME: 2,
}  # fmt: skip

# Descriptors may be sent by name; everybody uses the numbers.
_BY_NAME = {
    "amqp:open:list": OPEN, "amqp:begin:list": BEGIN, "amqp:attach:list": ATTACH, "amqp:flow:list": FLOW,
    "amqp:transfer:list": TRANSFER, "amqp:disposition:list": DISPOSITION, "amqp:detach:list": DETACH,
    "amqp:end:list": END, "amqp:close:list": CLOSE, "amqp:sasl-init:list": SASL_INIT,
    "amqp:sasl-response:list": SASL_RESPONSE, "amqp:error:list": ERROR, "amqp:source:list": SOURCE,
    "amqp:target:list": TARGET, "amqp:received:list": RECEIVED, "amqp:accepted:list": ACCEPTED,
    "amqp:rejected:list": REJECTED, "amqp:released:list": RELEASED, "amqp:modified:list": MODIFIED,
}  # fmt: skip

_HEADER = struct.Struct(">IBBH")


class FramingError(CodecError):
    """The stream cannot be cut into frames any more."""

    condition = "amqp:connection:framing-error"


class Splitter:
    """Cuts a stream into frames. What is no whole frame yet is kept: at most one frame of `largest` bytes."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, int, int, int]]:
        """Frames that are whole now: (type, channel, start, end) of each body in `self.buffer`. Raises FramingError."""
        self.buffer = buffer = self._rest + data if self._rest else data
        frames = []
        position, length = 0, len(buffer)
        unpack = _HEADER.unpack_from
        while length - position >= 8:
            size, offset, kind, channel = unpack(buffer, position)
            if size > self.largest or size < 8:
                raise FramingError(f"a frame takes 8 to {self.largest} bytes, got {size}")
            if position + size > length:
                break
            if not 2 <= offset <= size >> 2:
                raise FramingError(f"a frame's data offset of {offset} words does not fit its {size} bytes")
            frames.append((kind, channel, position + 4 * offset, position + size))
            position += size
        self._rest = buffer[position:] if position < length else b""
        return frames


def read_performative(body: bytes) -> tuple[int, list[Any], int]:
    """Code, fields (with nulls at the end for what was left out) and where the payload starts. Raises CodecError."""
    described, position = decode_head(body)
    code, fields = described
    wanted = FIELDS[code]
    if len(fields) < wanted:
        fields.extend([None] * (wanted - len(fields)))
    return code, fields, position


def decode_head(body: bytes) -> tuple[tuple[int, list[Any]], int]:
    """The performative at the head of a frame's body."""
    if len(body) > 3 and body[0] == 0 and body[1] == 0x53:  # the short form that every client uses
        code: Any = body[2]
        fields, position = decode(body, 3)
    else:
        value, position = decode(body)
        if not isinstance(value, Described):
            raise CodecError("a frame starts with a described list")
        code, fields = value.descriptor, value.value
    code = _number(code)
    if code not in FIELDS or not isinstance(fields, list):
        raise CodecError("a frame holds a performative of AMQP 1.0, a described list")
    return (code, fields), position


def described(value: Any) -> tuple[int, list[Any]]:
    """Code and fields of a described list (source, outcome, error); code 0 for anything else."""
    if not isinstance(value, Described) or not isinstance(value.value, list):
        return 0, []
    return _number(value.descriptor), value.value


def _number(descriptor: Any) -> int:
    """A descriptor's number, 0 for what is none."""
    if isinstance(descriptor, str):
        return _BY_NAME.get(descriptor, 0)
    return int(descriptor) if isinstance(descriptor, int) else 0


def composite(code: int, fields: Sequence[Any]) -> Described:
    """A described list, to be written as a field of something else."""
    return Described(ULong(code), list(fields))


def write(code: int, fields: Sequence[Any], *, channel: int = 0, kind: int = AMQP) -> bytes:
    """A whole frame. Every field is written, nulls at the end too: some clients index by position."""
    out = bytearray(8)
    out += bytes((0, 0x53, code))
    encode(out, list(fields))
    _HEADER.pack_into(out, 0, len(out), 2, kind, channel)
    return bytes(out)


def error(condition: str, text: str | None, info: dict[Any, Any] | None = None) -> Described:
    """The `error` field of a detach, end, close or rejected outcome."""
    return composite(ERROR, [Symbol(condition), text, info])


def encoded_error(condition: str, text: str) -> bytes:
    """The rejected outcome with an error, for `write_disposition`."""
    return encoded(composite(REJECTED, [error(condition, text)]))
