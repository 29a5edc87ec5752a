"""One AMQP connection: headers, SASL, open, heartbeats, close, and frames to their sessions.

A fault ends what it concerns and nothing else: a malformed frame this connection, with the condition that says so.
What one read of the socket asks for is all done first; what the broker must have on disk is then waited for once, and
answered once.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from localcloud.emulators.service_bus.broker.interface import Broker
from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.codec.types import CodecError, Symbol, UInt, UShort
from localcloud.emulators.service_bus.protocol import sasl
from localcloud.emulators.service_bus.protocol.access import Access
from localcloud.emulators.service_bus.protocol.errors import Condition, ProtocolError, SessionError
from localcloud.emulators.service_bus.protocol.patience import Patience
from localcloud.emulators.service_bus.protocol.session import Session

log = logging.getLogger("service_bus")

LARGEST_FRAME = 65536
"""Bytes; Service Bus' own."""
MOST_CHANNELS = 255
_TRANSFER, _DISPOSITION = b"\x00\x53\x14", b"\x00\x53\x15"
_DELIVERIES = {_TRANSFER, _DISPOSITION}
"""How the frames begin that are read without looking at any other kind."""
MOST_WAITING = 4 << 20
"""Bytes that a peer may leave unread before deliveries to it pause."""
READ_BYTES = 1 << 18
"""Of one read at most."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What connections of one server share."""

    broker: Broker
    access: Callable[[], Access]
    clock: Callable[[], float]
    idle_s: float = 240.0
    """A peer that is silent for longer is closed (Service Bus: four minutes)."""
    inbox: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BYTES)))
    """Where all of them read to, as they share a loop: what came in is taken out before the next read. (Otherwise each
    read, most of 30 bytes, would allocate room for all that could come.)"""


