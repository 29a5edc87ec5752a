"""The emulator on its own, started as Microsoft's: `python -m localcloud.emulators.service_bus --entities Config.json`.

Loopback only by default: the key of Microsoft's emulator is public, and so is ours.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.management import config
from localcloud.emulators.service_bus.protocol.access import SharedKeys
from localcloud.emulators.service_bus.protocol.errors import Refused
from localcloud.emulators.service_bus.server import EMULATOR_KEYS, Server
from localcloud.emulators.service_bus.storage.journal import Journal, JournalError

AMQP_PORT = 5672
"""That of Microsoft's emulator."""
_CONNECT = (
    "Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;"
    "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m localcloud.emulators.service_bus",
        description="An Azure Service Bus namespace on this machine.",
        epilog=f"Next: connect with {_CONNECT.format(port='PORT')}",
    )
    parser.add_argument("--entities", type=Path, metavar="Config.json", help="queues, topics, subscriptions and rules")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=AMQP_PORT, help="0: a free one (default: %(default)s)")
    parser.add_argument(
        "--admin-port", type=int, help="administration and /metrics over HTTP there; 0: a free one (default: none)"
    )
    parser.add_argument("--memory", action="store_true", help="keep nothing on disk")
    folder = Path("service-bus-data")
    parser.add_argument("--data", type=Path, default=folder, metavar="DIR", help="the log (default: %(default)s)")
    return parser


@asynccontextmanager
async def running(given: argparse.Namespace) -> AsyncIterator[tuple[int, int | None]]:
    """The namespace on its ports: AMQP, and administration when that is wanted."""
    entities = config.read(given.entities) if given.entities else None
    journal = None if given.memory else Journal(given.data)
    service = Service(log=journal)
    try:
        service.start()
        if entities is not None:
            entities.apply(service)
        server = Server(service)
        try:
            port = await server.listen((given.host, given.port))
            async with administration(service, server, given) as admin_port:
                yield port, admin_port
        finally:
            await server.close()
    finally:
        service.close()
        if journal is not None:
            journal.close()


@asynccontextmanager
async def administration(service: Service, server: Server, given: argparse.Namespace) -> AsyncIterator[int | None]:
    """The administration and `/metrics` on their port, which is what the context gives; None: it is not wanted."""
    if given.admin_port is None:
        yield None
        return
    from localcloud.emulators.service_bus.management import metrics
    from localcloud.emulators.service_bus.management.admin import Administration  # an HTTP server: half of the start

    keys = SharedKeys(EMULATOR_KEYS, time.time)

    def authorize(token: str, _method: str, path: str) -> None:
        keys(token, path.lower(), "manage")

    def page() -> str:
        return metrics.page({metrics.OWN: metrics.Seen(service, server.connections)})

    admin = Administration(service, authorize, refusals=Refused, metrics=page)
    try:
        yield await admin.listen(given.host, given.admin_port)
    finally:
        await admin.close()


async def serve(given: argparse.Namespace) -> None:
    """Until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with running(given) as (port, admin_port):
        more = "" if admin_port is None else f" Administration: http://{given.host}:{admin_port}"
        text = f"Service Bus listens on {given.host}:{port}. Connect with {_CONNECT.format(port=port)}{more}"
        print(text, flush=True)  # noqa: T201
        await stop.wait()


def main() -> int:
    """Exit code 0 after a signal, 2 for what the caller has to change."""
    try:
        asyncio.run(serve(arguments().parse_args()))
    except (config.ConfigError, JournalError, OSError) as error:
        print(f"service_bus: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
