"""Processes that can be killed by the dozen: one that has imported everything forks one for each job.

`python -m tests.integration.deadletters.zygote MODULE` reads a JSON document a line; for each, a fork runs
`MODULE.main(document)`. Answers two lines: the fork's process id, and how it ended.
"""

import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[3]
LIMIT_S = 60


class Victims:
    """The test's side."""

    def __init__(self, module: str) -> None:
        command = [sys.executable, "-m", __name__, f"tests.integration.deadletters.{module}"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._line(LIMIT_S) == "ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=LIMIT_S)

    def run(self, job: Any, *, kill_after_s: float | None = None) -> bool:
        """Runs a job to its end, or kills it at that moment; answers whether it was killed (by itself, too)."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        pid = int(self._line(LIMIT_S) or 0)
        ended = self._line(LIMIT_S if kill_after_s is None else kill_after_s)
        if ended is None:
            os.kill(pid, signal.SIGKILL)
            ended = self._line(LIMIT_S)
        assert ended in {"0", f"-{signal.SIGKILL.value}"}, ended
        return ended != "0"

    def _line(self, limit_s: float) -> str | None:
        """The next line; None when none came in time."""
        assert self._process.stdout is not None
        stream = self._process.stdout.fileno()
        if not select.select([stream], [], [], limit_s)[0]:
            return None
        line = b""
        while not line.endswith(b"\n"):
            piece = os.read(stream, 1)
            assert piece, "the zygote ended"
            line += piece
        return line.decode().strip()


class Death:
    """Kills this process at its `at`-th step, before or after the step's effect."""

    def __init__(self, at: int) -> None:
        self._left = at

    def stand_around(self, owner: Any, name: str) -> None:
        """Each call of a coroutine or a function is a step, and so is its return."""
        real = getattr(owner, name)

        def call(*args: Any, **named: Any) -> Any:
            self._step()
            answer = real(*args, **named)
            if hasattr(answer, "__await__"):
                return self._awaited(answer)
            self._step()
            return answer

        setattr(owner, name, call)

    async def _awaited(self, answer: Any) -> Any:
        result = await answer
        self._step()
        return result

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    _say("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _job(module, line)
        _say(str(pid))
        _say(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _job(module: Any, line: str) -> None:
    try:
        random.seed()
        module.main(json.loads(line))
    except BaseException:  # noqa: BLE001  a fork must not go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
