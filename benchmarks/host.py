"""Storage queue messages through the local Functions host and a handler that does nothing, beside bare Azurite.

Both in turn in the same minutes, on the same Azurite: *bare* takes batches and deletes each message, with nothing in
between but aiohttp; *host* is the whole way: door (TLS, token, role), listener, worker process, log line, settlement.
Cold start: a message put while the app sleeps, until its handler is through.
"""

import asyncio
import logging
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import aiohttp

from benchmarks.measure import Bench, figure, machine, processor_s, ratio
from components.packaging.archive import unpack
from components.packaging.builder import build, plan
from components.packaging.manifest import App, Function, QueueTrigger
from components.packaging.target import Target
from localcloud.emulators.cloud import LocalCloud
from localcloud.host.functions import FunctionsHost
from localcloud.host.queue_access import TokenQueueAccess
from localcloud.host.spec import AppSpec

BARE, HOST = "bare Azurite, get and delete", "host, no-op handler"
MESSAGES = 1_000
AT_ONCE = 16
LIMIT_S = 60
GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/bench"
ROLE = "974c5e8b-45b9-4653-ba55-5f855dd0fb88"  # Storage Queue Data Contributor
PRINCIPAL, CLIENT = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
HANDLER = '''"""Does nothing."""

import msgspec

from core.runtime.context import Context
from core.runtime.outcome import Done, Outcome


class Work(msgspec.Struct):
    number: int


async def handle(work: Work, context: Context[None]) -> Outcome:
    return Done()
'''
_log = logging.getLogger("benchmarks")


def run(root: Path, rounds: int) -> Bench:
    """Bare and host in turn, then cold starts."""
    with tempfile.TemporaryDirectory() as folder:
        package = _package(root, Path(folder))
        bare, host, cold = asyncio.run(_Bench(Path(folder), package).run(rounds))
    rows = []
    for name, laps in ((BARE, bare), (HOST, host)):
        rows.append(figure(name, [lap.rate for lap in laps], "messages/s"))
        rows.append(figure(f"{name}: processor", [lap.processor_ms for lap in laps], "ms/message"))
    rows.append(figure("cold start: message put to handled", cold, "s"))
    rates = [[lap.rate for lap in laps] for laps in (host, bare)]
    costs = [[lap.processor_ms for lap in laps] for laps in (host, bare)]
    return Bench(
        name="host", machine=machine(), rounds=rounds, rows=rows,
        ratios={"host / bare Azurite": ratio(*rates), "processor: host / bare Azurite": ratio(*costs)},
    )  # fmt: skip


class _Lap(NamedTuple):
    rate: float
    """Messages a second."""
    processor_ms: float
    """A message, of every process that had a part in it."""


def _package(root: Path, folder: Path) -> Path:
    """A built package with the no-op handler, on the project's own run time and pins."""
    project = folder / "project"
    (project / "handlers" / "bench").mkdir(parents=True)
    for name in ("core", "handlers/requirements.in", "handlers/requirements.txt"):
        (project / name).symlink_to(root / name)
    for name in ("handlers/__init__.py", "handlers/bench/__init__.py"):
        (project / name).touch()
    (project / "handlers" / "bench" / "nothing.py").write_text(HANDLER)
    step = Function(name="nothing", run="handlers.bench.nothing", trigger=QueueTrigger(queue="work", connection="WORK"))
    declared = plan(App(name="bench", system="bench", functions=(step,)), root=project, target=Target.local())
    return unpack(build(declared, folder / "out", progress=lambda _: None).path, folder / "package")


