"""What the frame by frame tests ask of what came back."""

import contextlib
from typing import Any

from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.codec.types import Described
from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.raw import Raw, body

ACCEPTED = Described(frames.ACCEPTED, [])


def condition(error: Any) -> str:
    """Of a close, end, detach or rejected."""
    code, fields = frames.described(error)
    assert code == frames.ERROR, error
    return str(fields[0])


def still_fine(bus: Bus) -> None:
    """Somebody else can work."""
    queue = bus.queue()
    with Raw(bus.port) as other:
        other.start().sender(queue)
        other.transfer(0, 0, body())
        assert other.frame(frames.DISPOSITION).fields[4] == ACCEPTED
    assert bus.counts(queue).active == 1


def hung_up(client: Raw) -> bool:
    """Has the server closed the connection?"""
    with contextlib.suppress(ConnectionResetError):
        while True:
            try:
                client.frame()
            except EOFError:
                break
    return True
