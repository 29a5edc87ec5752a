"""The log lines of every app, one file an app, bounded: what `./millrace logs` reads."""

from pathlib import Path

import msgspec

from localcloud.host.line_file import LineFile
from localcloud.host.spec import LogLine

FILE_BYTES = 16 << 20


class Logbook:
    """Appends lines to `<folder>/<app>.jsonl`."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when needed."""
        self._folder = folder
        self._files: dict[str, LineFile] = {}
        self._encoder = msgspec.json.Encoder()

    def write(self, line: LogLine) -> None:
        """Keep one line."""
        file = self._files.get(line.app)
        if file is None:
            file = self._files[line.app] = LineFile(self._folder / f"{line.app}.jsonl", FILE_BYTES)
        file.append(self._encoder.encode(line))
