"""PostgreSQL refuses to run as root. Where we are root (a container, most often) it gets another user's number.

Two ways, the first that works here: a user namespace in which root's files belong to an ordinary number (no right is
gained or lost), or, where namespaces are forbidden (Docker's default), the number of `nobody`, which keeps the one
right to reach files in root's private folders.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

_NUMBER: Final = 1000
_NOBODY: Final = 65534
_NAMESPACE: Final = ("unshare", "--user", f"--map-user={_NUMBER}", f"--map-group={_NUMBER}")
_LESSER: Final = (
    *("setpriv", "--reuid", str(_NOBODY), "--regid", str(_NOBODY), "--clear-groups"),
    *("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"),
)


def command(program: list[str], folder: Path) -> list[str]:
    """`program` as it is, or (as root) behind the command that gives it another user's number.

    `folder` then belongs to that number. RuntimeError when root has no way.
    """
    if os.geteuid() != 0:
        return program
    prefix = _prefix()
    _own(folder, _NOBODY if prefix[1:] == _LESSER[1:] else 0)
    return [*prefix, *program]


@cache
def _prefix() -> tuple[str, ...]:
    for way in (_NAMESPACE, _LESSER):
        program = shutil.which(way[0])
        if program and subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return (program, *way[1:])
    raise RuntimeError(
        "PostgreSQL: it must run as a user other than root, got root with neither user namespaces (unshare) nor "
        "setpriv; run ./millrace as an ordinary user."
    )


def _own(folder: Path, number: int) -> None:
    """Another way than at the last start (another container, perhaps) finds files of the other number."""
    if folder.stat().st_uid == number:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, number, number, follow_symlinks=False)
