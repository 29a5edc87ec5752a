"""How a contestant runs: one process, ready, told to go, measured in its own process."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec


class Used(msgspec.Struct):
    """What one process used from "go" to its end."""

    cpu_s: float
    """Of all its threads, user and system."""
    peak_rss_mb: float
    note: str = ""


def compete(work: Callable[[], str | None]) -> None:
    """Says "ready", waits for a line on standard input, works, prints what was used as one JSON line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this, and ends it too
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    note = work() or ""
    used = Used(cpu_s=time.process_time() - began, peak_rss_mb=peak_rss_mb(), note=note)
    print(msgspec.json.encode(used).decode(), flush=True)


def peak_rss_mb() -> float:
    """Of this process. Linux's own high-water mark: `ru_maxrss` also remembers the process it was forked from."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # macOS: bytes
