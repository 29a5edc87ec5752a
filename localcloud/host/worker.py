"""The instance of a function app: one process that loads a package and runs what the host asks for.

Started as `python -I -S worker.py READ_FD WRITE_FD PARENT_PID PACKAGE`. Python's own library only: everything else
comes from the package, as it would on Azure. Commands arrive on READ_FD and answers leave on WRITE_FD, each a JSON
object behind its length (4 bytes, big endian); stdout and stderr carry log lines. End of READ_FD means that the host
is gone.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import importlib.util
import inspect
import json
import logging
import os
import signal
import struct
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_BEGAN = time.perf_counter()
_PR_SET_PDEATHSIG = 1
_THREADS = 8  # workers that run synchronous handlers, unless PYTHON_THREADPOOL_THREAD_COUNT says otherwise
_PIPE_BYTES = 1 << 16  # as many as a pipe holds
_MARK = "\x1e"  # begins the line that says "all log lines of this invocation are written"


class Channel:
    """Frames on the two pipes; `send` may be called from any thread."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        os.set_blocking(read_fd, False)
        self._rest = b""
        self._write = os.fdopen(write_fd, "wb", buffering=0)
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """One frame, whole."""
        body = json.dumps(message).encode()
        data = memoryview(struct.pack(">I", len(body)) + body)
        with self._lock:
            while data:
                data = data[self._write.write(data) :]

    def receive(self) -> list[dict[str, Any]] | None:
        """The frames that are there, without waiting for more, or None when the host is gone."""
        try:
            data = os.read(self.read_fd, _PIPE_BYTES)
        except BlockingIOError:
            return []
        if not data:
            return None
        data, at, found = self._rest + data, 0, []
        while len(data) - at >= 4:
            end = at + 4 + struct.unpack_from(">I", data, at)[0]
            if end > len(data):
                break
            found.append(json.loads(data[at + 4 : end]))
            at = end
        self._rest = data[at:]
        return found


class Lines(logging.Handler):
    """The root handler, in the place of the platform's: `millrace` lines as they are, others behind level and name."""

    def filter(self, record: logging.LogRecord) -> bool:
        """SDKs below `azure` write each request at INFO; host.json keeps those out on Azure."""
        return record.levelno >= logging.WARNING or not record.name.startswith(("azure", "botocore", "urllib3"))

    def emit(self, record: logging.LogRecord) -> None:
        """One line, flushed."""
        text = record.getMessage()
        if not record.name.startswith("millrace"):
            text = f"{record.levelname} {record.name}: {text}"
            if record.exc_info:
                text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        sys.stdout.write(text + "\n")


class TraceContext:
    """The platform's trace context."""

    def __init__(self, parent: str) -> None:
        self.trace_parent = parent
        self.trace_state = ""
        self.attributes: dict[str, str] = {}


class RetryContext:
    """Retries by policy do not exist for these triggers: always the first try."""

    retry_count = 0
    max_retry_count = 0
    exception = None


class Context:
    """Has what azure.functions.Context promises."""

    def __init__(self, command: dict[str, Any], directory: str, storage: threading.local) -> None:
        self.invocation_id = command["id"]
        self.function_name = command["function"]
        self.function_directory = directory
        self.trace_context = TraceContext(command.get("trace_parent", ""))
        self.retry_context = RetryContext()
        self.thread_local_storage = storage


class Collection:
    """A batch, as the platform's protocol has it: one list, under the name of what it holds."""

    def __init__(self, **lists: list[Any]) -> None:
        self.__dict__ |= lists


def _data(data: Any, kind: str) -> Any:
    """What stands in a frame as the converters want it: bytes are base64 there."""
    if kind == "bytes":
        return base64.b64decode(data)
    if kind == "collection_bytes":
        return Collection(bytes=[base64.b64decode(one) for one in data])
    return Collection(string=data) if kind == "collection_string" else data


