"""The messages that may be delivered now, in order of their sequence numbers."""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from localcloud.emulators.service_bus.broker.model import Message


class Ready:
    """New messages come at the end; those that come back (abandoned, released, lock over) take their old place.

    A message that was removed elsewhere stays until it is popped, or until about half of them are such: whoever pops
    checks that it is still there.
    """

    __slots__ = ("_back", "_fresh", "_gone")

    def __init__(self) -> None:
        self._fresh: deque[Message] = deque()
        self._back: list[tuple[int, Message]] = []
        self._gone = 0

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

    def removed_one(self, is_there: Callable[[Message], bool]) -> None:
        """A message was removed elsewhere."""
        self._gone += 1
        if self._gone > 100 and 2 * self._gone > len(self._fresh) + len(self._back):
            self._fresh = deque(message for message in self._fresh if is_there(message))
            self._back = sorted(entry for entry in self._back if is_there(entry[1]))
            self._gone = 0
