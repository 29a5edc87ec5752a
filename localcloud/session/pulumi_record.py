"""What Pulumi's own engine recorded of a local stack, as the embedded engine's records; mends what a kill left."""

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import msgspec

from localcloud.engine.state import Record


def checkpoint(home: Path, project: str, stack: str) -> Path:
    """Pulumi's file of a stack in the local backend under a stack's folder."""
    return home / "pulumi" / "backend" / ".pulumi" / "stacks" / project / f"{stack}.json"


def mend(file: Path) -> bool:
    """Put Pulumi's own backup in the place of a record that a killed Pulumi wrote only half; True when it did.

    What was made after the backup is made again by the next `up`: making what exists changes nothing, as on Azure.
    A note of the file's attributes that was cut off goes too: Pulumi refuses a record beside one, and needs none.
    """
    backup = file.with_name(f"{file.name}.bak")
    for one in (file, backup):
        attributes = one.with_name(f"{one.name}.attrs")
        if attributes.exists() and not _whole(attributes):
            attributes.unlink()
    if not file.exists() or not backup.exists() or _whole(file) or not _whole(backup):
        return False
    shutil.copyfile(backup, file)
    return True


def unlock(home: Path, project: str, stack: str) -> bool:
    """Take away the locks that killed runs on this machine left on a stack; True when there was one."""
    locks = home / "pulumi" / "backend" / ".pulumi" / "locks" / "organization" / project / stack
    taken = False
    for file in locks.glob("*.json"):
        try:
            lock = msgspec.json.decode(file.read_bytes())
            os.kill(int(lock["pid"]), 0)
        except ProcessLookupError:
            if lock.get("hostname") == socket.gethostname():
                file.unlink(missing_ok=True)
                taken = True
        except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
            continue
    return taken


def _whole(file: Path) -> bool:
    try:
        msgspec.json.decode(file.read_bytes())
    except msgspec.DecodeError:
        return False
    return True


def records(file: Path) -> dict[str, Record]:
    """Every resource by urn; empty when Pulumi has recorded nothing."""
    try:
        state = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        return {}
    found: list[dict[str, Any]] = (state["checkpoint"].get("latest") or {}).get("resources") or []
    return {
        one["urn"]: Record(
            urn=one["urn"],
            type=one["type"],
            name=one["urn"].rsplit("::", 1)[-1],
            custom=bool(one.get("custom")),
            order=order,
            parent=one.get("parent", ""),
            id=one.get("id", ""),
            inputs=one.get("inputs") or {},
            outputs=one.get("outputs") or {},
            dependencies=one.get("dependencies") or [],
            protect=bool(one.get("protect")),
        )
        for order, one in enumerate(found)
    }
