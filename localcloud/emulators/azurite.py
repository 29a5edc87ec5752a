"""Azurite as a child process: plain http on loopback, reached by our door only.

Accounts must be named when Azurite starts, ours appear while it runs: so it starts with a fixed pool of slots with
random keys, and `storage` maps account names to slots. Azurite saves what it lists (blobs, queues, messages) every 5 s
and at an orderly stop, so a SIGKILL of Azurite loses what it took in the last 5 s (a property of Azurite; measured). A
SIGKILL of *this* process does not: Azurite sees its stdin close and stops in order. One that ends by itself is started
again at once, on the same ports.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from localcloud.emulators.azurite_install import PINS, install_azurite, node_files
from localcloud.emulators.ports import HOST, Ports
from localcloud.emulators.private_files import keep_private, private_folder, write_private

SLOTS: Final = 24
START_LIMIT_S: Final = 30.0
START_TRIES: Final = 3
"""Somebody may take a port in the moment between its choice and Azurite's start; the next try chooses another."""
STOP_LIMIT_S: Final = 8.0
SAS_LIFETIME_S: Final = 86_400
RESTART_S: Final = (0.2, 30.0)
"""First and longest wait before an Azurite that ended is started again; doubled each time it does not come up."""
_SAS_VERSION: Final = "2021-12-02"
log = logging.getLogger("millrace.azurite")


class Azurite:
    """The child and its slots. `blob_url` and `queue_url` are its addresses once `start` returned.

    `restarted` is awaited after each unasked-for end, once Azurite listens again: what it forgot can be declared anew.
    `problem` says why it does not run now, empty while it does.
    """

    def __init__(self, folder: Path, ports: Ports) -> None:
        self._folder = private_folder(folder)
        self._ports = ports
        self._keys: dict[str, str] = json.loads(keep_private(folder / "slots.json", _new_slots))
        self._sas: dict[str, tuple[float, str]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._pid_file = folder / "azurite.pid"
        self._keeper: asyncio.Task[None] | None = None
        self.restarted: Callable[[], Awaitable[None]] | None = None
        self.problem = ""
        self.blob_url = self.queue_url = ""

    @property
    def slots(self) -> list[str]:
        """The names of the slots, in order."""
        return list(self._keys)

    async def start(self, say: Callable[[str], None]) -> None:
        """Installs Azurite if need be, starts it, returns when it listens. RuntimeError with its last words
        otherwise.
        """
        installed = await install_azurite(say)
        await self._end_leftover()
        for tries_left in reversed(range(START_TRIES)):
            try:
                await self._launch(installed)
                break
            except RuntimeError:
                if not tries_left:
                    raise
        self._keeper = asyncio.get_running_loop().create_task(self._keep(installed))

    async def _keep(self, installed: Path) -> None:
        """Starts Azurite again whenever it ends unasked."""
        wait_s = RESTART_S[0]
        while self._process is not None:
            code = await self._process.wait()
            self.problem = f"Azurite ended by itself ({code}) and is started again; it may have lost its last 5 s"
            log.error("%s", self.problem)
            await asyncio.sleep(wait_s)
            try:
                await self._launch(installed)
                if self.restarted:
                    await self.restarted()
            except (RuntimeError, OSError) as error:
                self.problem = str(error)
                log.error("%s", error)  # noqa: TRY400 -- a sentence for people; the next try follows
                wait_s = min(wait_s * 2, RESTART_S[1])
            else:
                self.problem, wait_s = "", RESTART_S[0]

    async def _launch(self, installed: Path) -> None:
        node, _ = node_files()
        blob_port, queue_port = self._ports.free("azurite-blob"), self._ports.free("azurite-queue")
        accounts = ";".join(f"{slot}:{key}" for slot, key in self._keys.items())
        log_file = self._folder / "azurite.log"
        starter = [
            *(
                node,
                "--require",
                PINS / "end_with_parent.js",
                installed / "node_modules/azurite/dist/src/azurite.js",
                "--silent",
                "--disableTelemetry",
            ),
            *("--skipApiVersionCheck", "--location", private_folder(self._folder / "data")),
            *("--blobHost", HOST, "--blobPort", blob_port, "--queueHost", HOST, "--queuePort", queue_port),
            *("--tableHost", HOST, "--tablePort", self._ports.free("azurite-table")),
        ]
        with log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *map(str, starter),
                cwd=installed,  # Node reads the package.json above it: ours, not whatever lies above the project
                env={"AZURITE_ACCOUNTS": accounts, "PATH": str(node.parent)},
                stdin=asyncio.subprocess.PIPE,  # never written: its end tells Azurite that we are gone
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor, which stops us in order
            )
        write_private(self._pid_file, str(self._process.pid).encode())
        for port in (blob_port, queue_port):
            await self._listens(port, log_file)
        self.blob_url, self.queue_url = f"http://{HOST}:{blob_port}", f"http://{HOST}:{queue_port}"

    async def stop(self) -> None:
        """Asks Azurite to save and end; kills it after 8 s."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        self._pid_file.unlink(missing_ok=True)

    def sas(self, slot: str) -> str:
        """An account SAS (query string without `?`) for everything in a slot; only the door ever sees it."""
        ends, query = self._sas.get(slot, (0.0, ""))
        if ends < time.time() + SAS_LIFETIME_S / 2:
            ends = time.time() + SAS_LIFETIME_S
            query = _account_sas(slot, self._keys[slot], ends)
            self._sas[slot] = ends, query
        return query

    async def _end_leftover(self) -> None:
        """Two Azurites on one folder would spoil it: the one of a killed predecessor gets its time to save, then
        ends.
        """
        if not self._pid_file.exists():
            return
        pid = int(self._pid_file.read_bytes())
        deadline = time.monotonic() + STOP_LIMIT_S
        while _is_azurite(pid) and time.monotonic() < deadline:  # noqa: ASYNC110 -- somebody else's child: only asking helps
            await asyncio.sleep(0.05)
        if _is_azurite(pid):
            os.kill(pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)

    async def _listens(self, port: int, log_file: Path) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self._process is not None and self._process.returncode is not None:
                break
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.03)
                continue
            writer.close()
            return
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        said = log_file.read_text(errors="replace")[-1000:]  # noqa: ASYNC240 -- the last thing this start does
        raise RuntimeError(f"Azurite must listen on port {port} within {START_LIMIT_S:.0f} s; it says: {said!r}")


def _new_slots() -> bytes:
    names = [f"slot{number:02}" for number in range(1, SLOTS + 1)]
    return json.dumps({name: base64.b64encode(secrets.token_bytes(64)).decode() for name in names}).encode()


def _account_sas(account: str, key: str, ends: float) -> str:
    """Source: *Create an account SAS*, string-to-sign of version 2020-12-06 and later."""
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
    permissions, services, types = "rwdlacuptf", "bq", "sco"
    to_sign = f"{account}\n{permissions}\n{services}\n{types}\n\n{expiry}\n\n\n{_SAS_VERSION}\n\n"
    digest = hmac.new(base64.b64decode(key), to_sign.encode(), hashlib.sha256).digest()
    fields = {"sv": _SAS_VERSION, "ss": services, "srt": types, "sp": permissions, "se": expiry}
    return urlencode({**fields, "sig": base64.b64encode(digest).decode()})


def _is_azurite(pid: int) -> bool:
    """Whether a process of this number lives and (where /proc tells) is an Azurite, not somebody else with the
    same number.
    """
    command = Path(f"/proc/{pid}/cmdline")
    with contextlib.suppress(OSError):
        return b"azurite" in command.read_bytes()
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not command.parent.parent.joinpath("self").exists()
