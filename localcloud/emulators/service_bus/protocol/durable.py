"""Nothing is told to a peer before it is in the broker's log."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from localcloud.emulators.service_bus.protocol.errors import Condition

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.session import Session


def when_durable(session: "Session", act: Callable[[], None]) -> None:
    """Do something once all that the broker has done is in its log; nothing when the session is over by then."""
    pending = session.broker.durable()
    if pending is None:
        act()
        return

    def done(future: "asyncio.Future[None]") -> None:
        if session.ended:
            return
        if future.cancelled() or future.exception() is not None:
            session.connection.close(Condition.INTERNAL, "The service could not store what was sent.")
        else:
            act()

    pending.add_done_callback(done)
