"""A limit of requests in any second, as a gateway keeps it: sliding, by the service's own clock."""

from collections import deque


class SlidingSecond:
    """Remembers what was taken in the last second."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()

    def take(self, now: float, most: int) -> bool:
        """Whether one more is taken; what is turned away does not count. `most` 0: no limit."""
        while self._taken and self._taken[0] <= now - 1:
            self._taken.popleft()
        if most and len(self._taken) >= most:
            return False
        self._taken.append(now)
        return True
