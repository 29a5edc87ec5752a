"""A full disk, said in one sentence: which folder, how much is free, what to do."""

import errno
import shutil
import sqlite3
from pathlib import Path
from typing import Final

LEAST_MB: Final = 100
"""Free megabytes below which a local cloud is in trouble: a package in its three places needs as much."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: BaseException) -> bool:
    """Whether an error says that nothing more can be written."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


def problem(folder: Path) -> str:
    """Empty while there is room."""
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb >= LEAST_MB:
        return ""
    return (
        f"disk: {folder} must have {LEAST_MB} MB free, got {free_mb} MB; free some space: what waits goes on by "
        "itself, nothing that was taken is lost"
    )
