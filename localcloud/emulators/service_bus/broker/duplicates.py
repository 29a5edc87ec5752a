"""Duplicate detection: message ids of the last window (documented: a duplicate is accepted and silently dropped)."""

from typing import Any


class Duplicates:
    """Ids in order of their times: what has left the window is forgotten as new ones come."""

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._seen: dict[Any, float] = {}

    def is_new(self, message_id: Any, now: float) -> bool:
        """Remember it, and tell whether it had not been seen within the window."""
        self.forget(now)
        if message_id in self._seen:
            return False
        self._seen[message_id] = now
        return True

    def has(self, message_id: Any, now: float) -> bool:
        """Tell without remembering."""
        self.forget(now)
        return message_id in self._seen

    def forget(self, now: float) -> None:
        """What has left the window."""
        limit = now - self.window_s
        while self._seen:
            first = next(iter(self._seen))
            if self._seen[first] > limit:
                return
            del self._seen[first]

    def restore(self, message_id: Any, when: float) -> None:
        """From the log, in the order of the log."""
        self._seen.pop(message_id, None)
        self._seen[message_id] = when

    def when(self, message_id: Any) -> float | None:
        """When it was seen."""
        return self._seen.get(message_id)
