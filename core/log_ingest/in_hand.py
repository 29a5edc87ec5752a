"""Which contents a run is working on."""

from __future__ import annotations

import threading


class InHand:
    """Which contents are being worked on: one object announced twice is not read by two threads at once."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._changed = threading.Condition()

    def take(self, name: str) -> None:
        """Waits until nobody else has it."""
        with self._changed:
            self._changed.wait_for(lambda: name not in self._ids)
            self._ids.add(name)

    def leave(self, name: str) -> None:
        """Lets the next one in."""
        with self._changed:
            self._ids.discard(name)
            self._changed.notify_all()
