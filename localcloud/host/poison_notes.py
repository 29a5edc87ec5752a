"""Why the host put messages into a `-poison` queue: the platform does not say, the local host keeps a note of each."""

from __future__ import annotations

from pathlib import Path

import msgspec

from localcloud.host.line_file import LineFile

_FILE_BYTES = 4 << 20
FILE = "poison.jsonl"


class PoisonNote(msgspec.Struct, frozen=True, kw_only=True):
    """One message that the host moved."""

    id: str
    """Of the message in the poison queue."""
    function: str
    attempts: int
    reason: str
    """The last failure."""


class PoisonNotes:
    """Of one app."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the host's own."""
        self._file = LineFile(folder / FILE, _FILE_BYTES)

    def add(self, note: PoisonNote) -> None:
        """Keeps it; a note that is lost costs a reason, nothing else."""
        self._file.append(msgspec.json.encode(note))


def read(folder: Path) -> dict[str, PoisonNote]:
    """Message id → note, of the app whose host keeps its notes in `folder`."""
    found = {}
    for path in (folder / FILE.replace(".", ".1."), folder / FILE):
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    note = msgspec.json.decode(line, type=PoisonNote)
                except msgspec.MsgspecError:
                    continue  # the last line of a host that was killed while it wrote
                found[note.id] = note
    return found
