"""The supervisor: one process that holds the local cloud of a stack together. Started by `up`, stopped by `down`.

It owns the emulators, the control plane's record, the function apps and the one loopback API that engines and the
command line speak to. `python -m localcloud.supervisor.process HOME SETTINGS` runs it in the foreground until SIGTERM.
"""

import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path

import msgspec
from aiohttp import web

from localcloud.control import address
from localcloud.control import api as control_api
from localcloud.control.kinds import Locality, Tenancy
from localcloud.control.plane import ControlPlane
from localcloud.emulators.cloud import LocalCloud
from localcloud.engine.holding import holding
from localcloud.outside.services import OutsideServices
from localcloud.supervisor.api import Api
from localcloud.supervisor.apps import Apps
from localcloud.supervisor.dead_letters import DeadLetterDesk
from localcloud.supervisor.faults import Faults
from localcloud.supervisor.logbook import Logbook
from localcloud.supervisor.metrics import open_metrics
from localcloud.supervisor.sites import Sites

MANAGEMENT = "https://management.azure.com"
MAX_REQUEST_BYTES = 64 << 20
ROOT = Path(__file__).resolve().parents[2]
STOP_S = 45  # seconds; longer than every part's own grace together


class Supervisor:
    """Everything that runs here, started in the order in which each part needs the next."""

    def __init__(self, home: Path, tenancy: Tenancy) -> None:
        """`home`: the stack's folder under `.millrace/`."""
        self.home, self.tenancy = home, tenancy
        self.cloud = LocalCloud(
            home / "cloud",
            tenant_id=tenancy.tenant_id,
            subscription_id=tenancy.subscription_id,
            aws_account=tenancy.aws_account,
            region=tenancy.aws_region,
            say=_say,
        )
        self.logbook = Logbook(home / "logs")
        self.apps = Apps(home / "apps", self.cloud, self.logbook)
        self.faults = Faults(self.cloud, self.apps)
        self.outside = OutsideServices(home / "outside", self.cloud)
        self.deployer_header = secrets.token_urlsafe(24)
        self.stopping = asyncio.Event()
        self.code = address.code_stamp(ROOT)
        self._runner: web.AppRunner | None = None
        self._dead_letters: DeadLetterDesk | None = None
        self.plane = ControlPlane(
            home / "control.sqlite",
            Locality(tenancy, self.cloud, self.apps),
            deployer_id=self.cloud.identity.deployer.principal_id,
        )

    async def start(self) -> None:
        """Emulators and what stands outside, then the record, then the apps, then the API; the address is published
        last.
        """
        await self.cloud.start()
        await self.outside.start()
        sites = Sites(self.apps, self.cloud)
        await self.cloud.mount("management", sites.management(), MANAGEMENT)
        await self.cloud.mount("scm", sites.scm(), MANAGEMENT)
        await open_metrics(self.home, self.cloud)
        deployer = self.cloud.identity.deployer
        self.cloud.identity.register_header(self.deployer_header, [deployer.client_id])
        await self.plane.replay()
        self._dead_letters = DeadLetterDesk(self.home, self.cloud, self.plane, self.tenancy.aws_region)
        await self._dead_letters.resume()
        await self.apps.start()
        await self._serve()

    async def _serve(self) -> None:
        secret = secrets.token_urlsafe(32)
        app = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[control_api.require_secret(secret)])
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        address.write(self.home, address.Address(pid=os.getpid(), port=port, secret=secret, code=self.code))

    def routes(self) -> list[web.RouteDef]:
        """Every call of the loopback API; all of them want its secret."""
        desk = self._dead_letters.routes() if self._dead_letters else []
        return [*control_api.routes(self.plane), *Api(self).routes(), *desk]

    async def stop(self) -> None:
        """Apps first (work in hand has its grace), then everything they used."""
        address.remove(self.home, os.getpid())
        if self._runner:
            await self._runner.cleanup()
        await self.apps.stop()
        if self._dead_letters:
            await self._dead_letters.stop()
        await self.cloud.stop()
        self.plane.close()


def _say(message: str) -> None:
    """Progress, for whoever waits for this process to be ready (they read its output)."""
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


async def run(home: Path, tenancy: Tenancy) -> None:
    """Run until SIGTERM, SIGINT or the API's stop."""
    supervisor = Supervisor(home, tenancy)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stopping.set)
    # A start may hang or take long (an install, a port): it is ended by the same signals.
    start, stopping = loop.create_task(supervisor.start()), loop.create_task(supervisor.stopping.wait())
    try:
        await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            start.result()
            _say("ready")
            await stopping
    finally:
        start.cancel()
        async with asyncio.timeout(STOP_S):
            await supervisor.stop()


def main() -> None:
    """The process's entry: HOME and the tenancy as JSON."""
    home, tenancy = Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Tenancy)
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    with holding(home / address.LOCK, lambda pid: SystemExit(_busy(home, pid))):
        asyncio.run(run(home, tenancy))


def _busy(home: Path, pid: str) -> str:
    return f"another supervisor (process {pid}) holds {home}; stop it with ./millrace down"


if __name__ == "__main__":
    main()
