"""One instance as the host sees it: a child process, its two pipes and its log lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.host.spec import AppSpec, HostError

_WORKER = Path(__file__).with_name("worker.py")
_START_S = 30  # the platform's own limit for a worker to start
_LINE_BYTES = 1 << 20  # a longer line is cut
_MARK = b"\x1e"
_TAIL = 40  # lines kept for the message about a failed start


class InstanceDiedError(Exception):
    """The process ended while an invocation was in hand."""


class Instance:
    """A worker process. Make it with `start`, which answers when its functions are indexed."""

    def __init__(self, spec: AppSpec, on_text: Callable[[int, str], None]) -> None:
        self._spec = spec
        self._on_text = on_text
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._written: dict[str, asyncio.Event] = {}
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._process: asyncio.subprocess.Process | None = None
        self._commands: asyncio.WriteTransport | None = None
        self._unsent: list[bytes] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.exited = asyncio.Event()
        self.functions: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        """The process id; 0 before there is one."""
        return self._process.pid if self._process else 0

    @property
    def in_hand(self) -> int:
        """Invocations that have not been answered."""
        return len(self._waiting)

    async def start(self) -> None:
        """Starts the process and waits until its functions are indexed. Raises HostError with what it wrote."""
        loop = asyncio.get_running_loop()
        read_commands, write_commands = os.pipe()
        read_answers, write_answers = os.pipe()
        arguments = [str(read_commands), str(write_answers), str(os.getpid()), str(self._spec.package)]
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._spec.python, "-I", "-S", str(_WORKER), *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                env={**self._spec.settings, **self._spec.platform, **self._own()}, cwd=self._spec.package,
                pass_fds=(read_commands, write_answers), start_new_session=True,
            )  # fmt: skip
        except OSError:
            os.close(write_commands)
            os.close(read_answers)
            raise
        finally:
            os.close(read_commands)
            os.close(write_answers)
        answers = _Answers(self._take)
        await loop.connect_read_pipe(lambda: answers, os.fdopen(read_answers, "rb"))
        self._commands, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write_commands, "wb"))
        lines = loop.create_task(self._read_lines())
        self._tasks = [lines, loop.create_task(self._until_it_ends(answers, lines))]
        try:
            ready = await asyncio.wait_for(asyncio.shield(self._ready), _START_S)
        except (TimeoutError, InstanceDiedError) as error:
            await self.kill()
            raise HostError(self._why(str(error) or f"still loading after {_START_S} s")) from error
        self.functions = ready["functions"]

    def _own(self) -> dict[str, str]:
        """What differs from instance to instance."""
        return {name: uuid.uuid4().hex for name in ("WEBSITE_INSTANCE_ID",) if name in self._spec.platform}

    def _why(self, reason: str) -> str:
        written = "\n".join(self._tail)
        return f'app "{self._spec.name}": its package must load, got {reason}' + (f"\n{written}" if written else "")

    async def invoke(self, command: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer, after every log line of the invocation has been read. Raises InstanceDiedError."""
        if self.exited.is_set() or self._commands is None:
            raise InstanceDiedError(f"process {self.pid} has ended")
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        written = asyncio.Event()
        self._waiting[command["id"]] = future
        self._written[command["id"]] = written
        try:
            self._send({"type": "invoke", **command})
            answer = await future
            await written.wait()
            return answer
        finally:
            self._waiting.pop(command["id"], None)
            self._written.pop(command["id"], None)

    def _send(self, command: dict[str, Any]) -> None:
        """Commands of one turn of the loop leave together, as the messages they are about came."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        body = json.dumps(command).encode()
        self._unsent.append(struct.pack(">I", len(body)) + body)

    def _flush(self) -> None:
        frames, self._unsent = b"".join(self._unsent), []
        if self._commands is not None:
            self._commands.write(frames)

    async def stop(self, grace_s: float) -> None:
        """Lets it finish what it has in hand, for `grace_s` at most, then ends it."""
        if self._commands is not None and not self.exited.is_set():
            self._send({"type": "stop"})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.exited.wait(), grace_s)
        await self.kill()

    async def kill(self) -> None:
        """Ends the process and all it started; returns when it is gone."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._tasks:
            await self.exited.wait()
        if self._commands is not None:
            self._commands.close()

    async def _until_it_ends(self, answers: _Answers, lines: asyncio.Task[None]) -> None:
        await answers.ended.wait()
        assert self._process is not None  # noqa: S101 - set before this task began
        code = await self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what the worker started must not outlive it
        await lines
        died = InstanceDiedError(f"the process ended with {'signal ' if code < 0 else 'exit code '}{abs(code)}")
        for future in (self._ready, *self._waiting.values()):
            if not future.done():
                future.set_exception(died)
                future.exception()  # whoever waits sees it; nobody needs to
        for written in self._written.values():
            written.set()
        self.exited.set()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "ready":
            self._ready.set_result(message)
        elif message["type"] == "failed":
            self._tail.append(message["trace"].rstrip())
            self._ready.set_exception(InstanceDiedError(message["error"]))
        elif (future := self._waiting.get(message["id"])) and not future.done():
            future.set_result(message)

    async def _read_lines(self) -> None:
        assert self._process is not None  # noqa: S101 - set before this task began
        assert self._process.stdout is not None  # noqa: S101 - asked for as a pipe
        rest = b""
        while chunk := await self._process.stdout.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LINE_BYTES:
                lines, rest = [*lines, rest[:_LINE_BYTES] + b" (cut)"], b""
            for line in lines:
                self._line(line)
        if rest:
            self._line(rest)

    def _line(self, line: bytes) -> None:
        before, mark, identity = line.rpartition(_MARK)
        if mark and (event := self._written.get(identity.decode("utf-8", "replace"))):
            event.set()
            line = before  # what a function wrote last, without ending its line
        if text := line.decode("utf-8", "backslashreplace").rstrip("\r"):
            self._tail.append(text)
            self._on_text(self.pid, text)


class _Answers(asyncio.Protocol):
    """Takes the worker's frames apart."""

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        self._take, self._rest = take, b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """As many as are whole."""
        data, at = self._rest + data, 0
        while len(data) - at >= 4:
            end = at + 4 + struct.unpack_from(">I", data, at)[0]
            if end > len(data):
                break
            self._take(json.loads(data[at + 4 : end]))
            at = end
        self._rest = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it has ended, whatever why
        """Nothing more will come."""
        self.ended.set()
