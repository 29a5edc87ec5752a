"""Where contestants run against the same services, one after another, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import urllib3

from benchmarks.ingestion.contestant import Used
from benchmarks.ingestion.services import Order
from localcloud.emulators.ca import CertificateAuthority

_LIMIT_S = 900.0


class Counted(msgspec.Struct):
    """What the services saw of one run."""

    seconds: float
    """From the first call to the answer of the last message's deletion."""
    cpu_s: float
    """The services' own."""
    calls: int
    refused: int
    messages_left: int
    uploads: int
    uploaded_bytes: int
    records: int
    lost: int
    doubled: int
    altered: int


class Outcome(msgspec.Struct):
    """One run, every record of it accounted for."""

    counted: Counted
    used: list[Used]
    """One a process."""

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.counted.records / self.counted.seconds

    @property
    def cpu_us(self) -> float:
        """Processor time a record, all processes together."""
        return sum(one.cpu_s for one in self.used) / self.counted.records * 1e6

    @property
    def rss_mb(self) -> float:
        """Of the biggest process."""
        return max(one.peak_rss_mb for one in self.used)

    @property
    def services_share(self) -> float:
        """How busy the services were, in percent of one core: far below 100, or they were the bottleneck."""
        return self.counted.cpu_s / self.counted.seconds * 100


class RecordsWrongError(Exception):
    """A contestant lost, doubled or altered records: its speed means nothing."""


class Field:
    """The services' process, over http, or https when a folder for certificates is given."""

    def __init__(self, certificates: Path | None = None) -> None:
        self._environment = dict(os.environ)
        command = [sys.executable, "-m", "benchmarks.ingestion.services"]
        if certificates is not None:
            authority = CertificateAuthority(certificates)
            self._environment["REQUESTS_CA_BUNDLE"] = str(authority.ca_file)
            command.append(str(certificates / "server.pem"))
        self._services = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._services.stdout  # noqa: S101 - a pipe
        port = self._services.stdout.readline().strip()
        self.origin = f"http{'s' if certificates else ''}://127.0.0.1:{port}"
        self._http = urllib3.PoolManager(ca_certs=self._environment.get("REQUESTS_CA_BUNDLE") if certificates else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.clear()
        _end(self._services)

    def race(self, contestant: str, order: Order, *, processes: int = 1) -> Outcome:
        """Runs `processes` of `benchmarks.ingestion.<contestant>` until all of `order` is ingested.

        Raises RecordsWrongError when a record did not arrive exactly once.
        """
        self._ask("POST", "/-/begin", msgspec.json.encode(order))
        command = [sys.executable, "-m", f"benchmarks.ingestion.{contestant}", self.origin]
        with ExitStack() as stack:
            running = []
            for _ in range(processes):
                one = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment
                )
                stack.callback(_end, one, grace_s=0)
                running.append(one)
            for one in running:
                _await_ready(one)
            for one in running:
                assert one.stdin  # noqa: S101 - a pipe
                one.stdin.write("go\n")
                one.stdin.flush()
            used = [_result(contestant, one.communicate(timeout=_LIMIT_S)[0]) for one in running]
        counted = msgspec.json.decode(self._ask("GET", "/-/count"), type=Counted)
        wrong = {name: getattr(counted, name) for name in ("lost", "doubled", "altered", "messages_left")}
        if any(wrong.values()):
            raise RecordsWrongError(f"{contestant}: every record must arrive once, got {wrong}; {used}")
        return Outcome(counted, used)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        answer = self._http.request(method, self.origin + path, body=body, timeout=_LIMIT_S, retries=False)
        if answer.status != 200:
            raise RuntimeError(f"the services must answer {path} with 200, got {answer.status}")
        return answer.data


def alone(module: str, *arguments: str, environment: dict[str, str] | None = None) -> tuple[Used, float]:
    """Runs one contestant in a process of its own: what it used, and its seconds from "go" to its end."""
    command = [sys.executable, "-m", module, *arguments]
    with ExitStack() as stack:
        one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        stack.callback(_end, one, grace_s=0)
        _await_ready(one)
        began = time.perf_counter()
        out, _ = one.communicate("go\n", timeout=_LIMIT_S)
        return _result(module, out), time.perf_counter() - began


def _await_ready(one: subprocess.Popen[str]) -> None:
    assert one.stdout  # noqa: S101 - a pipe
    while (line := one.stdout.readline().strip()) != "ready":
        if not line:
            raise RuntimeError(f"{one.args!r} must say that it is ready; it ended with {one.wait()}")


def _result(contestant: str, out: str) -> Used:
    lines = out.splitlines()
    if not lines:
        raise RuntimeError(f"{contestant} must end with one line of JSON, got nothing; its error stands above")
    return msgspec.json.decode(lines[-1], type=Used)


def _end(one: subprocess.Popen[str], *, grace_s: float = 5) -> None:
    """Its standard input ends, and with it a healthy process; one that goes on is killed."""
    if one.stdin:
        one.stdin.close()
    try:
        one.wait(timeout=grace_s)
    except subprocess.TimeoutExpired:
        one.kill()
        one.wait()
    if one.stdout:
        one.stdout.close()
