"""The way to the door from within its own process: the same requests through the same checks, without sockets and TLS.

The Functions hosts are in the door's process and call queues twice a message: three quarters of what such a call took
was the operating system's work of carrying it from this process to itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.client_proto import ResponseHandler

from localcloud.emulators.ports import HOST

Servers = Callable[[int], web.Server | None]
"""Who answers at a port of this process; None: nobody here."""


class Inside(aiohttp.TCPConnector):
    """Connections to servers of this process stay in it; all others go over the network as ever."""

    def __init__(self, servers: Servers, **options: Any) -> None:
        """`options`: TCPConnector's."""
        super().__init__(**options)
        self._servers = servers

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ASYNC109 - aiohttp's
        server = self._servers(req.url.port or 0) if req.url.host == HOST else None
        if server is None:
            return await super()._create_connection(req, traces, timeout)
        near = self._factory()
        join(near, server())
        return near


def join(near: asyncio.Protocol, far: asyncio.Protocol) -> None:
    """Connects the two, as a pair of sockets would."""
    one, other = _Pipe(near), _Pipe(far)
    one.peer, other.peer = other, one
    far.connection_made(other)
    near.connection_made(one)


class _Pipe(asyncio.Transport):
    """One end. What is written here arrives there in the loop's next turn, in its order; the end comes last."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self.peer: _Pipe = self
        self._closing = self._lost = self._paused = False
        self._kept: deque[bytes] = deque()
        """What arrived while its reader wanted nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Never waits: messages of a queue are small, and their readers in this process."""
        if data and not self._closing:
            self._loop.call_soon(self.peer._arrived, bytes(data))  # noqa: SLF001 - the other end

    def _arrived(self, data: bytes) -> None:
        if self._paused:
            self._kept.append(data)
        elif not self._lost and isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(data)

    def pause_reading(self) -> None:
        """Until `resume_reading`."""
        self._paused = True

    def resume_reading(self) -> None:
        """With what came meanwhile."""
        self._paused = False
        while self._kept and not self._paused:
            self._arrived(self._kept.popleft())

    def is_reading(self) -> bool:
        """Whether its reader is told."""
        return not self._paused and not self._closing

    def close(self) -> None:
        """Both ends hear of it, after what was written before."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._ended)
            self._loop.call_soon(self.peer._ended)  # noqa: SLF001 - the other end

    abort = close

    def _ended(self) -> None:
        self._closing = True
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(None)

    def is_closing(self) -> bool:
        """Whether nothing more leaves."""
        return self._closing

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whose end it is."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another one's from here on."""
        self._protocol = protocol

    def get_write_buffer_size(self) -> int:
        """Nothing waits here."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There are none."""
