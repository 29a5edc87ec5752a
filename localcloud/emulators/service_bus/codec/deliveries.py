"""Transfers and dispositions, read and written by hand: no other frames are as many. Source: OASIS AMQP 1.0, part 2.

The usual forms are read here, any other the general way of `frames`.
"""

import struct
from typing import Any

from localcloud.emulators.service_bus.codec.frames import ACCEPTED, AMQP, composite, read_performative
from localcloud.emulators.service_bus.codec.types import CodecError
from localcloud.emulators.service_bus.codec.writing import encoded

_U32 = struct.Struct(">I").unpack_from


def read_transfer(body: bytes) -> tuple[int, int | None, bytes | None, int, bool, bool, bool, int]:
    """Handle, delivery-id, delivery-tag, message-format, settled, more, aborted, and where the payload starts.

    Reads the usual forms by hand, as nothing comes in more often; anything else the general way. Raises CodecError.
    """
    try:
        if body[3] == 0xC0:
            end, position = 5 + body[4], 6
        elif body[3] == 0xD0:
            end, position = 8 + _U32(body, 4)[0], 12
        else:
            return _read_transfer(body)
        handle, position = _uint(body, position)
        delivery_id, position = _uint(body, position)
        tag = None
        if body[position] == 0xA0:
            start = position + 2
            position = start + body[position + 1]
            tag = body[start:position]
        elif body[position] == 0x40:
            position += 1
        else:
            return _read_transfer(body)
        format_, position = _uint(body, position)
        settled, position = _flag(body, position)
        more, position = _flag(body, position)
        if position > end or end > len(body) or body[position:end].strip(b"\x40\x42"):
            return _read_transfer(body)
    except (IndexError, struct.error):
        return _read_transfer(body)
    if handle is None:
        raise CodecError("a transfer names its link's handle")
    return handle, delivery_id, tag, format_ or 0, settled, more, False, end


def _uint(body: bytes, position: int) -> tuple[int | None, int]:
    code = body[position]
    if code == 0x52:
        return body[position + 1], position + 2
    if code == 0x43:
        return 0, position + 1
    if code == 0x70:
        return _U32(body, position + 1)[0], position + 5
    if code == 0x40:
        return None, position + 1
    raise IndexError


def _flag(body: bytes, position: int) -> tuple[bool, int]:
    code = body[position]
    if code in {0x42, 0x40}:
        return False, position + 1
    if code == 0x41:
        return True, position + 1
    if code == 0x56 and body[position + 1] < 2:  # so Microsoft's Python SDK
        return body[position + 1] == 1, position + 2
    raise IndexError


def _read_transfer(body: bytes) -> tuple[int, int | None, bytes | None, int, bool, bool, bool, int]:
    _, fields, position = read_performative(body)
    handle, delivery_id, tag, format_, settled, more = fields[:6]
    numbers = (handle, delivery_id or 0, format_ or 0)
    if not all(isinstance(number, int) for number in numbers) or not isinstance(tag, bytes | None):
        raise CodecError(f"a transfer's handle, delivery-id, tag and format are of other types, got {fields[:4]!r}")
    return handle, delivery_id, tag, format_ or 0, settled is True, more is True, fields[9] is True, position


_TRANSFER_FIRST = struct.Struct(">IBBH3sBBBBIBIBB").pack
_TRANSFER_NEXT = struct.Struct(">IBBH3sBBBBI3sBB5s").pack
_PERFORMATIVE = b"\x00\x53\x14"
_NULLS = b"\x40\x40\x40\x40\x40"
_BOOLEANS = (0x42, 0x41)
_TAILS = {
    (settled, more): bytes((0x43, _BOOLEANS[settled], _BOOLEANS[more])) + _NULLS
    for settled in (0, 1)
    for more in (0, 1)
}


def write_transfer(
    out: bytearray,
    channel: int,
    handle: int,
    delivery_id: int,
    tag: bytes,
    payload: bytes,
    *,
    settled: bool,
    largest: int,
) -> int:
    """Append one delivery as frames of at most `largest` bytes each; answers how many.

    Written by hand: nothing that we write is hotter. Fields: handle, delivery-id, delivery-tag, message-format 0,
    settled, more, then five nulls.
    """
    fields = 21 + len(tag)
    room = largest - 13 - fields
    more = len(payload) > room
    part = payload[:room] if more else payload
    out += _TRANSFER_FIRST(
        13 + fields + len(part), 2, AMQP, channel, _PERFORMATIVE,
        0xC0, fields, 11, 0x70, handle, 0x70, delivery_id, 0xA0, len(tag),
    )  # fmt: skip
    out += tag
    out += _TAILS[settled, more]
    out += part
    frames, start = 1, room
    while more:
        part = payload[start : start + room]
        start += room
        more = start < len(payload)
        out += _TRANSFER_NEXT(
            29 + len(part), 2, AMQP, channel, _PERFORMATIVE,
            0xC0, 16, 11, 0x70, handle, _NULLS[:3], _BOOLEANS[settled], _BOOLEANS[more], _NULLS,
        )  # fmt: skip
        out += part
        frames += 1
    return frames


ACCEPTED_STATE = composite(ACCEPTED, [])
"""What nearly every delivery is settled with."""
_ACCEPTED = encoded(ACCEPTED_STATE)
_LAST = {b"": 5, b"\x40": 6, b"\x41": 6, b"\x42": 6}
"""What may follow the state (batchable, or nothing), and of how many fields the disposition then is."""


def read_disposition(body: bytes) -> tuple[bool, Any, Any, bool, Any]:
    """By a receiver?, first, last (None: the first alone), settled and state of a disposition.

    An accepted state in its usual form is `ACCEPTED_STATE` itself. Raises CodecError.
    """
    try:
        if body[3] != 0xC0 or body[4] + 5 != len(body):
            return _read_disposition(body)
        role, position = _flag(body, 6)
        first, position = _uint(body, position)
        last, position = _uint(body, position)
        settled, position = _flag(body, position)
    except (IndexError, struct.error):
        return _read_disposition(body)
    end = position + len(_ACCEPTED)
    if body[position:end] != _ACCEPTED or _LAST.get(body[end:]) != body[5]:
        return _read_disposition(body)
    return role, first, last, settled, ACCEPTED_STATE


def _read_disposition(body: bytes) -> tuple[bool, Any, Any, bool, Any]:
    role, first, last, settled, state = read_performative(body)[1][:5]
    return role is True, first, last, settled is True, state


_SHORT_DISPOSITION = struct.Struct(">IBBH3sBBBBBIBIB").pack
_LONG_DISPOSITION = struct.Struct(">IBBH3sBIIBBIBIB").pack


def write_disposition(out: bytearray, channel: int, first: int, last: int, *, by_receiver: bool, state: bytes) -> None:
    """Append a settled disposition of the deliveries `first` to `last`; `state` is their encoded outcome."""
    size = 13 + len(state)  # of the fields
    role = _BOOLEANS[by_receiver]
    if size < 255:
        out += _SHORT_DISPOSITION(
            14 + size, 2, AMQP, channel, b"\x00\x53\x15", 0xC0, size + 1, 6, role, 0x70, first, 0x70, last, 0x41
        )
    else:
        out += _LONG_DISPOSITION(
            20 + size, 2, AMQP, channel, b"\x00\x53\x15", 0xD0, size + 4, 6, role, 0x70, first, 0x70, last, 0x41
        )
    out += state
    out += b"\x42"
