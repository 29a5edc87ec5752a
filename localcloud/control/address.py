"""Where a running local cloud is found: one small private file in its folder."""

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def held(home: Path) -> Iterator[bool]:
    """Be the only supervisor of a folder for as long as it lasts; False when another process is."""
    with (home / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield True


def holder(home: Path) -> int | None:
    """The process that is this folder's supervisor, whether or not it takes calls; None when there is none."""
    try:
        with (home / LOCK).open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def remove(home: Path, pid: int) -> None:
    """Withdraw the address of process `pid`; another one's stays."""
    try:
        address = msgspec.json.decode((home / FILE).read_bytes(), type=Address)
    except (FileNotFoundError, msgspec.DecodeError):
        return
    if address.pid == pid:
        (home / FILE).unlink(missing_ok=True)
