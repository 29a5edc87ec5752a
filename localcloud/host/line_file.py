"""An append-only file of lines, bounded in size. What is written here is told to people: a full disk loses lines of
it, and must never stop the work that they are about.
"""

from pathlib import Path

from localcloud.emulators.disk import is_full


class LineFile:
    """Appends lines to `path`; at `limit_bytes` it becomes `<name>.1<ending>`, and the older one goes."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        """The file is made with the first line, its folder now."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._limit = path, limit_bytes
        self._whole = False
        """Whether the file is known to end with a whole line."""

    def append(self, line: bytes) -> None:
        """One line, without its end; lost when the disk is full."""
        try:
            self._append(line + b"\n")
        except OSError as error:
            self._whole = False
            if not is_full(error):
                raise

    def _append(self, line: bytes) -> None:
        with self._path.open("ab+", buffering=0) as file:
            if not self._whole and file.tell():
                file.seek(-1, 2)
                # Ends the half line of a host that was killed, or of a disk that was full.
                line = line if file.read(1) == b"\n" else b"\n" + line
            self._whole = file.write(line) == len(line)
            full = file.tell() > self._limit
        if full:
            self._path.replace(self._path.with_suffix(f".1{self._path.suffix}"))
