"""log_ingest with 1, 2 and 4 handler processes on one queue: several apps, as one timer runs in one place at a time."""

import os
from functools import partial
from pathlib import Path

from benchmarks.ingestion.field import Field
from benchmarks.ingestion.services import Order
from benchmarks.log_ingest import OURS, table
from benchmarks.measure import Bench, laps, machine, ratio

PROCESSES = (1, 2, 4)
ORDER = Order(200, 2_000)


def run(root: Path, rounds: int) -> Bench:  # noqa: ARG001 - every benchmark is called alike
    """The same load for each number of processes, in turn."""
    with Field() as field:
        kinds = {f"{many} processes": partial(field.race, OURS, ORDER, processes=many) for many in PROCESSES}
        runs = laps(kinds, rounds, warm=False)
    rates = [[one.rate for one in found] for found in runs.values()]
    return Bench(
        name="scaling",
        machine=f"{machine()} (services and other work on the same {os.cpu_count()})",
        rounds=rounds,
        rows=table(runs),
        ratios={f"{many} processes / 1": ratio(rate, rates[0]) for many, rate in zip(PROCESSES, rates, strict=True)},
    )
