"""A stack on this machine: starts its supervisor, applies the program, feeds systems, waits until nothing is in flight.

What the command line's `up`, `feed`, `wait`, `down` and `reset` do, without a word about how it is shown.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from localcloud.control import address
from localcloud.control.client import ControlClient, Supervisor
from localcloud.control.kinds import Tenancy
from localcloud.emulators import disk
from localcloud.emulators.private_files import private_folder
from localcloud.engine.config import load_program
from localcloud.engine.deployment import Progress
from localcloud.engine.embedded import Program, RunResult, run
from localcloud.engine.holding import holder
from localcloud.engine.state import Record, State
from localcloud.session import pulumi_record
from localcloud.session.processes import alive, end, own_environment
from localcloud.session.systems import others, queues_of
from localcloud.supervisor.shapes import Access, CloudStatus, Fire, Query, QueryAnswer

START_S = 300  # seconds; the first start installs Azurite
STOP_S = 60
POLL_S = 0.1
ENGINE_FILE = "engine"
STACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

Say = Callable[[str], None]


class LocalCloudError(Exception):
    """The local cloud cannot do what was asked; the message says why and what to do."""


class LocalStack:
    """One stack of the project in `root`, kept under `.millrace/<stack>/`."""

    def __init__(
        self, root: Path, stack: str = "local", *, home: Path | None = None, settings: dict[str, Any] | None = None
    ) -> None:
        """Nothing is started yet. `home`: another folder than the stack's own; `settings` replace whole keys of it.

        Raises LocalCloudError for a stack's name that is none: it becomes a folder's.
        """
        if not STACK_NAME.fullmatch(stack):
            raise LocalCloudError(
                f"a stack's name must be letters, digits, -, _ and ., beginning with a letter or digit, got {stack!r}; "
                "correct MILLRACE_STACK"
            )
        self.root, self.stack = root, stack
        self.home = home or root / ".millrace" / stack
        self.settings = settings or {}
        self._known: tuple[address.Address, Supervisor] | None = None

    # ---- the supervisor

    def running(self) -> Supervisor | None:
        """The supervisor, if it runs."""
        found = address.read(self.home)
        if self._known and self._known[0] != found:
            self.close()
        if found and self._known is None:
            self._known = found, Supervisor(found)
        return self._known[1] if self._known else None

    def close(self) -> None:
        """Close the connection to the supervisor, which is kept from call to call."""
        if self._known:
            self._known[1].close()
        self._known = None

    def require(self) -> Supervisor:
        """The supervisor; raises when the local cloud is down."""
        found = self.running()
        if found is None:
            raise LocalCloudError(f"the local cloud of stack {self.stack} is down; start it with ./millrace up")
        return found

    def ensure(self, say: Say) -> Supervisor:
        """The supervisor, started in the background if need be; `say` hears about long steps."""
        if self.running() is None:
            self._require_local()
        private_folder(self.home)
        with (self.home / "start.lock").open("w") as lock:
            # Two first runs at once: the second waits, then finds the first one's supervisor.
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = address.read(self.home)
            if known and known.code != address.code_stamp(self.root):
                say("its code has changed: starting it anew")
                self.stop()
            return self.running() or self._start(say)

    def _require_local(self) -> None:
        """Nobody takes a laptop for production: a local stack has the local subscription."""
        ours, said = (
            load_program(self.root, stack, None).config.get("azure-native:subscriptionId")
            for stack in ("local", self.stack)
        )
        if said != ours:
            raise LocalCloudError(
                f"STOP: stack {self.stack} is not local: its azure-native:subscriptionId must be that of "
                f"Pulumi.local.yaml, got {said}; nothing was done. To see what it would get, run ./millrace preview "
                f"--stack {self.stack}; for another local stack: cp Pulumi.local.yaml Pulumi.other.yaml"
            )

    def _start(self, say: Say) -> Supervisor:
        if full := disk.problem(self.home):
            raise LocalCloudError(full)
        tenancy = tenancy_of(self.program())
        who = msgspec.json.encode(tenancy).decode()
        command = [sys.executable, "-m", "localcloud.supervisor.process", str(self.home), who]
        log = self.home / "supervisor.log"
        log.unlink(missing_ok=True)  # made anew, for its owner only
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as errors:
            process = subprocess.Popen(
                command, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                start_new_session=True, env=own_environment(), text=True,
            )  # fmt: skip
        try:
            self._await_ready(process, say, log)
        except BaseException:
            end(process.pid)
            process.wait()
            raise
        return self.require()

    def _await_ready(self, process: "subprocess.Popen[str]", say: Say, log: Path) -> None:
        for line in process.stdout or ():
            if line.strip() == "ready":
                return
            say(line.strip())
        process.wait()
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise LocalCloudError(f"the local cloud did not start (exit {process.returncode}); the end of {log}:\n{tail}")

    def stop(self) -> bool:
        """Stop every process, keep all data; False when nothing ran."""
        found = address.read(self.home)
        # One that is starting, or hangs, takes no calls: its lock names it.
        pid = found.pid if found else holder(self.home / address.LOCK)
        if pid is None:
            return False
        end(pid)
        deadline = time.monotonic() + STOP_S
        while time.monotonic() < deadline:
            if not alive(pid):
                address.remove(self.home, pid)
                return True
            time.sleep(POLL_S)
        raise LocalCloudError(f"process {pid} did not end within {STOP_S} s; end it with: kill -9 {pid}")

    def reset(self) -> bool:
        """Stop everything and forget all local data; False when there was none."""
        self.stop()
        existed = self.home.exists()
        shutil.rmtree(self.home, ignore_errors=True)
        return existed

    # ---- the program

    def program(self, systems: list[str] | None = None) -> Program:
        """The program with this stack's settings, limited to some systems if named."""
        return load_program(self.root, self.stack, {**self.settings, **({"systems": systems} if systems else {})})

    def apply(self, supervisor: Supervisor, progress: Progress, systems: list[str] | None = None) -> RunResult:
        """Make the local cloud as the program says. A run limited to some systems removes nothing of the others."""
        access = supervisor.call("GET", "/access", None, Access)
        os.environ.update(deployer_environment(access))
        overrides: dict[str, Any] = {**self.settings, **access.settings()}
        if systems:
            overrides["systems"] = systems
        program = load_program(self.root, self.stack, overrides)
        state = State(self.home / "engine.sqlite")
        try:
            with state.only_writer():
                self.engine_runs("embedded")
                return run(
                    program,
                    cloud=ControlClient(supervisor),
                    state=state,
                    keep=others(systems) if systems else lambda _record, _all: False,
                    progress=progress,
                )
        finally:
            state.close()

    def outputs(self) -> dict[str, Any]:
        """The outputs of the last run; empty before the first."""
        stacks = [record for record in self.records().values() if record.type == "pulumi:pulumi:Stack"]
        return stacks[0].outputs if stacks else {}

    def records(self) -> dict[str, Record]:
        """What the last run left, by urn; empty before the first."""
        if self.last_engine() == "pulumi":
            return pulumi_record.records(pulumi_record.checkpoint(self.home, self.program().project, self.stack))
        file = self.home / "engine.sqlite"
        if not file.exists():
            return {}
        state = State(file)
        try:
            return state.records()
        finally:
            state.close()

    def last_engine(self) -> str:
        """Which engine changed this stack last: `embedded` or `pulumi`. Each keeps a record of its own."""
        try:
            return (self.home / ENGINE_FILE).read_text()
        except FileNotFoundError:
            return "embedded"

    def engine_runs(self, engine: str) -> None:
        """Say that an engine is about to change this stack."""
        private_folder(self.home)
        (self.home / ENGINE_FILE).write_text(engine)

    # ---- what runs

    def status(self) -> CloudStatus:
        """Resources, apps, queues, endpoints."""
        return self.require().call("GET", "/status", None, CloudStatus)

    def fire_timers(self, system: str) -> int:
        """Start every timer of a system once; answers how many."""
        supervisor, fired = self.require(), 0
        for app in self.status().apps:
            for function in app.functions:
                if app.system == system and function.trigger.get("type") == "timerTrigger":
                    supervisor.call("POST", "/fire", Fire(app=app.name, function=function.name), object)
                    fired += 1
        return fired

    def wait(
        self,
        timeout_s: float,
        *,
        systems: list[str] | None = None,
        on_poll: Callable[[CloudStatus], None] = lambda _status: None,
    ) -> CloudStatus:
        """Return when nothing is in flight and no handler runs (of these systems); raises after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        only = queues_of(systems, self.records()) if systems else None
        while True:
            status = self.status()
            if only is not None:
                status.in_flight = sum(queue.moving for queue in status.queues if queue.name in only)
                status.busy = sum(app.in_flight for app in status.apps if app.system in (systems or [])) + status.fired
            on_poll(status)
            if status.in_flight == 0 and status.busy == 0:
                return status
            if time.monotonic() > deadline:
                waiting = [f"{queue.name} {queue.moving}" for queue in status.queues if queue.moving]
                raise LocalCloudError(
                    f"still in flight after {timeout_s:g} s: {status.in_flight} messages ({', '.join(waiting)}), "
                    f"{status.busy} handlers running; see ./millrace logs, or wait longer with --timeout"
                    + "".join(f"\n  {problem}" for problem in status.problems.values())
                )
            time.sleep(POLL_S)

    def query(self, sql: str) -> QueryAnswer:
        """One SQL statement over the local Log Analytics tables."""
        return self.require().call("POST", "/query", Query(sql=sql), QueryAnswer)


def tenancy_of(program: Program) -> Tenancy:
    """Who we are, from a stack's settings; what is missing is left empty, the program itself complains."""
    config = program.config
    try:
        aws = msgspec.json.decode(config.get(f"{program.project}:aws", "{}"))
    except msgspec.DecodeError:
        aws = {}
    return Tenancy(
        subscription_id=config.get("azure-native:subscriptionId", ""),
        tenant_id=config.get("azure-native:tenantId", ""),
        aws_account=str(aws.get("accountId", "")) if isinstance(aws, dict) else "",
        aws_region=config.get("aws:region", "us-east-1"),
    )


def deployer_environment(access: Access) -> dict[str, str]:
    """What the deploying program's Azure SDKs read: the deployer's identity endpoint and the local CA."""
    return {
        "IDENTITY_ENDPOINT": access.identity_endpoint,
        "IDENTITY_HEADER": access.identity_header,
        "AZURE_CLIENT_ID": access.client_id,
        "REQUESTS_CA_BUNDLE": access.ca_file,
        "SSL_CERT_FILE": access.ca_file,
    }
