"""A peer that speaks just enough AMQP 1.0 to keep Microsoft's SDK busy and does nothing: what is left is the SDK.

`python -m benchmarks.bus.null`: prints its port, then accepts every delivery and hands out one message for ever.
"""

import socket
import struct
import threading
import uuid
from typing import Any

from benchmarks.bus import client
from localcloud.emulators.service_bus.codec import deliveries, frames, message
from localcloud.emulators.service_bus.codec.types import Symbol, UByte, UInt, ULong, UShort
from localcloud.emulators.service_bus.codec.writing import encoded

_ACCEPTED = encoded(frames.composite(frames.ACCEPTED, []))
_CREDIT = 1_000_000
_SASL = frames.write(frames.SASL_MECHANISMS, [[Symbol("PLAIN"), Symbol("ANONYMOUS"), Symbol("MSSBCBS")]], kind=1)
_FAR = 4_000_000_000_000


class Conversation:
    """One connection, in a thread of its own."""

    def __init__(self, peer: socket.socket) -> None:
        self._socket = peer
        self._splitter = frames.Splitter(1 << 20)
        self._out = bytearray()
        self._names: dict[tuple[int, int], str] = {}
        self._taking = set[tuple[int, int]]()
        self._token_link: dict[int, int] = {}
        self._counts: dict[tuple[int, int], int] = {}
        self._next_out: dict[int, int] = {}

    def run(self) -> None:
        """Until the peer hangs up."""
        self._exactly(8)
        self._socket.sendall(frames.SASL_HEADER + _SASL)
        self._exactly(int.from_bytes(self._exactly(4), "big") - 4)
        self._socket.sendall(frames.write(frames.SASL_OUTCOME, [UByte(0), None], kind=frames.SASL))
        self._exactly(8)
        self._socket.sendall(frames.AMQP_HEADER)
        while data := self._socket.recv(1 << 18):
            for _, channel, start, end in self._splitter.feed(data):
                if end > start:
                    self._frame(channel, self._splitter.buffer[start:end])
            if self._out:
                self._socket.sendall(self._out)
                self._out.clear()

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self._socket.recv(count - len(found))
            if not part:
                raise EOFError
            found += part
        return found

    def _write(self, code: int, fields: list[Any], channel: int) -> None:
        self._out += frames.write(code, fields, channel=channel)

    def _frame(self, channel: int, body: bytes) -> None:
        if body[2] == frames.TRANSFER:
            self._transfer(channel, body)
            return
        code, fields, _ = frames.read_performative(body)
        if code == frames.OPEN:
            open_ = ["null", "localhost", UInt(65536), UShort(100), UInt(240_000), None, None, None, None, None]
            self._write(frames.OPEN, open_, channel)
        elif code == frames.BEGIN:
            window = UInt(_CREDIT)
            begin = [UShort(channel), UInt(0), window, window, UInt(255), None, None, None]
            self._write(frames.BEGIN, begin, channel)
        elif code == frames.ATTACH:
            self._attach(channel, fields)
        elif code == frames.FLOW:
            self._flow(channel, fields)
        elif code == frames.DISPOSITION and fields[3] is not True:
            first, last = fields[1], fields[1] if fields[2] is None else fields[2]
            deliveries.write_disposition(self._out, channel, first, last, by_receiver=False, state=_ACCEPTED)
        elif code in {frames.DETACH, frames.END, frames.CLOSE}:
            echo = {frames.DETACH: [fields[0], True, None], frames.END: [None], frames.CLOSE: [None]}[code]
            self._write(code, echo, channel)

    def _attach(self, channel: int, fields: list[Any]) -> None:
        name, handle, receives = fields[0], UInt(fields[1]), fields[2] is True
        terminus = frames.described(fields[5] if receives else fields[6])[1]
        self._names[channel, handle] = str(terminus[0])
        if receives:
            if terminus[0] == "$cbs":
                self._token_link[channel] = handle
            else:
                self._taking.add((channel, int(handle)))
        count = UInt(0) if receives else None
        answer = [name, handle, not receives, fields[3], fields[4], fields[5], fields[6], None, None, count]
        self._write(frames.ATTACH, [*answer, ULong(1 << 20), None, None, None], channel)
        if not receives:
            window = UInt(_CREDIT)
            self._write(frames.FLOW, [UInt(0), window, UInt(0), window, handle, UInt(0), window, *[None] * 4], channel)

    def _transfer(self, channel: int, body: bytes) -> None:
        handle, number, _, _, settled, more, _, start = deliveries.read_transfer(body)
        if more or number is None:
            return
        if not settled:
            deliveries.write_disposition(self._out, channel, number, number, by_receiver=True, state=_ACCEPTED)
        if self._names.get((channel, handle)) == "$cbs":
            asked = message.read(body[start:]).properties
            answer = bytearray()
            message.write_section(answer, message.PROPERTIES, [*[None] * 5, asked[message.MESSAGE_ID]])
            taken = {"status-code": 202, "status-description": "Accepted"}
            message.write_section(answer, message.APPLICATION, taken)
            message.write_section(answer, message.VALUE, None)
            self._deliver(channel, self._token_link[channel], bytes(answer), 1, settled=True)

    def _flow(self, channel: int, fields: list[Any]) -> None:
        """Credit is used up at once, by one and the same message."""
        handle, credit = fields[4], fields[6]
        if handle is None or credit is None or (channel, int(handle)) not in self._taking:
            return
        have = self._counts.get((channel, int(handle)), 0)
        left = int(fields[5] or 0) + int(credit) - have
        if left > 0:
            self._deliver(channel, int(handle), _MESSAGE, left, settled=False)
            self._counts[channel, int(handle)] = have + left

    def _deliver(self, channel: int, handle: int, payload: bytes, count: int, *, settled: bool) -> None:
        first = self._next_out.get(channel, 0)
        self._next_out[channel] = first + count
        for number in range(first, first + count):
            tag = uuid.UUID(int=number).bytes_le
            deliveries.write_transfer(self._out, channel, handle, number, tag, payload, settled=settled, largest=65536)


def _message() -> bytes:
    out = bytearray()
    message.write_header(out, durable=True, priority=4, ttl_ms=None, delivery_count=0)
    message.write_annotations(out, sequence=1, enqueued_ms=_FAR, locked_until_ms=_FAR, others={})
    return bytes(out) + client.body()[len(_header()) :]


def _header() -> bytes:
    out = bytearray()
    message.write_section(out, message.HEADER, [True, None, None, None, None])
    return bytes(out)


_MESSAGE = _message()


def main() -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listens on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_run, args=(peer,), daemon=True).start()


def _run(peer: socket.socket) -> None:
    try:
        Conversation(peer).run()
    except (EOFError, OSError, struct.error):
        pass
    finally:
        peer.close()


if __name__ == "__main__":
    main()
