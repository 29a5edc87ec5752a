"""What a door must understand of PostgreSQL's protocol: how a connection begins, and how a server refuses.

https://www.postgresql.org/docs/18/protocol-message-formats.html
"""

import struct
from asyncio import IncompleteReadError, StreamReader
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

VERSION: Final = 3 << 16  # 3.0, which every server from 7.4 to 18 speaks
CANCEL: Final = 80877102
TLS: Final = 80877103
GSS: Final = 80877104
MAX_START_BYTES: Final = 10_000  # PostgreSQL's own limit
OK: Final = 0
CLEARTEXT: Final = 3
SASL: Final = 10
SASL_GOES_ON: Final = 11
SASL_ENDS: Final = 12


class ProtocolError(Exception):
    """What arrived is no PostgreSQL."""


class Refusal(Exception):  # noqa: N818 -- an answer, not a failure
    """FATAL: the connection ends with these words."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.detail = code, message, detail


@dataclass(frozen=True, slots=True)
class Start:
    """The first packet of a connection: a request code (or the protocol's version) and what follows it."""

    code: int
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        """Of a start-up message: user, database, options, …"""
        *parts, last, end = self.body.split(b"\0") if self.body.endswith(b"\0") else [b"?", b"?"]
        words = [part.decode("utf-8", "replace") for part in parts]
        if last or end or len(words) % 2 or "" in words[::2]:
            raise ProtocolError("start-up parameters must come in pairs, with an empty name at their end")
        return dict(zip(words[::2], words[1::2], strict=True))


async def read_start(reader: StreamReader) -> Start:
    """The first packet. ProtocolError for what cannot be one, EOFError when nothing came."""
    try:
        length, code = struct.unpack("!ii", await reader.readexactly(8))
        if not 8 <= length <= MAX_START_BYTES:
            raise ProtocolError("invalid length of startup packet")
        return Start(code, await reader.readexactly(length - 8))
    except IncompleteReadError as error:
        raise EOFError from error


def start(code: int, body: bytes) -> bytes:
    """The same, to be sent."""
    return struct.pack("!ii", len(body) + 8, code) + body


def start_up(parameters: Mapping[str, str]) -> bytes:
    """A start-up message."""
    body = b"".join(name.encode() + b"\0" + value.encode() + b"\0" for name, value in parameters.items())
    return start(VERSION, body + b"\0")


async def read_message(reader: StreamReader, most: int) -> tuple[bytes, bytes]:
    """The type (one byte) and the body of the next message; ProtocolError when it is longer than `most`."""
    try:
        kind, length = struct.unpack("!ci", await reader.readexactly(5))
        if not 4 <= length <= most + 4:
            raise ProtocolError(f"invalid message length {length}")
        return kind, await reader.readexactly(length - 4)
    except IncompleteReadError as error:
        raise EOFError from error


def message(kind: bytes, body: bytes) -> bytes:
    """One message."""
    return kind + struct.pack("!i", len(body) + 4) + body


def authentication(code: int, body: bytes = b"") -> bytes:
    """What a server says while it authenticates."""
    return message(b"R", struct.pack("!i", code) + body)


def newest_version_is_ours(unknown: list[str]) -> bytes:
    """The answer to a newer minor version, or to protocol options that nobody here knows."""
    names = b"".join(name.encode() + b"\0" for name in unknown)
    return message(b"v", struct.pack("!ii", 0, len(unknown)) + names)


def fatal(refusal: Refusal) -> bytes:
    """An ErrorResponse."""
    fields = {"S": "FATAL", "V": "FATAL", "C": refusal.code, "M": refusal.message, "D": refusal.detail}
    body = b"".join(name.encode() + text.encode() + b"\0" for name, text in fields.items() if text)
    return message(b"E", body + b"\0")
