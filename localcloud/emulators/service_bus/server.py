"""A Service Bus namespace on a socket: AMQP over TCP, or over TLS with a context that the caller gives.

Where it is given what speaks HTTP (`management.admin`), both share the port.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.emulators.service_bus.broker.interface import Broker
from localcloud.emulators.service_bus.protocol.access import Access, Authorize, Key, SharedKeys
from localcloud.emulators.service_bus.protocol.connection import Connection, Settings
from localcloud.emulators.service_bus.protocol.errors import Condition
from localcloud.emulators.service_bus.protocol.shared_port import Undecided

GOODBYE_S = 2.0
EMULATOR_KEYS = {"RootManageSharedAccessKey": Key("SAS_KEY_VALUE")}
"""The key of Microsoft's emulator: public, and good on this machine's loopback only."""


class Server:
    """Listens until it is closed. `keys` make shared access signatures; `authorize` checks any other token."""

    def __init__(
        self,
        broker: Broker,
        *,
        keys: Mapping[str, Key] = EMULATOR_KEYS,
        authorize: Authorize | None = None,
        clock: Callable[[], float] = time.time,
        idle_s: float = 240.0,
    ) -> None:
        shared = SharedKeys(keys, clock)
        self._settings = Settings(broker, lambda: Access(shared, authorize), clock, idle_s)
        self._connections: set[Connection] = set()
        self._undecided: set[Undecided] = set()
        self._sockets: list[asyncio.Server] = []

    async def listen(
        self,
        where: tuple[str, int] | socket.socket,
        tls: ssl.SSLContext | None = None,
        http: Callable[[], asyncio.BaseProtocol] | None = None,
    ) -> int:
        """Accept connections there too (a bound socket, or host and port); answers the port, which for 0 was chosen by
        the system. `http` makes what answers a connection that does not begin with AMQP.
        """

        def amqp() -> Connection:
            return Connection(self._settings, self._connections)

        make = amqp if http is None else lambda: Undecided(amqp, http, self._undecided)
        place: dict[str, Any] = (
            {"sock": where} if isinstance(where, socket.socket) else {"host": where[0], "port": where[1]}
        )
        opened = await asyncio.get_running_loop().create_server(make, ssl=tls, backlog=1024, **place)
        self._sockets.append(opened)
        return int(opened.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Say goodbye to every peer, then stop."""
        for opened in self._sockets:
            opened.close()
        for undecided in list(self._undecided):
            undecided.transport.abort()
        for connection in list(self._connections):
            connection.close(Condition.FORCED, "The service is stopping.")
        leaving = [connection.lost for connection in self._connections]
        if leaving:
            await asyncio.wait(leaving, timeout=GOODBYE_S)
        for connection in list(self._connections):  # peers that do not read
            connection.transport.abort()
        for opened in self._sockets:
            await opened.wait_closed()

    @property
    def connections(self) -> int:
        """How many peers are here."""
        return len(self._connections)