class Connection(asyncio.BufferedProtocol):
    """The server's side of one connection."""

    def __init__(self, settings: Settings, everyone: "set[Connection]") -> None:
        self.settings = settings
        self.broker = settings.broker
        self.access = settings.access()
        self.out = bytearray()
        self.paused = False
        self.peer_largest = frames.SMALLEST_MAX_FRAME
        self._everyone = everyone
        self._step: Callable[[bytes], bytes] = self._header
        self._splitter = frames.Splitter(LARGEST_FRAME)
        self._sessions: dict[int, Session] = {}
        self._opened = self._closing = self._secured = self._flushing = False
        self._rest = b""

    # --- the socket ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has come."""
        self.transport = cast("asyncio.Transport", transport)
        self.loop = asyncio.get_running_loop()
        self._patience = Patience(self, self.settings.idle_s)
        self.lost: asyncio.Future[None] = self.loop.create_future()
        self._everyone.add(self)
        self.transport.set_write_buffer_limits(high=MOST_WAITING)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """For the next read of the socket."""
        return self.settings.inbox

    def buffer_updated(self, nbytes: int) -> None:
        """One read of the socket."""
        self.received(bytes(self.settings.inbox[:nbytes]))

    def received(self, data: bytes) -> None:
        """What a peer has said."""
        self._patience.heard = self.loop.time()
        if self._closing:
            return
        self._flushing = True  # at the end of this
        try:
            while data and not self._closing:
                data = self._step(data)
            for session in self._sessions.values():
                session.answers.after_read()
        except (ProtocolError, CodecError) as error:
            self.close(error.condition, str(error))
        except Exception:
            log.exception("a connection is closed after a fault of ours")
            self.close(Condition.INTERNAL, "The service could not process the request.")
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The peer is gone."""
        self._closing = True
        self._everyone.discard(self)
        self.lost.set_result(None)
        self._patience.stop()
        for session in self._sessions.values():
            session.gone()
        self._sessions.clear()

    def pause_writing(self) -> None:
        """The peer does not read: no more deliveries."""
        self.paused = True
        self._credit_again()

    def resume_writing(self) -> None:
        """It reads again."""
        self.paused = False
        self._credit_again()

    def _credit_again(self) -> None:
        for session in self._sessions.values():
            session.credit_again()

    def flush(self) -> None:
        """Write what stands in `out`."""
        self._flushing = False
        if self.out and not self.transport.is_closing():
            self.transport.write(bytes(self.out))
        self.out.clear()

    def flush_soon(self) -> None:
        """Once this turn of the loop is over: for what is written outside a read."""
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self.flush)

    def say(self, frame: bytes) -> bool:
        """A frame at once; False: there is nobody to hear it any more."""
        if self._closing:
            return False
        self.out += frame
        self.flush()
        return True

    def close(self, condition: str | None = None, text: str = "") -> None:
        """Say close (with why) and hang up."""
        if self._closing:
            return
        self._closing = True
        for session in self._sessions.values():
            session.gone()
        self._sessions.clear()
        if self._step == self._frames:  # before the header there is nothing that a peer could read
            if not self._opened:
                self._write_open(None)
            self.out += frames.write(frames.CLOSE, [frames.error(condition, text) if condition else None])
        self.hang_up()

    def hang_up(self) -> None:
        """Without another word."""
        self._closing = True
        if self.transport.is_closing():
            return
        self.flush()
        self.transport.close()
        self._patience.leaving()

    # --- headers and SASL ---

    def _header(self, data: bytes) -> bytes:
        data, self._rest = self._rest + data, b""
        if len(data) < 8 and frames.AMQP_HEADER.startswith(data[:4]):
            self._rest = data
            return b""
        head = data[:8]
        if head == frames.SASL_HEADER and not self._secured:
            self.out += head + frames.write(frames.SASL_MECHANISMS, [sasl.MECHANISMS], kind=frames.SASL)
            self._step = self._sasl
        elif head == frames.AMQP_HEADER:
            self.out += head
            self._step = self._frames
        else:  # part 2 § 2.2: say which header we take, and hang up
            self.out += frames.AMQP_HEADER if self._secured else frames.SASL_HEADER
            self.hang_up()
        return data[8:]

    def _sasl(self, data: bytes) -> bytes:
        """One frame, the sasl-init; what follows it is the next header already."""
        data, self._rest = self._rest + data, b""
        found = sasl.read_init(data, LARGEST_FRAME)
        if found is None:
            self._rest = data
            return b""
        fields, following = found
        accepted = sasl.accepts(self.access, fields)
        outcome = sasl.OK if accepted else sasl.AUTH_FAILED
        self.out += frames.write(frames.SASL_OUTCOME, [outcome, None], kind=frames.SASL)
        if not accepted:
            self.hang_up()
        self._secured = True
        self._step = self._header
        return following

    # --- frames ---

    def _frames(self, data: bytes) -> bytes:
        splitter = self._splitter
        for kind, channel, start, end in splitter.feed(data):
            if kind != frames.AMQP:
                raise ProtocolError(Condition.FRAMING, f"frames of type {kind} do not belong here")
            if start == end:
                continue  # a heartbeat
            body = splitter.buffer[start:end]
            session = self._sessions.get(channel)
            head = body[:3]
            if session is None or head not in _DELIVERIES:
                self._frame(channel, session, body)
            elif head == _TRANSFER:
                self._guard(session, session.transfer, body)
            else:
                self._guard(session, session.disposition, body)
            if self._closing:
                break
        return b""

    def _frame(self, channel: int, session: Session | None, body: bytes) -> None:
        code, fields, _ = frames.read_performative(body)
        if not self._opened and code != frames.OPEN:
            raise ProtocolError(Condition.NOT_ALLOWED, "a connection starts with open")
        if code == frames.OPEN:
            self._open(fields)
        elif code == frames.CLOSE:
            self.close()
        elif code == frames.BEGIN:
            self._begin(channel, session, fields)
        elif session is None:
            return  # what still comes in on a channel that has ended; clients do send it
        elif code == frames.END:
            session.gone()
            del self._sessions[channel]
            self.out += frames.write(frames.END, [None], channel=channel)
        elif code == frames.TRANSFER:
            self._guard(session, session.transfer, body)
        elif code == frames.DISPOSITION:
            self._guard(session, session.disposition, body)
        else:
            self._guard(session, session.performative, code, fields)

    def _guard(self, session: Session, act: Callable[..., None], *arguments: Any) -> None:
        try:
            act(*arguments)
        except SessionError as error:
            session.gone()
            self._sessions.pop(session.channel, None)
            self.out += frames.write(frames.END, [frames.error(error.condition, error.text)], channel=session.channel)

    def _open(self, fields: list[Any]) -> None:
        if self._opened:
            raise ProtocolError(Condition.ILLEGAL_STATE, "a connection is opened once")
        largest, idle = fields[2], fields[4]
        self.peer_largest = min(int(largest) if isinstance(largest, int) else 0xFFFFFFFF, LARGEST_FRAME)
        if self.peer_largest < frames.SMALLEST_MAX_FRAME:
            self.peer_largest = frames.SMALLEST_MAX_FRAME
            raise ProtocolError(
                Condition.INVALID_FIELD, f"max-frame-size is at least {frames.SMALLEST_MAX_FRAME}, got {largest}"
            )
        self._write_open(fields[1])
        self._patience.opened(idle)

    def _write_open(self, hostname: Any) -> None:
        self._opened = True
        idle_ms = UInt(round(self.settings.idle_s * 1000))
        host = hostname if isinstance(hostname, str) else None
        properties = {Symbol("product"): "Service Bus emulator"}
        limits = [UInt(LARGEST_FRAME), UShort(MOST_CHANNELS - 1), idle_ms]
        self.out += frames.write(frames.OPEN, ["service-bus", host, *limits, *[None] * 4, properties])

    def _begin(self, channel: int, session: Session | None, fields: list[Any]) -> None:
        if session is not None:
            raise ProtocolError(Condition.ILLEGAL_STATE, f"channel {channel} has a session already")
        if channel >= MOST_CHANNELS:
            raise ProtocolError(Condition.FRAMING, f"channels go from 0 to {MOST_CHANNELS - 1}, got {channel}")
        self._sessions[channel] = Session(self, channel, fields)
