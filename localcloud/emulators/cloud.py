"""The local cloud as one object: every protocol in this process (Azurite as a child), on one asyncio loop."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from aiohttp import web

from localcloud.emulators import disk
from localcloud.emulators.access import Access
from localcloud.emulators.aws.aws import Aws
from localcloud.emulators.azurite import Azurite
from localcloud.emulators.buses import SERVICE as SERVICE_BUS
from localcloud.emulators.buses import ServiceBusNamespaces
from localcloud.emulators.ca import CertificateAuthority
from localcloud.emulators.door import Door, Service, Troubles
from localcloud.emulators.entra_gate import EntraGate, token_middleware
from localcloud.emulators.identity import MANAGED_IDENTITY_LIFETIME_S, Identity
from localcloud.emulators.identity_site import TOKEN_PATH, TROUBLES, IdentitySite
from localcloud.emulators.logs import Logs
from localcloud.emulators.ports import Ports
from localcloud.emulators.postgres.flexible import FlexibleServers
from localcloud.emulators.private_files import private_folder
from localcloud.emulators.queue_depth import QueueDepth
from localcloud.emulators.refusals import json_reply
from localcloud.emulators.storage import Storage
from localcloud.emulators.storage_service import StorageService
from localcloud.emulators.vault import Vaults


def _quiet(message: str) -> None:
    """Progress that nobody asked for."""
    del message


class LocalCloud:
    """Starts and stops the emulators under `home` (durable, private) and gives them out by name.

    The control plane replays its puts after each start: all of them are idempotent. Data (objects, messages, rows,
    secrets, keys) is the emulators' own and survives. `say` is told about long steps (the first install of Azurite).
    """

    def __init__(
        self,
        home: Path,
        *,
        tenant_id: str,
        subscription_id: str,
        aws_account: str,
        region: str = "eu-central-1",
        clock: Callable[[], float] = time.time,
        say: Callable[[str], None] = _quiet,
        token_lifetime_s: int = MANAGED_IDENTITY_LIFETIME_S,
    ) -> None:
        self.subscription_id = subscription_id
        self._say, self._clock, self._token_lifetime_s = say, clock, token_lifetime_s
        self._home = home = private_folder(home)
        self._ca = CertificateAuthority(home / "ca")
        ports = Ports(home / "ports.json")
        self.door = Door(ports, self._ca.server_context)
        self.identity = Identity(home / "identity", tenant_id=tenant_id, clock=clock)
        self.access = Access()
        self._gate = EntraGate(self.identity, self.access)
        self._azurite = Azurite(home / "azurite", ports)
        self.storage = Storage(home / "storage.json", self._azurite)
        self.aws = Aws(home / "aws", self.identity, account_id=aws_account, region=region, clock=clock)
        self.logs = Logs(home / "logs", self._gate, clock=clock)
        self.vault = Vaults(home / "vault", self.door, self._gate, clock=clock)
        self.postgres = FlexibleServers(home / "postgres", ports, self.identity, self._ca.server_context, self.door)
        self.buses = ServiceBusNamespaces(
            home / "service_bus", ports, self.identity, self.access, self._ca.server_context,
            count=self._counter(SERVICE_BUS), clock=clock,
        )  # fmt: skip
        self.endpoints: dict[str, str] = {}

    async def start(self) -> None:
        """Opens every door and starts Azurite; `endpoints` is complete afterwards (but for mounted applications)."""
        site = IdentitySite(
            self.identity, clock=self._clock, asked=self._count_token, lifetime_s=self._token_lifetime_s
        )
        identity = await self.door.open_app("identity", site.app(), TROUBLES, tls=False)
        await self.storage.start()
        await self._azurite.start(self._say)
        services = (
            *(StorageService("blob", self.storage, self._gate), StorageService("queue", self.storage, self._gate)),
            *(self.aws.s3, self.aws.sqs, self.aws.sts, self.logs.ingestion, self.logs.collector),
        )
        addresses = {service.name: await self.door.open(service) for service in services}
        self.aws.sqs.base = addresses["sqs"]
        self.aws.resume()
        self.logs.base = addresses["logs"]
        self.endpoints.update(addresses)
        self.endpoints.update(identity=identity + TOKEN_PATH, ca_file=str(self._ca.ca_file))

    async def stop(self) -> None:
        """Closes every door and lets Azurite save; all data stays."""
        await self.door.close_all()
        await self.buses.stop()
        await self.postgres.stop()
        await self.storage.stop()
        await self._azurite.stop()
        self.logs.close()
        self.vault.close()
        self.aws.close()
        self.endpoints.clear()

    async def mount(self, service: str, app: web.Application, audience: str) -> str:
        """Serves somebody else's application behind the door: the bearer token for `audience` is checked first and its
        claims are in `request["claims"]`. Answers the address, which is also in `endpoints[service]`.
        """
        app.middlewares.insert(0, token_middleware(self._gate, audience, self._counter(service)))
        self.endpoints[service] = await self.door.open_app(service, app, Troubles(json_reply))
        return self.endpoints[service]

    async def serve(self, service: Service) -> str:
        """Opens somebody else's service, which checks its callers itself. Answers the address."""
        self.endpoints[service.name] = await self.door.open(service)
        return self.endpoints[service.name]

    async def show(self, name: str, app: web.Application) -> str:
        """Serves pages for a browser, without TLS (it does not know our authority); the application checks its callers
        itself. Answers the address, which is not among the endpoints.
        """
        return await self.door.open_app(name, app, Troubles(json_reply), tls=False)

    def problems(self) -> dict[str, str]:
        """What does not work now, and why: nothing, most of the time."""
        found = {
            "storage": self._azurite.problem,
            "certificate": self._ca.problem(),
            "disk": disk.problem(self._home),
            **self.postgres.problems(),
            **self.buses.problems(),
        }
        return {name: problem for name, problem in found.items() if problem}

    async def queues(self) -> list[QueueDepth]:
        """The depth of every queue of every kind."""
        dead = self.aws.dead_queues()
        return [
            msgspec.structs.replace(depth, dead_letters=depth.name in dead or depth.name.endswith("-poison"))
            for depth in [*self.aws.depths(), *await self.storage.depths()]
        ] + self.buses.depths()

    async def in_flight(self) -> int:
        """Messages of every queue that are visible, invisible or scheduled; dead letters are not in flight."""
        return sum(depth.moving for depth in await self.queues())

    async def release(self) -> int:
        """What time would do: every visibility timeout and every lock is over. Answers how many messages came back."""
        return self.aws.release() + await self.storage.release() + self.buses.release()

    def _count_token(self, client_id: str) -> None:
        del client_id
        self.door.calls["identity", "token"] += 1

    def _counter(self, service: str) -> Callable[[str, bool], None]:
        def count(operation: str, admitted: bool) -> None:
            (self.door.calls if admitted else self.door.refused)[service, operation] += 1

        return count
