"""Records a second of log_ingest's real handler and clients, against the design document's own program and the limit.

All three speak to the same services in a process of their own (latencies of the real ones, every record checked);
start-up and imports are not timed. Rounds are interleaved.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.ingestion.field import Field, Outcome
from benchmarks.ingestion.services import Order
from benchmarks.measure import Bench, Figure, figure, laps, machine, ratio

OURS, DOCUMENT, LIMIT = "ours", "document", "limit"
SIZES = (Order(100, 1_000), Order(200, 2_000))
"""What the document's table calls "close" and "timeout"."""
SERVICE_BYTES_PER_S = 2e9 / 60
"""The documented 2 GB a minute of one data collection rule."""
THROTTLED_ROUNDS = 3  # each lasts as long as the service wants

Runs = dict[str, list[Outcome]]


def run(root: Path, rounds: int) -> Bench:  # noqa: ARG001 - every benchmark is called alike
    """Both sizes with all contestants, ours also over TLS, then ours throttled as the service throttles."""
    rows: list[Figure] = []
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, Field() as plain, Field(Path(folder) / "certificates") as tls:
        for order in SIZES:
            size = f"{order.files} × {order.records:,}"
            runs = laps(
                {f"{size}, {name}": _race(plain, name, order) for name in (OURS, DOCUMENT, LIMIT)}
                | {f"{size}, {OURS} over TLS": _race(tls, OURS, order)},
                rounds, warm=False,
            )  # fmt: skip
            rows += table(runs)
            rate = {name.removeprefix(f"{size}, "): [one.rate for one in found] for name, found in runs.items()}
            ratios[f"{size}: ours / document"] = ratio(rate[OURS], rate[DOCUMENT])
            ratios[f"{size}: ours / limit"] = ratio(rate[OURS], rate[LIMIT])
        slow = Order(200, 2_000, bytes_per_s=SERVICE_BYTES_PER_S)
        seconds, bounds = throttled(plain, slow, rounds)
        rows.append(figure("200 × 2,000, ours, throttled to 2 GB a minute", seconds))
        rows.append(figure("200 × 2,000, the throttled service's own bound", bounds))
        ratios["throttled: ours / the service's own bound"] = ratio(seconds, bounds)
    return Bench(name="log_ingest", machine=machine(), rounds=rounds, rows=rows, ratios=ratios)


def _race(field: Field, contestant: str, order: Order) -> Callable[[], Outcome]:
    return partial(field.race, contestant, order)


def table(runs: Runs) -> list[Figure]:
    """Four rows a contestant."""
    rows = []
    for name, found in runs.items():
        rows += [
            figure(name, (one.rate for one in found), "records/s"),
            figure(f"{name}: processor", (one.cpu_us for one in found), "µs/record"),
            figure(f"{name}: peak memory", (one.rss_mb for one in found), "MB"),
            figure(f"{name}: the services' own load", (one.services_share for one in found), "% of a core"),
        ]
    return rows


def throttled(field: Field, order: Order, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each run, and what the service needs at least: its rate, after one second's worth at once."""
    (found,) = laps({"throttled": _race(field, OURS, order)}, min(rounds, THROTTLED_ROUNDS), warm=False).values()
    bounds = [one.counted.uploaded_bytes / order.bytes_per_s - 1 for one in found]
    return [one.counted.seconds for one in found], bounds
