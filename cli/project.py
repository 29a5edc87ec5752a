"""Where the project is, and which local stack a command means."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.session.local import LocalStack

ROOT = Path(__file__).resolve().parents[1]


def local_stack() -> "LocalStack":
    """The local stack (`MILLRACE_STACK` names another local one)."""
    from localcloud.session.local import LocalStack  # late: `--help` must not load the SDKs

    return LocalStack(ROOT, os.environ.get("MILLRACE_STACK") or "local")


def user_path(path: Path) -> Path:
    """A path as the user meant it: relative to where they typed the command."""
    return Path(os.environ.get("MILLRACE_STARTED_IN", ".")) / path
