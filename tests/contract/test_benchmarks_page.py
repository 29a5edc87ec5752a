"""docs/benchmarks.md says what the kept answers say."""

from __future__ import annotations

import re

from benchmarks.page import DOCS, chart, page, results
from cli.bench import NAMES


def test_the_page_and_its_chart_are_drawn_from_the_kept_answers() -> None:
    found = results(DOCS / "benchmarks")
    text = (DOCS / "benchmarks.md").read_text("utf-8")
    assert page(text, found) == text
    assert chart(found["log_ingest"]) == (DOCS / "benchmarks" / "log_ingest.svg").read_text("utf-8")


def test_every_table_has_a_benchmark_and_figures() -> None:
    text = (DOCS / "benchmarks.md").read_text("utf-8")
    names = re.findall(r"<!-- (\w+) -->", text)
    assert names
    assert set(names) <= set(NAMES)
    assert set(names) == set(results(DOCS / "benchmarks"))
