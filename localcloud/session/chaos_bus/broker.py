"""The emulator as a process that is killed and comes back: same port, same data."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from localcloud.session.chaos_bus.wire import PATIENCE_S

_LISTENS: Final = re.compile(rb"listens on 127\.0\.0\.1:(\d+)")
_PLAIN: Final[dict[str, Any]] = {"LockDuration": "PT5M", "MaxDeliveryCount": 2000}
_SESSIONS: Final = {**_PLAIN, "RequiresSession": True}
_ENTITIES: Final = {
    "Queues": [{"Name": "plain", "Properties": _PLAIN}, {"Name": "sessions", "Properties": _SESSIONS}],
    "Topics": [
        {
            "Name": "topic",
            "Subscriptions": [
                {"Name": "plain", "Properties": _PLAIN},
                {"Name": "sessions", "Properties": _SESSIONS},
            ],
        }
    ],
}


class Broker:
    """One namespace in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self.kills = 0
        self._config = folder / "Config.json"
        self.data = folder / "data"
        self._config.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "chaos", **_ENTITIES}]}}))
        self._process: asyncio.subprocess.Process | None = None
        self._up = asyncio.Event()

    async def start(self) -> None:
        """Until it listens."""
        options = ["--port", str(self.port), "--data", str(self.data), "--entities", str(self._config)]
        command = [sys.executable, "-m", "localcloud.emulators.service_bus", *options]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        async with asyncio.timeout(PATIENCE_S):
            found = _LISTENS.search(await self._process.stdout.readline())
        if found is None:
            _, said = await self._process.communicate()
            raise ChildProcessError(f"the emulator must start again on its data, got {said.decode()[-500:]!r}")
        self.port = int(found[1])
        self._up.set()

    async def up(self) -> None:
        """Wait for it."""
        await self._up.wait()

    async def kill(self) -> None:
        """SIGKILL, now."""
        self._up.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()

    async def restart(self) -> None:
        """Killed while it works; nobody is told."""
        if self._up.is_set():
            self.kills += 1
            await self.kill()
            await self.start()
