"""The messages that may be delivered now, in order of their sequence numbers."""

from collections import deque
from heapq import heappop, heappush

from localcloud.emulators.service_bus.broker.model import Message


class Ready:
    """New messages come at the end; those that come back (abandoned, released, lock over) take their old place.

    A message that was removed elsewhere stays until it is popped: whoever pops checks that it is still there.
    """

    __slots__ = ("_back", "_fresh")

    def __init__(self) -> None:
        self._fresh: deque[Message] = deque()
        self._back: list[tuple[int, Message]] = []

    def __bool__(self) -> bool:
        return bool(self._fresh or self._back)

    def add(self, message: Message) -> None:
        """Make it available."""
        if not self._fresh or message.sequence > self._fresh[-1].sequence:
            self._fresh.append(message)
        else:
            heappush(self._back, (message.sequence, message))

    def pop(self) -> Message | None:
        """Take the one with the lowest sequence number."""
        back, fresh = self._back, self._fresh
        if back and (not fresh or back[0][0] < fresh[0].sequence):
            return heappop(back)[1]
        return fresh.popleft() if fresh else None

    def first(self) -> Message | None:
        """Look at the one with the lowest sequence number."""
        back, fresh = self._back, self._fresh
        if back and (not fresh or back[0][0] < fresh[0].sequence):
            return back[0][1]
        return fresh[0] if fresh else None
