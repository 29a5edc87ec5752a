"""A plain AMQP 1.0 client over a blocking socket, as thin as Python allows: what it costs must not hide the broker.

Transfers are made ahead as a block of frames, of which only the delivery numbers change.
"""

import socket
import struct
from typing import Any, NamedTuple, Self

from localcloud.emulators.service_bus.codec import deliveries, frames, message
from localcloud.emulators.service_bus.codec.types import Symbol, UByte, UInt, UShort
from localcloud.emulators.service_bus.codec.writing import encoded

PATIENCE_S = 60.0
BLOCK = 50
"""Transfers written at once."""
AHEAD = 1_000
"""Deliveries under way at most."""
CREDIT = 2_000
LARGEST = 65536
_WINDOW = 1 << 30
_ACCEPTED = encoded(frames.composite(frames.ACCEPTED, []))
_U32 = struct.Struct(">I")
_SENDS, _RECEIVES = 0, 1


class Login(NamedTuple):
    """SASL PLAIN."""

    user: str
    password: str


class Peer(NamedTuple):
    """Where a broker listens, and how it is spoken to."""

    port: int
    login: Login
    queue: str
    """The address of the queue that is measured."""
    pid: int


def body(size: int = 1024) -> bytes:
    """An encoded durable message of so many bytes of data."""
    out = bytearray()
    message.write_section(out, message.HEADER, [True, None, None, None, None])
    message.write_section(out, message.DATA, b"m" * size)
    return bytes(out)


