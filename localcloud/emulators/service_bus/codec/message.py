"""AMQP 1.0 messages: their sections. Source: OASIS AMQP 1.0, part 3.

What no receiver may see changed (properties, application properties, body, footer: the *bare* message) stays raw
bytes; only the header and the annotations around it are written anew. The properties are read once, to be looked at.
"""

import struct
from typing import Any

from localcloud.emulators.service_bus.codec.reading import decode, skip
from localcloud.emulators.service_bus.codec.types import CodecError, Symbol, Timestamp
from localcloud.emulators.service_bus.codec.writing import encode

HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, PROPERTIES, APPLICATION, DATA, SEQUENCE, VALUE, FOOTER = range(0x70, 0x79)
BATCH_FORMAT = 0x80013700
"""Service Bus' message-format of a batch: each data section holds one whole encoded message."""

# Places in the properties section.
(MESSAGE_ID, USER_ID, TO, SUBJECT, REPLY_TO, CORRELATION_ID, CONTENT_TYPE, CONTENT_ENCODING,
 EXPIRY, CREATED, GROUP_ID, GROUP_SEQUENCE, REPLY_TO_GROUP_ID) = range(13)  # fmt: skip

_COMPOUND = {0x45, 0xC0, 0xD0}
_MAPS = {0xC1, 0xD1}
_BINARY = {0xA0, 0xB0}
_FORM = {
    HEADER: _COMPOUND, DELIVERY_ANNOTATIONS: _MAPS, ANNOTATIONS: _MAPS, PROPERTIES: _COMPOUND, APPLICATION: _MAPS,
    DATA: _BINARY, SEQUENCE: _COMPOUND, FOOTER: _MAPS,
}  # fmt: skip


class Sections:
    """One message as it came."""

    __slots__ = ("annotations", "application", "bare", "header", "properties", "size", "tail")

    def __init__(self, size: int) -> None:
        self.size = size
        """Bytes of the whole message."""
        self.header: list[Any] = []
        """durable, priority, ttl (ms), first-acquirer, delivery-count; shorter when the end was left out."""
        self.annotations: dict[Any, Any] = {}
        self.properties: list[Any] = []
        """By the places above; shorter when the end was left out."""
        self.application: dict[Any, Any] = {}
        self.bare = b""
        """Sections properties to footer, untouched."""
        self.tail = 0
        """Where body and footer start in `bare`."""


def read(payload: bytes) -> Sections:
    """The sections of one message. Refuses what is not one: CodecError."""
    found = Sections(len(payload))
    position, end = 0, len(payload)
    first = last = tail = -1  # of the bare message: its start and end so far, where its body starts
    while position < end:
        code, start = _section(payload, position)
        stop = _look(found, code, payload, start)
        if code >= PROPERTIES:
            if first < 0:
                first = position
            elif position != last:
                raise CodecError("the sections of the bare message stand apart")
            if code >= DATA and tail < 0:
                tail = position
            last = stop
        position = stop
    if first >= 0:
        found.bare = payload[first:last]
        found.tail = (tail if tail >= 0 else last) - first
    return found


def _look(found: Sections, code: int, payload: bytes, start: int) -> int:
    """Read or check the section whose value is at `start`; answers where it ends."""
    if code in _FORM and payload[start] not in _FORM[code]:
        raise CodecError(f"section 0x{code:02x} of a message cannot start with 0x{payload[start]:02x}")
    if code == DATA:
        return skip(payload, start)
    value, stop = decode(payload, start)
    if code == HEADER:
        found.header = value
    elif code == ANNOTATIONS:
        found.annotations = value
    elif code == PROPERTIES:
        found.properties = value
    elif code == APPLICATION:
        found.application = value
    return stop


