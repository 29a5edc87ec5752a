"""The benchmark of alma_analytics runs its ways, and finds out who breaks a limit or writes other rows.

Nothing here asks how long anything took.
"""

from __future__ import annotations

import pytest

from benchmarks import alma
from benchmarks.reports.institution import most_in_a_second, per_second
from cli.project import ROOT


def test_all_of_it_runs_small() -> None:
    found = alma.run(ROOT, 1, sizes=alma.Sizes(pages=2, records=12, rows=2_500))
    figures = {row.what: row.figure for row in found.rows}
    assert figures["Alma's answer to one page"] > 0.4
    assert figures["a report of 2 pages, ours"] > 2 * 0.4
    assert 0 < figures["12 records, ours in 3 instances"] < 100
    assert 0 < figures["2 × 2,500 rows joined, ours: peak memory"] < 400
    assert len(found.ratios) == 6


@pytest.mark.parametrize(
    ("arrivals", "most"),
    [
        ([], 0),
        ([5.0], 1),
        ([0.0, 0.5, 1.0, 1.5], 2),  # a second later is another second
        ([0.0, 0.5, 0.999, 1.5], 3),
        ([0.9, 0.95, 1.05, 1.1], 4),  # not the clock's seconds
    ],
)
def test_the_fullest_second(arrivals: list[float], most: int) -> None:
    assert most_in_a_second(arrivals) == most


def test_a_rate_counts_the_distances() -> None:
    assert per_second([0.0, 0.5, 1.0]) == 2
