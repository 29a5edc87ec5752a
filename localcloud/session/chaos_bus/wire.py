"""An AMQP 1.0 client for many connections in one event loop, which can also stop in the middle of a frame."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

from localcloud.emulators.service_bus.codec import deliveries, frames, message
from localcloud.emulators.service_bus.codec.types import Symbol, UByte, UInt, UShort

PATIENCE_S = 20.0
SENDS, RECEIVES = 0, 1
_SESSION_FILTER = Symbol("com.microsoft:session-filter")
_WINDOW = 1 << 20
_LOGIN = b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: hang up with a reset, whatever is on its way


class GoneError(ConnectionError):
    """The connection has ended, by the broker's death or by our own doing."""


class RefusedError(Exception):
    """The broker said no: always wrong here, but for a session that nobody has messages for."""


class Delivery(NamedTuple):
    """One message that came."""

    number: int
    """Its delivery-id."""
    id: str
    session: str | None
    sequence: int


class Wire(asyncio.Protocol):
    """One connection, one session, a link each way at most."""

    def __init__(self) -> None:
        self.ended = False
        self.credit = asyncio.Event()
        self._on_end: Callable[[], None] = lambda: None
        self.session_id: str | None = None
        """Of the receiving link."""
        self.drained = asyncio.Event()
        self._attached: asyncio.Future[None] | None = None
        self._detached = asyncio.Event()
        self._on_delivery: Callable[[Delivery], None] = lambda _: None
        self._waiting: dict[tuple[bool, int], asyncio.Future[Any]] = {}
        self._sent = self._received = 0
        self._splitter = frames.Splitter(1 << 20)
        self._greeting: bytes | None = b""
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, port: int) -> "Wire":
        """Connected, with a session. Raises GoneError when nobody listens."""
        try:
            _, wire = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        except OSError as error:
            raise GoneError(str(error)) from error
        await wire.until(wire.begun)
        return wire

    async def until(self, what: "asyncio.Future[Any]") -> Any:
        """Wait for an answer; TimeoutError: the broker owes it."""
        async with asyncio.timeout(PATIENCE_S):
            return await what

    # --- the socket ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """All of the greeting at once; the broker answers each part."""
        self.transport = cast("asyncio.Transport", transport)
        init = frames.write(frames.SASL_INIT, [Symbol("PLAIN"), _LOGIN, None], kind=frames.SASL)
        self.transport.write(frames.SASL_HEADER + init + frames.AMQP_HEADER)
        self._write(frames.OPEN, ["chaos", "localhost", UInt(65536), UShort(10), *[None] * 6])
        self._write(frames.BEGIN, [None, UInt(0), UInt(_WINDOW), UInt(_WINDOW), UInt(7), None, None, None])

    def data_received(self, data: bytes) -> None:
        """One read."""
        if self._greeting is not None:
            self._greeting += data
            start = self._greeting.find(frames.AMQP_HEADER)
            if start < 0:
                return
            data, self._greeting = self._greeting[start + 8 :], None
        for _, _, start, end in self._splitter.feed(data):
            if end > start:
                self._frame(self._splitter.buffer[start:end])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Whoever waits is told."""
        self.ended = True
        self._on_end()
        waiting = [self.begun, *self._waiting.values(), *([self._attached] if self._attached else [])]
        for future in waiting:
            if not future.done():
                future.set_exception(GoneError("the connection has ended"))
                future.exception()  # nobody may be waiting any more
        self._waiting.clear()
        for event in (self.credit, self.drained, self._detached):
            event.set()

    def break_off(self, how: Literal["killed", "reset", "torn"] = "killed") -> None:
        """End it at once: as the kernel does for a killed process, with a reset, or after half a transfer frame."""
        if self.ended:
            return
        if self.transport.is_closing():
            how = "killed"
        if how == "torn":
            self.transport.write(_transfer(self._sent, b"\x00\x53\x75\xa0\x04torn")[:20])
        elif how == "reset":
            wire = self.transport.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()
        self.connection_lost(None)

    def _write(self, code: int, fields: list[Any]) -> None:
        if not self.transport.is_closing():
            self.transport.write(frames.write(code, fields))

    def _frame(self, data: bytes) -> None:
        code, fields, start = frames.read_performative(data)
        if code == frames.TRANSFER:
            self._transfer(fields, data[start:])
        elif code == frames.DISPOSITION:
            self._disposition(fields)
        elif code == frames.FLOW:
            self._flow(fields)
        elif code == frames.ATTACH:
            self._attach(fields)
        elif code == frames.BEGIN:
            self.begun.set_result(None)
        elif code == frames.DETACH:
            self._detach(fields)
        elif code in {frames.END, frames.CLOSE}:
            self.transport.abort()

    # --- sending ---

    async def sender(self, address: str) -> None:
        """Attach a link to send on, with credit."""
        source, target = frames.composite(frames.SOURCE, ["chaos"]), frames.composite(frames.TARGET, [address])
        fields = ["send", UInt(SENDS), False, UByte(0), UByte(0), source, target, None, None, UInt(0)]
        await self._attach_with([*fields, *[None] * 4])
        async with asyncio.timeout(PATIENCE_S):
            await self.credit.wait()

    def send(self, payload: bytes) -> "asyncio.Future[Any]":
        """The future has the outcome's code once the broker answers."""
        number, self._sent = self._sent, self._sent + 1
        answer = self._waiting[True, number] = asyncio.get_running_loop().create_future()
        if self.ended:
            answer.set_exception(GoneError("the connection has ended"))
            answer.exception()
        elif not self.transport.is_closing():  # else `connection_lost` answers
            self.transport.write(_transfer(number, payload))
        return answer

    # --- receiving ---

    async def receiver(
        self,
        address: str,
        on_delivery: Callable[[Delivery], None],
        on_end: Callable[[], None] = lambda: None,
        *,
        any_session: bool = False,
        session: str = "",
    ) -> None:
        """Attach a link to receive on with locks: without sessions, from the next free session, or from one by name."""
        self._on_delivery, self._on_end, self._received = on_delivery, on_end, 0
        self._detached.clear()
        wanted = {_SESSION_FILTER: session or None} if any_session or session else None
        source = frames.composite(frames.SOURCE, [address, *[None] * 6, wanted])
        target = frames.composite(frames.TARGET, ["chaos"])
        fields = ["receive", UInt(RECEIVES), True, UByte(0), UByte(0), source, target]
        await self._attach_with([*fields, *[None] * 7], patient=any_session)

    def grant(self, credit: int, *, drain: bool = False) -> None:
        """So much credit in all from here on; `drain`: what is there, then `drained`."""
        self.drained.clear()
        session = [UInt(0), UInt(_WINDOW), UInt(self._sent), UInt(_WINDOW)]
        self._write(
            frames.FLOW, [*session, UInt(RECEIVES), UInt(self._received), UInt(credit), None, drain, False, None]
        )

    def settle(self, number: int, code: int) -> "asyncio.Future[Any]":
        """The future has the code that the broker answers with."""
        answer = self._waiting[False, number] = asyncio.get_running_loop().create_future()
        if self.ended:
            answer.set_exception(GoneError("the connection has ended"))
            answer.exception()
        else:
            self._write(frames.DISPOSITION, [True, UInt(number), None, False, frames.composite(code, []), None])
        return answer

    async def leave(self) -> None:
        """Detach the receiving link: its session is free again."""
        self._write(frames.DETACH, [UInt(RECEIVES), True, None])
        async with asyncio.timeout(PATIENCE_S):
            await self._detached.wait()
        if self.ended:
            raise GoneError("the connection has ended")

    # --- what comes in ---

    async def _attach_with(self, fields: list[Any], *, patient: bool = False) -> None:
        if self.ended:
            raise GoneError("the connection has ended")
        self._attached = asyncio.get_running_loop().create_future()
        self._write(frames.ATTACH, fields)
        await (self._attached if patient else self.until(self._attached))  # a session may be free only later

    def _attach(self, fields: list[Any]) -> None:
        source = frames.described(fields[5])[1]
        if not source or self._attached is None or self._attached.done():
            return  # refused: a detach follows and says why
        filters = source[7] if len(source) > 7 else None
        self.session_id = filters.get(_SESSION_FILTER) if isinstance(filters, dict) else None
        self._attached.set_result(None)

    def _detach(self, fields: list[Any]) -> None:
        why = frames.described(fields[2])[1]
        if self._attached is not None and not self._attached.done():
            self._attached.set_exception(RefusedError(str(why[:2])))
        self._detached.set()

    def _transfer(self, fields: list[Any], payload: bytes) -> None:
        if self.ended:
            return
        self._received += 1
        found = message.read(payload)
        properties = found.properties + [None] * 13
        session = properties[message.GROUP_ID]
        sequence = int(found.annotations["x-opt-sequence-number"])
        self._on_delivery(Delivery(int(fields[1]), str(properties[message.MESSAGE_ID]), session, sequence))

    def _disposition(self, fields: list[Any]) -> None:
        first = int(fields[1])
        last = first if fields[2] is None else int(fields[2])
        code = frames.described(fields[4])[0]
        for number in range(first, last + 1):
            answer = self._waiting.pop((fields[0] is True, number), None)
            if answer is not None and not answer.done():
                answer.set_result(code)

    def _flow(self, fields: list[Any]) -> None:
        if fields[4] is None or fields[6] is None:
            return
        if int(fields[4]) == SENDS:
            self.credit.set()
        elif int(fields[6]) == 0:
            self.drained.set()


def body(number: str, session: str | None) -> bytes:
    """A message with an id of its own and a body of a few bytes."""
    out = bytearray()
    properties: list[Any] = [None] * 13
    properties[message.MESSAGE_ID], properties[message.GROUP_ID] = number, session
    message.write_section(out, message.PROPERTIES, properties)
    message.write_section(out, message.DATA, number.encode())
    return bytes(out)


def _transfer(number: int, payload: bytes) -> bytes:
    out = bytearray()
    tag = number.to_bytes(4, "big")
    deliveries.write_transfer(out, 0, SENDS, number, tag, payload, settled=False, largest=65536)
    return bytes(out)
