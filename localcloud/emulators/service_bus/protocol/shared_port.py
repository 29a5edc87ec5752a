"""One port for AMQP and HTTP: a connection's first four bytes tell which of the two it speaks.

As on the service, where one host name (and, over WebSockets, one port) has both. Every AMQP header begins with `AMQP`
(part 2 § 2.2), which is no HTTP method; whatever else comes is HTTP's to answer.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from localcloud.emulators.service_bus.protocol.connection import Connection
from localcloud.emulators.service_bus.protocol.patience import HANDSHAKE_S

_AMQP = b"AMQP"


class Undecided(asyncio.Protocol):
    """A peer that has said too little; then its transport belongs to one of the two protocols."""

    def __init__(
        self,
        amqp: Callable[[], Connection],
        http: Callable[[], asyncio.BaseProtocol],
        everyone: "set[Undecided]",
    ) -> None:
        self._amqp, self._http = amqp, http
        self._everyone = everyone
        self._said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has come; it has the time of a handshake."""
        self.transport = cast("asyncio.Transport", transport)
        self._everyone.add(self)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Its first bytes; none of them is lost."""
        self._said += data
        if self._said.startswith(_AMQP):
            connection = self._amqp()
            self._hand_over(connection)
            connection.received(self._said)
        elif not _AMQP.startswith(self._said):
            http = cast("asyncio.Protocol", self._http())
            self._hand_over(http)
            http.data_received(self._said)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It went without a word."""
        self._forget()

    def _hand_over(self, chosen: asyncio.BaseProtocol) -> None:
        self._forget()
        self.transport.set_protocol(chosen)
        chosen.connection_made(self.transport)

    def _forget(self) -> None:
        self._timer.cancel()
        self._everyone.discard(self)
