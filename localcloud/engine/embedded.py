"""The embedded engine: runs the program in this process and applies what it registers. Needs Python and nothing else.

It speaks the resource monitor's wire protocol (monitor.py) to the unchanged SDK, so the program cannot tell it from
Pulumi's own engine; it keeps its record in state.py and knows no resource type.
"""

import asyncio
import contextvars
import gc
import logging
import runpy
import sys
import traceback
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pulumi.runtime
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from localcloud.engine.deployment import Deployment, Progress
from localcloud.engine.monitor import CHANNEL_OPTIONS, EngineLog, Monitor
from localcloud.engine.provider import Provider
from localcloud.engine.state import Record, State
from localcloud.engine.values import Values

PROGRAM_GC = (200_000, 50, 100)
"""gc's thresholds: a program makes hundreds of thousands of objects that stay; looking for garbage is a tenth of it."""
THREADS = 32  # registrations in flight at once; each waits for a provider, so more than cores


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What is run: the folder with `__main__.py`, a stack's name and settings (`namespace:key` → text)."""

    root: Path
    project: str
    stack: str
    config: dict[str, str]
    secret_keys: list[str] = []
    organization: str = "organization"


class RunResult(msgspec.Struct, kw_only=True):
    """What came of a run. `failures` empty means: all is as the program says."""

    records: list[Record]
    shown: dict[str, Values]
    outputs: Values
    counts: dict[str, int]
    failures: list[str]
    messages: list[tuple[str, str]]


class ProgramError(Exception):
    """The program itself failed: its own message for a declaration error, else what it raised."""


def run(
    program: Program,
    *,
    cloud: Provider,
    state: State | None = None,
    preview: bool = False,
    keep: Callable[[Record, dict[str, Record]], bool] = lambda _record, _all: False,
    progress: Progress = lambda _step, _record: None,
    main: Callable[[], Any] | None = None,
) -> RunResult:
    """Run the program once against `cloud`.

    `keep` spares records of an earlier run that this one leaves out; `main` replaces `__main__.py` (tests).
    Raises `ProgramError` when the program fails; nothing is removed then.
    """
    deployment = Deployment(
        project=program.project, stack=program.stack, cloud=cloud, state=state, preview=preview, progress=progress
    )
    monitor, engine = Monitor(deployment, cloud), EngineLog()
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=CHANNEL_OPTIONS)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        # A context of its own: Pulumi keeps its settings in context variables, and a process may run many programs.
        contextvars.copy_context().run(_run_program, program, f"127.0.0.1:{port}", preview, main)
        if not deployment.failures:
            deployment.remove_leftovers(keep=keep)
    finally:
        monitor.close()
        server.stop(grace=1).wait()  # an orderly end: at once when nothing is under way, and without a complaint
    records = sorted(deployment.registered.values(), key=lambda record: record.order)
    stack = next((record for record in records if record.type == "pulumi:pulumi:Stack"), None)
    return RunResult(
        records=records,
        shown=deployment.shown,
        outputs=stack.outputs if stack else {},
        counts=dict(deployment.counts),
        failures=deployment.failures,
        messages=engine.messages,
    )


def _run_program(program: Program, address: str, preview: bool, main: Callable[[], Any] | None) -> None:
    settings = pulumi.runtime.Settings(
        project=program.project,
        stack=program.stack,
        monitor=address,
        engine=address,
        dry_run=preview,
        organization=program.organization,
        root_directory=str(program.root),
    )
    pulumi.runtime.configure(settings)
    pulumi.runtime.set_all_config(program.config, program.secret_keys)
    # One failure fails every output that waits for it; asyncio would print each of them.
    noise = logging.getLogger("asyncio")
    level, thresholds, debug = noise.level, gc.get_threshold(), pulumi.log.debug
    noise.setLevel(logging.CRITICAL + 1)
    gc.set_threshold(*PROGRAM_GC)
    # Each step of the SDK's own would be a call that the program waits for, of which nothing is kept (see EngineLog).
    setattr(pulumi.log, "debug", lambda *_args, **_more: None)  # noqa: B010  a module's function, for this run
    try:
        asyncio.run(pulumi.runtime.run_in_stack(main or (lambda: _run_main(program.root))))
    except pulumi.RunError as error:
        raise ProgramError(str(error)) from error
    except Exception as error:  # whatever the program raises is the program's own failure, shown where it happened
        raise ProgramError(_excerpt(error, program.root)) from error
    finally:
        setattr(pulumi.log, "debug", debug)  # noqa: B010
        gc.set_threshold(*thresholds)
        noise.setLevel(level)


def _excerpt(error: Exception, root: Path) -> str:
    """The error and the lines of the project that led to it; the SDK's own frames help nobody."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(root))]
    ours = [frame for frame in frames if ".venv" not in frame.filename and "localcloud" not in frame.filename]
    lines = [f"  {Path(frame.filename).relative_to(root)}:{frame.lineno} in {frame.name}" for frame in ours[-5:]]
    return "\n".join([f"the program failed: {type(error).__name__}: {error}", *lines])


def _run_main(root: Path) -> None:
    """Run `__main__.py` as `pulumi up` does: its folder first on the path."""
    added = str(root) not in sys.path
    if added:
        sys.path.insert(0, str(root))
    try:
        runpy.run_path(str(root / "__main__.py"), run_name="__main__")
    finally:
        if added:
            sys.path.remove(str(root))
