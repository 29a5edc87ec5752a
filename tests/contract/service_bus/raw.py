"""A small AMQP client that says exactly what a test wants said, also what no client should say."""

import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote_plus

from localcloud.emulators.service_bus.codec import frames, message
from localcloud.emulators.service_bus.codec.types import Symbol, UByte, UInt, UShort
from localcloud.emulators.service_bus.protocol.access import sign

PATIENCE_S = 10.0


class Frame(NamedTuple):
    """One performative that came in."""

    code: int
    channel: int
    fields: list[Any]
    payload: bytes


class Raw:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._splitter = frames.Splitter(1 << 20)
        self._ready: list[Frame] = []
        self.heartbeats = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def say(self, data: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(data)

    def exactly(self, count: int) -> bytes:
        """So many bytes."""
        found = b""
        while len(found) < count:
            part = self.socket.recv(count - len(found))
            if not part:
                raise EOFError(f"the server hung up after {found!r}")
            found += part
        return found

    def frame(self, *codes: int) -> Frame:
        """The next frame, of one of the codes: others are passed over. Raises EOFError when the server hangs up."""
        while True:
            while self._ready:
                found = self._ready.pop(0)
                if not codes or found.code in codes:
                    return found
                if found.code == frames.CLOSE:
                    raise EOFError(f"the server closed the connection: {found.fields[0]}")
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError("the server hung up")
            for _, channel, start, end in self._splitter.feed(data):
                body = self._splitter.buffer[start:end]
                if not body:
                    self.heartbeats += 1
                    continue
                code, fields, at = frames.read_performative(body)
                self._ready.append(Frame(code, channel, fields, body[at:]))

    def write(self, code: int, fields: Sequence[Any], channel: int = 0) -> None:
        """One performative."""
        self.say(frames.write(code, fields, channel=channel))

    # --- the usual beginning ---

    def secure(self, mechanism: str = "ANONYMOUS", response: bytes = b"") -> int:
        """SASL; the outcome's code."""
        self.say(
            frames.SASL_HEADER + frames.write(frames.SASL_INIT, [Symbol(mechanism), response, None], kind=frames.SASL)
        )
        assert self.exactly(8) == frames.SASL_HEADER
        assert self.frame().code == frames.SASL_MECHANISMS
        return int(self.frame(frames.SASL_OUTCOME).fields[0])

    def header(self) -> None:
        """The AMQP header, both ways."""
        self.say(frames.AMQP_HEADER)
        assert self.exactly(8) == frames.AMQP_HEADER

    def open(self, *, largest: int = 1 << 20, idle_ms: int | None = None) -> list[Any]:
        """The open that came back."""
        idle = None if idle_ms is None else UInt(idle_ms)
        self.write(frames.OPEN, ["raw", "localhost", UInt(largest), UShort(100), idle, None, None, None, None, None])
        return self.frame(frames.OPEN).fields

    def begin(self, channel: int = 0, *, window: int = 65536) -> list[Any]:
        """The begin that came back."""
        self.write(frames.BEGIN, [None, UInt(0), UInt(window), UInt(65536), UInt(255), None, None, None], channel)
        return self.frame(frames.BEGIN).fields

    def start(self, *, key: str = "SAS_KEY_VALUE", largest: int = 1 << 20, window: int = 65536) -> Self:
        """All of it, with a key by SASL PLAIN."""
        assert self.secure("PLAIN", b"\0RootManageSharedAccessKey\0" + key.encode()) == 0
        self.header()
        self.open(largest=largest)
        self.begin(window=window)
        return self

    # --- links ---

    def sender(self, address: str, handle: int = 0, *, channel: int = 0) -> list[Any]:
        """Attach a link that we send on; the attach that came back, followed by its credit."""
        source = frames.composite(frames.SOURCE, [f"s{handle}"])
        target = frames.composite(frames.TARGET, [address])
        fields = [f"s{handle}-{address}", UInt(handle), False, UByte(2), UByte(0), source, target, None, None, UInt(0)]
        self.write(frames.ATTACH, fields + [None] * 4, channel)
        return self.frame(frames.ATTACH).fields

    def receiver(
        self,
        address: str,
        handle: int = 1,
        *,
        mode: int = 0,
        filters: Any = None,
        properties: Any = None,
        channel: int = 0,
    ) -> list[Any]:
        """Attach a link that we receive on; the attach that came back."""
        source = frames.composite(frames.SOURCE, [address, None, None, None, None, None, None, filters])
        target = frames.composite(frames.TARGET, [f"r{handle}"])
        fields = [f"r{handle}-{address}", UInt(handle), True, UByte(mode), UByte(1), source, target]
        self.write(frames.ATTACH, [*fields, *[None] * 6, properties], channel)
        return self.frame(frames.ATTACH).fields

    def flow(
        self,
        handle: int,
        credit: int,
        *,
        seen: int = 0,
        drain: bool = False,
        echo: bool = False,
        window: int = 65536,
        next_in: int = 0,
    ) -> None:
        """Credit for a link, and the session's window."""
        session = [UInt(next_in), UInt(window), UInt(0), UInt(65536)]
        self.write(frames.FLOW, [*session, UInt(handle), UInt(seen), UInt(credit), None, drain, echo, None])

    def transfer(
        self, handle: int, number: int, payload: bytes, *, settled: bool = False, more: bool = False, form: int = 0
    ) -> None:
        """One transfer frame."""
        fields = [UInt(handle), UInt(number), number.to_bytes(4, "big"), UInt(form), settled, more, *[None] * 5]
        body = bytearray(frames.write(frames.TRANSFER, fields)) + payload
        body[:4] = len(body).to_bytes(4, "big")
        self.say(bytes(body))

    def put_token(self, token: str, audience: str, kind: str) -> dict[Any, Any]:
        """Show a token to $cbs over links of its own; the answer's application properties."""
        self.sender("$cbs", 100)
        self.receiver("$cbs", 101)
        self.flow(101, 10)
        out = bytearray()
        message.write_section(out, message.PROPERTIES, ["request-1"])
        message.write_section(out, message.APPLICATION, {"operation": "put-token", "type": kind, "name": audience})
        message.write_section(out, message.VALUE, token)
        self.transfer(100, 0, bytes(out))
        answer = message.read(self.frame(frames.TRANSFER).payload)
        assert answer.properties[message.CORRELATION_ID] == "request-1"
        for handle in (100, 101):
            self.write(frames.DETACH, [UInt(handle), True, None])
        return answer.application


def body(data: bytes = b"x", **application: Any) -> bytes:
    """An encoded message."""
    out = bytearray()
    if application:
        message.write_section(out, message.APPLICATION, application)
    message.write_section(out, message.DATA, data)
    return bytes(out)


def signature(
    scope: str, name: str = "RootManageSharedAccessKey", key: str = "SAS_KEY_VALUE", *, ends: float | None = None
) -> str:
    """A shared access signature."""
    encoded, expiry = quote_plus(scope), str(int(time.time() + 3600 if ends is None else ends))
    return f"SharedAccessSignature sr={encoded}&sig={quote_plus(sign(encoded, expiry, key))}&se={expiry}&skn={name}"