class Client:
    """One connection, one session, at most one link each way."""

    def __init__(self, port: int, login: Login) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._splitter = frames.Splitter(1 << 20)
        self.credit = self._sent = self.acknowledged = 0
        self._received = self._granted = self._frames_in = 0
        response = f"\0{login.user}\0{login.password}".encode()
        self.socket.sendall(
            frames.SASL_HEADER + frames.write(frames.SASL_INIT, [Symbol("PLAIN"), response, None], kind=frames.SASL)
        )
        self._header(frames.SASL_HEADER)
        while (answer := self._one())[0] != frames.SASL_OUTCOME:
            pass
        if answer[1][0] != 0:
            raise ConnectionError(f"the broker must take the login of {login.user}, got SASL outcome {answer[1][0]}")
        self._splitter = frames.Splitter(1 << 20)
        self.socket.sendall(frames.AMQP_HEADER)
        self._header(frames.AMQP_HEADER)
        self._write(frames.OPEN, ["bench", "localhost", UInt(LARGEST), UShort(10), UInt(120_000), *[None] * 5])
        self._write(frames.BEGIN, [None, UInt(0), UInt(_WINDOW), UInt(_WINDOW), UInt(7), None, None, None])
        self._await(frames.BEGIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _header(self, wanted: bytes) -> None:
        found = b""
        while len(found) < len(wanted):
            part = self.socket.recv(len(wanted) - len(found))
            if not part:
                raise ConnectionError(f"the broker must answer {wanted!r}, got {found!r} and the end")
            found += part
        if found != wanted:
            raise ConnectionError(f"the broker must answer {wanted!r}, got {found!r}")

    def _write(self, code: int, fields: list[Any]) -> None:
        self.socket.sendall(frames.write(code, fields))

    def bodies(self) -> list[bytes]:
        """Of the next read of the socket."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the broker hung up")
        cut = self._splitter.feed(data)
        buffer = self._splitter.buffer
        return [buffer[start:end] for _, _, start, end in cut if end > start]

    def _one(self) -> tuple[int, list[Any]]:
        """One frame of the handshake; the broker says no more before we do."""
        size = self._exactly(4)
        data = size + self._exactly(_U32.unpack(size)[0] - 4)
        code, fields, _ = frames.read_performative(data[4 * data[4] :])
        return code, fields

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self.socket.recv(count - len(found))
            if not part:
                raise ConnectionError("the broker hung up")
            found += part
        return found

    def _await(self, code: int) -> None:
        while True:
            if code in [self._handle(one) for one in self.bodies()]:
                return

    def _handle(self, data: bytes) -> int:
        """What is no transfer."""
        code, fields, _ = frames.read_performative(data)
        if code == frames.DISPOSITION and fields[0] is True:
            first = int(fields[1])
            last = first if fields[2] is None else int(fields[2])
            if frames.described(fields[4])[0] != frames.ACCEPTED:
                raise ConnectionError(f"the broker must accept deliveries {first} to {last}, got {fields[4]!r}")
            self.acknowledged += last - first + 1
        elif code == frames.FLOW and fields[4] is not None and int(fields[4]) == _SENDS and fields[6] is not None:
            self.credit = int(fields[5] or 0) + int(fields[6])
        elif code in {frames.DETACH, frames.END, frames.CLOSE}:
            raise ConnectionError(f"the broker ended the work: {fields!r}")
        return code

    # --- sending ---

    def sender(self, address: str) -> None:
        """Attach a link to send on; waits for credit."""
        source = frames.composite(frames.SOURCE, ["bench"])
        target = frames.composite(frames.TARGET, [address, UInt(2)])  # durable: unsettled-state
        fields = ["send", UInt(_SENDS), False, UByte(0), UByte(0), source, target, None, None, UInt(0)]
        self._write(frames.ATTACH, [*fields, *[None] * 4])
        while self.credit == 0:
            self._read()

    def send(self, count: int, payload: bytes) -> None:
        """Send so many and wait for the last acknowledgement."""
        block = Block(payload)
        end = self._sent + count
        while self.acknowledged < end:
            room = min(self.credit, self.acknowledged + AHEAD, end) - self._sent
            if room >= BLOCK or 0 < room == end - self._sent:
                number = min(room, BLOCK)
                self.socket.sendall(block.frames(self._sent, number))
                self._sent += number
            else:
                self._read()

    def one(self, payload: bytes) -> None:
        """Send one; its acknowledgement comes with a later `poll`."""
        self.socket.sendall(transfer(self._sent, payload))
        self._sent += 1

    # --- receiving ---

    def receiver(self, address: str) -> None:
        """Attach a link to receive on, with locks; no credit yet."""
        source = frames.composite(frames.SOURCE, [address, UInt(2)])
        target = frames.composite(frames.TARGET, ["bench"])
        fields = ["receive", UInt(_RECEIVES), True, UByte(0), UByte(0), source, target]
        self._write(frames.ATTACH, [*fields, *[None] * 7])
        self._await(frames.ATTACH)

    def grant(self, credit: int) -> None:
        """Let the broker send so many more."""
        self._granted += credit
        session = [UInt(self._frames_in), UInt(_WINDOW), UInt(self._sent), UInt(_WINDOW)]
        left = UInt(self._granted - self._received)
        self._write(frames.FLOW, [*session, UInt(_RECEIVES), UInt(self._received), left, None, False, False, None])

    def receive(self, count: int) -> None:
        """Take so many and complete each."""
        end = self._received + count
        while self._received < end:
            open_ = self._granted - self._received
            if open_ <= CREDIT // 2 and self._granted < end:
                self.grant(min(CREDIT - open_, end - self._granted))
            self._read()

    def _read(self) -> None:
        self.poll(self.bodies())

    def poll(self, bodies: list[bytes]) -> list[bytes]:
        """Act on what came in; the transfers among it, settled."""
        came = []
        for one in bodies:
            if one[2] == frames.TRANSFER and one[1] == 0x53:
                came.append(one)
            else:
                self._handle(one)
        if came:
            first = self._received
            self._received += len(came)
            self._frames_in += len(came)
            out = bytearray()
            deliveries.write_disposition(out, 0, first, self._received - 1, by_receiver=True, state=_ACCEPTED)
            self.socket.sendall(out)
        return came

    def finish(self) -> None:
        """Close the session, and wait for that: what was settled before has been acted on."""
        self._write(frames.END, [None])
        while True:
            for one in self.bodies():
                if one[2] == frames.END:
                    return


def transfer(number: int, payload: bytes) -> bytes:
    """One transfer frame on our sending link."""
    out = bytearray()
    deliveries.write_transfer(out, 0, _SENDS, number, _U32.pack(number), payload, settled=False, largest=LARGEST)
    return bytes(out)


class Block:
    """Frames made once; before each use their numbers are written in."""

    def __init__(self, payload: bytes) -> None:
        one = transfer(0xFFFFFFFF, payload)
        self._size = len(one)
        self._places = [place for place in range(len(one) - 3) if one[place : place + 4] == b"\xff\xff\xff\xff"][:2]
        self._data = bytearray(one * BLOCK)

    def frames(self, first: int, count: int) -> memoryview:
        """The frames of deliveries `first` on."""
        data, size, (one, two) = self._data, self._size, self._places
        for place in range(count):
            start = place * size
            _U32.pack_into(data, start + one, first + place)
            _U32.pack_into(data, start + two, first + place)
        return memoryview(data)[: count * size]
