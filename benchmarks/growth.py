"""Does log_ingest's cost a record stay flat as there are more files, and as files get bigger?

More files: from 100 to 100,000 of ten records each, small so that the largest run ends within minutes; the largest ones
run once. Bigger files: from 100 to 100,000 records in each, 400,000 records together.
"""

from functools import partial
from pathlib import Path

from benchmarks.ingestion.field import Field, Outcome
from benchmarks.ingestion.services import Order
from benchmarks.log_ingest import OURS
from benchmarks.measure import Bench, Figure, figure, laps, machine, ratio

MORE = [Order(files, 10, per_message=100) for files in (100, 1_000, 10_000, 100_000)]
BIGGER = [Order(400_000 // records, records) for records in (100, 1_000, 10_000, 100_000)]
SEVERAL_ROUNDS = 100_000  # records a run, at most: what is bigger runs once


def run(root: Path, rounds: int) -> Bench:  # noqa: ARG001 - every benchmark is called alike
    """Both kinds of growth; figures are processor time a record and peak memory."""
    rows: list[Figure] = []
    ratios: dict[str, float] = {}
    with Field() as field:
        for what, orders in (("more files", MORE), ("bigger files", BIGGER)):
            found = [_measured(field, order, rounds) for order in orders]
            for order, runs in zip(orders, found, strict=True):
                name = f"{what}, {order.files:,} × {order.records:,}"
                rows.append(figure(f"{name}: processor", (one.cpu_us for one in runs), "µs/record"))
                rows.append(figure(f"{name}: peak memory", (one.rss_mb for one in runs), "MB"))
                rows.append(figure(name, (one.rate for one in runs), "records/s"))
            first, last = found[0], found[-1]
            name = f"{what}, {_grown(orders)}"
            ratios[f"{name}: processor a record"] = ratio((one.cpu_us for one in last), (one.cpu_us for one in first))
            ratios[f"{name}: peak memory"] = ratio((one.rss_mb for one in last), (one.rss_mb for one in first))
    return Bench(name="growth", machine=machine(), rounds=rounds, rows=rows, ratios=ratios)


def _measured(field: Field, order: Order, rounds: int) -> list[Outcome]:
    many = rounds if order.files * order.records <= SEVERAL_ROUNDS else 1
    name = f"{order.files:,} files of {order.records:,}"
    return laps({name: partial(field.race, OURS, order)}, many, warm=False)[name]


def _grown(orders: list[Order]) -> str:
    first, last = orders[0], orders[-1]
    if first.records == last.records:
        return f"{first.files:,} → {last.files:,}"
    return f"{first.records:,} → {last.records:,} records each"