def _section(payload: bytes, position: int) -> tuple[int, int]:
    """Code of the section at `position` and where its value starts."""
    head = payload[position : position + 4]
    if len(head) == 4 and head[0] == 0:
        if head[1] == 0x53 and HEADER <= head[2] <= FOOTER:
            return head[2], position + 3
        if head[1] in {0x80, 0xA3, 0xB3}:
            descriptor, start = decode(payload, position + 1)
            code = _NAMES.get(descriptor, 0) if isinstance(descriptor, str) else descriptor
            if isinstance(code, int) and HEADER <= code <= FOOTER and start < len(payload):
                return int(code), start
    raise CodecError(f"byte {position} of {len(payload)} starts no section of a message")


_NAMES = {
    "amqp:header:list": HEADER, "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": ANNOTATIONS, "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION, "amqp:data:binary": DATA, "amqp:amqp-sequence:list": SEQUENCE,
    "amqp:amqp-value:*": VALUE, "amqp:footer:map": FOOTER,
}  # fmt: skip


def batch(payload: bytes) -> list[bytes]:
    """The encoded messages of a batch. Raises CodecError."""
    found = []
    position, end = 0, len(payload)
    while position < end:
        code, start = _section(payload, position)
        if code == DATA:
            value, position = decode(payload, start)
            if not isinstance(value, bytes):
                raise CodecError("a data section holds bytes")
            found.append(value)
        elif code in {SEQUENCE, VALUE}:
            raise CodecError("a batch holds its messages in data sections")
        else:
            position = decode(payload, start)[1]
    return found


def value_of(payload: bytes) -> Any:
    """The value of a message with an amqp-value body (requests and answers), None without one."""
    position = 0
    while position < len(payload):
        code, start = _section(payload, position)
        if code == VALUE:
            return decode(payload, start)[0]
        position = skip(payload, start) if payload[start] else decode(payload, start)[1]
    return None


def write_section(out: bytearray, code: int, value: Any) -> None:
    """Append one section."""
    out += bytes((0, 0x53, code))
    encode(out, value)


def write_header(out: bytearray, *, durable: bool, priority: int, ttl_ms: int | None, delivery_count: int) -> None:
    """Append the header section: durable, priority, ttl, first-acquirer (false), delivery-count."""
    fields = bytearray((0x41 if durable else 0x42, 0x50, priority))
    fields += b"\x40" if ttl_ms is None else struct.pack(">BI", 0x70, min(ttl_ms, 0xFFFFFFFF))
    fields += b"\x42" + (b"\x43" if not delivery_count else struct.pack(">BI", 0x70, delivery_count))
    out += bytes((0x00, 0x53, HEADER, 0xC0, len(fields) + 1, 5))
    out += fields


def _annotation(name: str, code: int) -> bytes:
    return bytes((0xA3, len(name))) + name.encode() + bytes((code,))


_SEQUENCE_KEY = _annotation("x-opt-sequence-number", 0x81)
_ENQUEUED_KEY = _annotation("x-opt-enqueued-time", 0x83)
_LOCKED_KEY = _annotation("x-opt-locked-until", 0x83)
_SIGNED = struct.Struct(">q").pack


def write_annotations(
    out: bytearray, *, sequence: int, enqueued_ms: int, locked_until_ms: int | None, others: dict[str, Any]
) -> None:
    """Append the message annotations: what the broker says of each message, and `others`."""
    entries = bytearray(_ENQUEUED_KEY + _SIGNED(enqueued_ms) + _SEQUENCE_KEY + _SIGNED(sequence))
    count = 4
    if locked_until_ms is not None:
        entries += _LOCKED_KEY + _SIGNED(locked_until_ms)
        count += 2
    for name, value in others.items():
        encode(entries, Symbol(name))
        encode(entries, value)
        count += 2
    out += b"\x00\x53\x72\xd1" + struct.pack(">II", len(entries) + 4, count)
    out += entries


def milliseconds(seconds: float) -> Timestamp:
    """A time of ours as AMQP has it."""
    return Timestamp(round(seconds * 1000))
