"""How long a connection waits: for its handshake, for a word of a silent peer, and until it says a word of its own.

Documented: Service Bus closes a connection that is silent for four minutes. Heartbeats: OASIS AMQP 1.0, part 2 § 2.4.5.
"""

import asyncio
from typing import TYPE_CHECKING

from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.protocol.errors import Condition

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.connection import Connection

HANDSHAKE_S = 60.0
GOODBYE_S = 5.0


class Patience:
    """The timers of one connection."""

    __slots__ = ("_connection", "_heartbeat", "_idle", "_idle_s", "_loop", "_once", "heard")

    def __init__(self, connection: "Connection", idle_s: float) -> None:
        self._connection = connection
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._once = self._loop.call_later(HANDSHAKE_S, connection.hang_up)
        self._heartbeat: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self.heard = self._loop.time()
        """When the peer said something, on the loop's clock."""

    def opened(self, peer_idle_ms: object) -> None:
        """The handshake is over. The peer wants to hear something so often (None or 0: it does not care)."""
        self._once.cancel()
        if isinstance(peer_idle_ms, int) and peer_idle_ms > 0:
            self._beat_every(max(peer_idle_ms / 2000, 0.01))
        self._idle = self._loop.call_later(self._idle_s, self._look)

    def leaving(self) -> None:
        """The transport closes once its bytes are gone, which a peer may refuse to take."""
        self._once.cancel()
        self._once = self._loop.call_later(GOODBYE_S, self._connection.transport.abort)

    def stop(self) -> None:
        """The peer is gone."""
        for timer in (self._once, self._heartbeat, self._idle):
            if timer is not None:
                timer.cancel()

    def _beat_every(self, seconds: float) -> None:
        def beat() -> None:
            if self._connection.say(frames.EMPTY_FRAME):
                self._heartbeat = self._loop.call_later(seconds, beat)

        self._heartbeat = self._loop.call_later(seconds, beat)

    def _look(self) -> None:
        left = self.heard + self._idle_s - self._loop.time()
        if left > 0:
            self._idle = self._loop.call_later(left, self._look)
            return
        inactive = f"The connection was inactive for more than the allowed {round(self._idle_s * 1000)} milliseconds."
        self._connection.close(Condition.FORCED, inactive)