class _Bench:
    """One local cloud."""

    def __init__(self, folder: Path, package: Path) -> None:
        self._folder, self._package = folder, package
        self._cloud = LocalCloud(folder / "cloud", tenant_id="t", subscription_id="s", aws_account="123456789012")

    async def run(self, rounds: int) -> tuple[list[_Lap], list[_Lap], list[float]]:
        """Laps of both, seconds of cold starts."""
        await self._cloud.start()
        try:
            self._cloud.identity.put(PRINCIPAL, CLIENT, "bench")
            await self._cloud.storage.put_account(GROUP, "bench")
            for queue in ("work", "work-poison"):
                await self._cloud.storage.put_queue(f"{GROUP}/queueServices/default/queues/{queue}", "bench", queue)
            self._cloud.access.assign("one", PRINCIPAL, ROLE, GROUP)
            bare, host = [], []
            for lap in range(rounds + 1):  # the first one warms up
                _log.info("round %s of %s", lap, rounds)
                bare.append(await self._bare())
                host.append(await self._hosted())
            cold = [await self._cold() for _ in range(rounds)]
            return bare[1:], host[1:], cold
        finally:
            await self._cloud.stop()

    async def _call(self, method: str, rest: str, query: str, data: str | None = None) -> bytes:
        storage = self._cloud.storage
        url = storage.target(storage.base("queue"), "bench", rest, query)
        assert url is not None  # noqa: S101 - declared above
        async with storage.session.request(method, url, data=data, headers={"x-ms-version": "2021-12-02"}) as answer:
            body = await answer.read()
            if answer.status >= 300:
                raise aiohttp.ClientError(f"Azurite: {method} {rest} must succeed, got {answer.status} {body[:200]!r}")
            return body

    async def _fill(self, count: int) -> None:
        async def some(numbers: range) -> None:
            for number in numbers:
                text = f'<QueueMessage><MessageText>{{"number": {number}}}</MessageText></QueueMessage>'
                await self._call("POST", "/work/messages", "messagettl=-1", text)

        await asyncio.gather(*(some(range(first, count, AT_ONCE)) for first in range(AT_ONCE)))

    def _processor(self, *workers: int) -> float:
        """Seconds that this process (door, host), Azurite and the workers have used so far."""
        azurite = int((self._folder / "cloud" / "azurite" / "azurite.pid").read_text())
        return time.process_time() + sum(map(processor_s, (azurite, *workers)))

    async def _bare(self) -> _Lap:
        await self._fill(MESSAGES)
        began, used, done = time.perf_counter(), self._processor(), 0
        while done < MESSAGES:
            body = (
                await self._call("GET", "/work/messages", f"numofmessages={AT_ONCE}&visibilitytimeout=600")
            ).decode()
            found = [part.split("</MessageId>", 1) for part in body.split("<MessageId>")[1:]]
            await asyncio.gather(*(self._delete(name, rest) for name, rest in found))
            done += len(found)
        return _Lap(MESSAGES / (time.perf_counter() - began), (self._processor() - used) / MESSAGES * 1000)

    async def _delete(self, name: str, rest: str) -> None:
        receipt = rest.split("<PopReceipt>", 1)[1].split("</PopReceipt>", 1)[0].replace("+", "%2B")
        await self._call("DELETE", f"/work/messages/{name}", f"popreceipt={receipt}")

    def _host(self, *, instances: int) -> FunctionsHost:
        spec = AppSpec(
            name="bench", system="bench", package=self._package, python=sys.executable,
            folder=self._folder / "host" / uuid.uuid4().hex, instances=instances, max_instances=1,
            settings={
                "WORK__queueServiceUri": f"{self._cloud.endpoints['queue']}/bench", "WORK__clientId": CLIENT,
            },
            platform={"TZ": "UTC", "HOME": str(self._folder)},
        )  # fmt: skip
        access = TokenQueueAccess(
            self._token, ca_file=self._cloud.endpoints["ca_file"], bell=self._cloud.storage.bell,
            servers=self._cloud.door.server_at,
        )  # fmt: skip
        return FunctionsHost(spec, on_line=lambda _: None, queue_access=access)

    def _token(self, client_id: str | None, audience: str) -> str:
        who = self._cloud.identity.of_client(client_id or "")
        assert who is not None  # noqa: S101 - put above
        return self._cloud.identity.token(who.principal_id, audience)

    async def _hosted(self) -> _Lap:
        await self._fill(MESSAGES)
        host = self._host(instances=1)
        await host.start()
        worker = host.status().instances[0].pid or 0
        began, used = time.perf_counter(), self._processor(worker)
        try:
            await _until(lambda: host.status().functions[0].runs == MESSAGES and host.in_flight == 0)
            return _Lap(MESSAGES / (time.perf_counter() - began), (self._processor(worker) - used) / MESSAGES * 1000)
        finally:
            await host.stop()

    async def _cold(self) -> float:
        host = self._host(instances=0)
        await host.start()
        try:
            await _until(lambda: not host.status().instances)
            began = time.perf_counter()
            await self._fill(1)
            await _until(lambda: host.status().functions[0].runs == 1 and host.in_flight == 0)
            return time.perf_counter() - began
        finally:
            await host.stop()


async def _until(holds: object) -> None:
    assert callable(holds)  # noqa: S101
    async with asyncio.timeout(LIMIT_S):
        while not holds():  # noqa: ASYNC110 - nothing in the host tells of this
            await asyncio.sleep(0.01)
