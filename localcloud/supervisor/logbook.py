"""The log lines of every app, one file an app, bounded: what `./millrace logs` reads."""

from pathlib import Path
from typing import BinaryIO

import msgspec

from localcloud.host.spec import LogLine

FILE_BYTES = 16 << 20  # then the file becomes the older one, and the older one goes


class Logbook:
    """Appends lines to `<folder>/<app>.jsonl`."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when needed."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._encoder = msgspec.json.Encoder()

    def write(self, line: LogLine) -> None:
        """Keep one line."""
        file = self._files.get(line.app)
        if file is None or file.tell() > FILE_BYTES:
            file = self._open(line.app)
        file.write(self._encoder.encode(line) + b"\n")
        file.flush()

    def close(self) -> None:
        """Close every file."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _open(self, app: str) -> BinaryIO:
        path = self._folder / f"{app}.jsonl"
        if app in self._files:
            self._files.pop(app).close()
            path.replace(path.with_suffix(".1.jsonl"))
        self._files[app] = file = path.open("ab")
        return file
