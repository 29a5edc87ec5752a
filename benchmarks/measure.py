"""What every benchmark answers: figures with their spread, and ratios within one run (machines are noisy)."""

import logging
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

_log = logging.getLogger("benchmarks")
_T = TypeVar("_T")


class Figure(msgspec.Struct, kw_only=True):
    """One thing measured; `figure` is the median."""

    what: str
    figure: float
    unit: str
    min: float
    max: float


class Bench(msgspec.Struct, kw_only=True):
    """One benchmark's run. A ratio names what is divided by what."""

    name: str
    machine: str
    rounds: int
    rows: list[Figure]
    ratios: dict[str, float]
    notes: list[str] = []
    """What a reader of the figures must know of this run."""


def machine() -> str:
    """What this was measured on."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def figure(what: str, values: Iterable[float], unit: str = "s") -> Figure:
    """The median of `values` and their range."""
    values = list(values)
    return Figure(
        what=what,
        figure=round(statistics.median(values), 4),
        unit=unit,
        min=round(min(values), 4),
        max=round(max(values), 4),
    )


def ratio(above: Iterable[float], below: Iterable[float]) -> float:
    """Median by median."""
    return round(statistics.median(above) / statistics.median(below), 3)


def laps(kinds: Mapping[str, Callable[[], _T]], rounds: int, *, warm: bool = True) -> dict[str, list[_T]]:
    """Each kind of work once a lap, `rounds` laps after one that warms up: a slow moment hits all of them alike."""
    found: dict[str, list[_T]] = {name: [] for name in kinds}
    for lap in range(0 if warm else 1, rounds + 1):
        for name, work in kinds.items():
            _log.info("%s, %s", name, f"round {lap} of {rounds}" if lap else "warming up")
            result = work()
            if lap:
                found[name].append(result)
    return found


def in_turn(kinds: Mapping[str, Callable[[], object]], rounds: int) -> list[Figure]:
    """How long each kind of work takes, in `laps`."""

    def timed(work: Callable[[], object]) -> Callable[[], float]:
        return lambda: seconds(work)

    took = laps({name: timed(work) for name, work in kinds.items()}, rounds)
    return [figure(name, values) for name, values in took.items()]


def seconds(work: Callable[..., object], *args: object, **kwargs: object) -> float:
    """How long `work(*args, **kwargs)` takes."""
    began = time.perf_counter()
    work(*args, **kwargs)
    return time.perf_counter() - began


def processor_s(pid: int) -> float:
    """Processor seconds that a process has used so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
