"""Where a running local cloud is found: one small private file in its folder."""

import hashlib
import os
import socket
from pathlib import Path

import msgspec

FILE = "supervisor.json"
LOCK = "supervisor.lock"
CONNECT_S = 5.0  # seconds; on loopback only a machine out of breath needs any of them


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor's process, its loopback port, and the secret that its API wants."""

    pid: int
    port: int
    secret: str
    code: str = ""
    """Which code it runs; see `code_stamp`."""


def code_stamp(root: Path) -> str:
    """A short text that changes when the local cloud's own code does: a supervisor outlives many edits."""
    stamp = hashlib.sha256()
    for folder in ("localcloud", "components/packaging"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in (".py", ".json") and "node_modules" not in file.parts:
                facts = file.stat()
                stamp.update(f"{file}:{facts.st_mtime_ns}:{facts.st_size};".encode())
    return stamp.hexdigest()[:16]


def write(home: Path, address: Address) -> None:
    """Publish the address (0600, in one step: a reader sees all of it or nothing)."""
    temporary = home / f"{FILE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(msgspec.json.encode(address))
    temporary.replace(home / FILE)


def read(home: Path) -> Address | None:
    """The address of a local cloud that takes calls; None when there is none.

    The port is asked, not the process: a killed one keeps its number until its parent has looked, and after a restart
    of the machine the number is somebody else's.
    """
    try:
        address = msgspec.json.decode((home / FILE).read_bytes(), type=Address)
        os.kill(address.pid, 0)
        socket.create_connection(("127.0.0.1", address.port), timeout=CONNECT_S).close()
    except (FileNotFoundError, ProcessLookupError, PermissionError, msgspec.DecodeError, ConnectionError, TimeoutError):
        return None
    return address


def remove(home: Path, pid: int) -> None:
    """Withdraw the address of process `pid`; another one's stays."""
    try:
        address = msgspec.json.decode((home / FILE).read_bytes(), type=Address)
    except (FileNotFoundError, msgspec.DecodeError):
        return
    if address.pid == pid:
        (home / FILE).unlink(missing_ok=True)
