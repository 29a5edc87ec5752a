"""Runs one Pulumi program in this process. Started by language.py with the settings as JSON on its standard input.

Imports nothing of ours: the Python that runs it may belong to another project and know only Pulumi's SDK.
"""

import asyncio
import atexit
import gc
import json
import logging
import os
import runpy
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

SHOWN = 32  # the same figure as in language.py: the reason has been shown


def main() -> int:
    """The exit code: 0, or `SHOWN` once the reason is told."""
    # The engine ends its language host's process group with SIGINT: no trace for what is no fault of the program.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    given = json.load(sys.stdin)
    # A program ends soon and makes hundreds of thousands of objects that stay: looking for garbage costs a tenth of it.
    gc.set_threshold(200_000, 50, 100)
    try:
        import pulumi
        import pulumi.runtime
    except ImportError as error:
        sys.stderr.write(f"{sys.executable} has no Pulumi SDK ({error}); install the program's requirements there\n")
        return 1
    pulumi.runtime.configure(pulumi.runtime.Settings(**given["settings"]))
    pulumi.runtime.set_all_config(given["config"], given["secret_keys"])
    _quiet(pulumi.log)
    entry = Path(given["entry"]).resolve()
    folder = entry if entry.is_dir() else entry.parent
    script = entry / "__main__.py" if entry.is_dir() else entry
    sys.path[0] = str(folder)  # as `python folder` has it; this file's own folder must not be importable
    sys.argv = [str(script)]
    # One failure fails every output that waits for it; asyncio would print each of them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)

    def program() -> None:
        runpy.run_path(str(script), run_name="__main__")

    try:
        asyncio.run(pulumi.runtime.run_in_stack(program))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return SHOWN
    except Exception as error:  # noqa: BLE001  whatever it raises is told with the lines that led to it
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename, folder)]
        where = "".join(traceback.format_list(frames))
        pulumi.log.error(f"the program failed: {type(error).__name__}: {error}\n{where}")
        return SHOWN
    return 0


def _quiet(log: Any) -> None:
    """Keep the SDK from telling the engine of each step of its own, in calls that the program waits for. A program's
    own debug lines go through.
    """
    say = log.debug

    def debug(*args: Any, **more: Any) -> None:
        if not str(sys._getframe(1).f_globals.get("__name__", "")).startswith("pulumi."):  # noqa: SLF001
            say(*args, **more)

    log.debug = debug


def _is_own(file: str, folder: Path) -> bool:
    return file.startswith(str(folder)) and "site-packages" not in file


def _end(code: int) -> None:
    """End as Python does (threads, exit functions, output), but for taking apart each object that was made: they go
    with the process, and that alone is a tenth of a program's time.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  what Python itself calls here
    atexit._run_exitfuncs()  # noqa: SLF001  the same
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())