class Instance:
    """The loaded app."""

    def __init__(self, package: str, channel: Channel) -> None:
        self._package = package
        self._channel = channel
        self._functions: dict[str, Any] = {}
        self._storage = threading.local()
        self._running: set[asyncio.Task[None]] = set()

    def load(self) -> list[dict[str, Any]]:
        """Imports function_app.py and indexes it once; answers each function's name and bindings."""
        spec = importlib.util.spec_from_file_location("function_app", Path(self._package) / "function_app.py")
        if spec is None or spec.loader is None:
            raise ImportError("function_app.py cannot be read")
        module = importlib.util.module_from_spec(spec)
        sys.modules["function_app"] = module
        spec.loader.exec_module(module)
        functions: Any = importlib.import_module("azure.functions")  # the package's own
        apps = [one for one in vars(module).values() if isinstance(one, functions.FunctionApp)]
        if len(apps) != 1:
            raise ImportError(f"function_app.py must hold exactly one FunctionApp, got {len(apps)}")
        logging.disable(logging.WARNING)  # it warns of a missing auth level where nothing is HTTP
        try:
            found = apps[0].get_functions()
        finally:
            logging.disable(logging.NOTSET)
        self._registry = functions.get_binding_registry()
        self._datum = functions.meta.Datum
        self._functions = {one.get_function_name(): one for one in found}
        return [
            {"name": name, "bindings": [json.loads(raw) for raw in one.get_raw_bindings()]}
            for name, one in self._functions.items()
        ]

    def _arguments(self, command: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        function = self._functions[command["function"]]
        trigger = function.get_trigger()
        converter = self._registry.get(trigger.get_binding_name())
        metadata = {  # numbers travel as JSON, as the platform's host sends them
            name: self._datum(value, "string") if isinstance(value, str) else self._datum(json.dumps(value), "json")
            for name, value in command.get("metadata", {}).items()
        }
        data = self._datum(_data(command["data"], command["data_type"]), command["data_type"])
        values = {trigger.name: converter.decode(data, trigger_metadata=metadata)}
        run = function.get_user_function()
        if "context" in inspect.signature(run).parameters:
            values["context"] = Context(command, self._package, self._storage)
        return run, values

    async def run(self, command: dict[str, Any]) -> None:
        """One invocation, answered whatever happens."""
        answer: dict[str, Any] = {"type": "result", "id": command["id"], "ok": True}
        try:
            run, values = self._arguments(command)
            if inspect.iscoroutinefunction(run):
                await run(**values)
            else:
                await asyncio.to_thread(run, **values)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is an answer, as on the platform
            answer |= {"ok": False, "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        finally:
            sys.stderr.flush()
            sys.stdout.write(f"{_MARK}{command['id']}\n")
            sys.stdout.flush()
        self._channel.send(answer)

    def begin(self, command: dict[str, Any]) -> None:
        """Starts an invocation on the loop."""
        task = asyncio.get_running_loop().create_task(self.run(command))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Waits for what runs."""
        while self._running:
            await asyncio.wait(self._running)


async def serve(instance: Instance, channel: Channel) -> None:
    """Runs commands until the host says stop; without a host there is nothing to live for. Reads on the loop itself: a
    thread would have Python's lock handed to and fro for each message.
    """
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def hear() -> None:
        commands = channel.receive()
        if commands is None:
            os._exit(70)
        for command in commands:
            if command["type"] == "stop":
                stopping.set()
            else:
                instance.begin(command)

    threads = int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT") or _THREADS)
    loop.set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="handler"))
    loop.add_reader(channel.read_fd, hear)
    await stopping.wait()
    await instance.finish()


def die_with_parent(parent: int) -> None:
    """On Linux the kernel ends this process when its parent ends, even when it is stuck in C code."""
    if sys.platform == "linux":
        import ctypes  # 8 ms; only here

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(70)


def main(arguments: list[str]) -> None:
    """Load, say so, serve."""
    channel = Channel(int(arguments[0]), int(arguments[1]))
    die_with_parent(int(arguments[2]))
    package = arguments[3]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to hear; it ends this process in order
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    sys.path[:0] = [package, str(Path(package) / ".python_packages/lib/site-packages")]
    logging.getLogger().addHandler(Lines())
    logging.getLogger().setLevel(logging.INFO)
    instance = Instance(package, channel)
    try:
        functions = instance.load()
    except Exception as error:  # noqa: BLE001 - the host must hear of it, whatever it is
        channel.send({"type": "failed", "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
        os._exit(71)
    channel.send({"type": "ready", "functions": functions, "seconds": round(time.perf_counter() - _BEGAN, 4)})
    asyncio.run(serve(instance, channel))
    sys.stdout.flush()
    os._exit(0)  # threads of SDKs do not hold a finished instance back


if __name__ == "__main__":
    main(sys.argv[1:])
