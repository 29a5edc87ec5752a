"""Brokers as processes of their own, each in a temporary folder and gone at the end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bus.client import PATIENCE_S, Client, Login, Peer

KEY = Login("RootManageSharedAccessKey", "SAS_KEY_VALUE")
RABBITMQ = "rabbitmq-server"
_DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's script on the PATH changes user and folder, and then calls this one."""
_LISTENS = re.compile(r"listens on 127\.0\.0\.1:(\d+)")


@contextmanager
def emulator(folder: Path, queues: int = 1) -> Iterator[Peer]:
    """Ours, which keeps what it gets in the folder; the queues are `bench` and more."""
    names = ["bench", *(f"bench-{number}" for number in range(1, queues))]
    declared = [{"Name": name, "Properties": {"LockDuration": "PT5M"}} for name in names]
    config = folder / "Config.json"
    config.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "bench", "Queues": declared}]}}))
    options = ["--port", "0", "--data", str(folder / "data"), "--entities", str(config)]
    with _module("localcloud.emulators.service_bus", *options) as (pid, port):
        yield Peer(port, KEY, "bench", pid)


@contextmanager
def null() -> Iterator[Peer]:
    """The peer that does nothing."""
    with _module("benchmarks.bus.null") as (pid, port):
        yield Peer(port, KEY, "bench", pid)


@contextmanager
def echo() -> Iterator[Peer]:
    """Sends back every byte."""
    with _module("benchmarks.bus.echo") as (pid, port):
        yield Peer(port, KEY, "", pid)


@contextmanager
def _module(name: str, *arguments: str) -> Iterator[tuple[int, int]]:
    command = [sys.executable, "-m", name, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            said = process.stdout.readline()
            found = _LISTENS.search(said)
            if found is None:
                raise ChildProcessError(f"{name} must say where it listens, got {said!r}")
            yield process.pid, int(found[1])
        finally:
            process.kill()


def has_rabbitmq() -> bool:
    """Is there a peer to compare with?"""
    return shutil.which(RABBITMQ) is not None


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Peer]:
    """RabbitMQ with its AMQP 1.0 plugin, one node that nobody else knows, with an epmd of its own."""
    port, names, distribution = _free_ports(3)
    (folder / "plugins").write_text("[rabbitmq_amqp1_0].\n")
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = false\n")
    pid_file = folder / "pid"
    environment = {
        **os.environ, "HOME": str(folder), "ERL_EPMD_PORT": str(names), "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_NODENAME": "bench@localhost", "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"), "RABBITMQ_PID_FILE": str(pid_file),
    }  # fmt: skip
    command = str(_DEBIAN) if _DEBIAN.exists() else RABBITMQ
    log = (folder / "output").open("w")
    with log, _own(["epmd", "-port", str(names)], environment, log), _own([command], environment, log):
        login = Login("guest", "guest")
        _wait(port, login, folder)
        yield Peer(port, login, "/queue/bench", int(pid_file.read_text()))


@contextmanager
def _own(command: list[str], environment: dict[str, str], output: object) -> Iterator[None]:
    """A process and all that it starts, in a group of its own."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )  # type: ignore[call-overload]
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(port: int, login: Login, folder: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            Client(port, login).socket.close()
        except OSError as error:
            if time.monotonic() > until:
                said = (folder / "output").read_text()[-2000:]
                raise ChildProcessError(f"{RABBITMQ} must answer within {PATIENCE_S:g} s: {said}") from error
            time.sleep(0.2)
        else:
            return


def _free_ports(count: int) -> list[int]:
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in opened]
    for one in opened:
        one.close()
    return ports
