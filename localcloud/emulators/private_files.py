"""Files that only their owner may read: keys, secrets, data bases. Written whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Makes `path` (and its parents) with mode 0700 and answers it; an existing folder keeps its contents."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Replaces `path` by `content` in one step, mode 0600: a reader sees the old bytes or the new ones, never a
    part.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    beside.replace(path)


def keep_private(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`, made and written the first time."""
    if not path.exists():
        write_private(path, make())
    return path.read_bytes()
