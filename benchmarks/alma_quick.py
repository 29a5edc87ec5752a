"""`alma` in two minutes: the same ways with less work, to see that all of it runs."""

from pathlib import Path

from benchmarks import alma
from benchmarks.measure import Bench


def run(root: Path, rounds: int) -> Bench:
    """300 records, four pages, 2 × 50,000 rows."""
    return alma.run(root, rounds, sizes=alma.Sizes(pages=4, records=300, rows=50_000), name="alma_quick")
