"""Messages that a command took into its hands to look at them, on disk: should it be killed, the next one gives them
back at once instead of leaving them hidden until their time is up. Nothing is lost without it; it only saves waiting.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec


class Hold(msgspec.Struct, frozen=True):
    """A message in hand: which, and the receipt of this delivery."""

    id: str
    receipt: str


class Holds:
    """One file of lines a place, appended to; gone when nothing is held."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = file

    def add(self, holds: Iterable[Hold]) -> None:
        """Remembers them before anything else is done with them."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(self._file, flags, 0o600), "ab") as stream:
            stream.writelines(msgspec.json.encode(hold) + b"\n" for hold in holds)

    def left(self) -> list[Hold]:
        """What an earlier command held when it ended; its last line may be half-written."""
        try:
            lines = self._file.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [msgspec.json.decode(line, type=Hold) for line in lines]

    def clear(self) -> None:
        """All of them were given back."""
        self._file.unlink(missing_ok=True)
