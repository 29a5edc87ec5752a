"""What every benchmark answers: figures with their spread, and ratios within one run (machines are noisy)."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import msgspec


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


def machine() -> str:
    """What this was measured on."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def figure(what: str, values: list[float], unit: str = "s") -> Figure:
    """The median of `values` and their range."""
    return Figure(
        what=what,
        figure=round(statistics.median(values), 4),
        unit=unit,
        min=round(min(values), 4),
        max=round(max(values), 4),
    )


def in_turn(kinds: Mapping[str, Callable[[], object]], rounds: int) -> list[Figure]:
    """Each kind of work once a lap, `rounds` laps after one that warms up: a slow moment hits all of them alike."""
    values: dict[str, list[float]] = {name: [] for name in kinds}
    for lap in range(rounds + 1):
        for name, work in kinds.items():
            took = seconds(work)
            if lap:
                values[name].append(took)
    return [figure(name, took) for name, took in values.items()]


def seconds(work: Callable[..., object], *args: object, **kwargs: object) -> float:
    """How long `work(*args, **kwargs)` takes."""
    began = time.perf_counter()
    work(*args, **kwargs)
    return time.perf_counter() - began
