"""The benchmark's own counting: every contestant delivers each record once, and one that does not is found out.

Nothing here asks how long anything took.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from benchmarks.ingestion.arrived import count
from benchmarks.ingestion.field import Field
from benchmarks.ingestion.load import BUCKET, Load
from benchmarks.ingestion.services import Order
from benchmarks.measure import figure, laps, ratio

ORDER = Order(files=7, records=30, per_message=3)


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with Field() as one:
        yield one


@pytest.mark.parametrize("contestant", ["ours", "document", "limit"])
def test_every_record_arrives_once(field: Field, contestant: str) -> None:
    outcome = field.race(contestant, ORDER)
    assert outcome.counted.records == 7 * 30
    assert outcome.counted.uploads >= 3  # never one call for everything
    assert outcome.counted.calls > outcome.counted.uploads + 7 + 3  # objects read and messages settled too
    assert outcome.used[0].cpu_s > 0
    assert 20 < outcome.used[0].peak_rss_mb < 1_000


def test_several_processes_share_one_queue(field: Field) -> None:
    outcome = field.race("ours", Order(files=12, records=5, per_message=1), processes=2)
    assert outcome.counted.records == 60
    assert len(outcome.used) == 2


def test_over_tls(tmp_path: Path) -> None:
    with Field(tmp_path / "certificates") as field:
        assert field.origin.startswith("https://")
        assert field.race("ours", ORDER).counted.records == 7 * 30


def test_refused_uploads_come_again(field: Field) -> None:
    outcome = field.race("ours", Order(files=6, records=400, per_message=1, bytes_per_s=1_000_000))
    assert outcome.counted.refused > 0
    assert outcome.counted.records == 6 * 400


def _rows(load: Load, file: int) -> list[dict[str, str]]:
    return [{"Bucket_Name": BUCKET, "Key": load.key(file), "Raw_Data": line} for line in load.lines(file)]


def test_lost_doubled_and_altered_records_are_counted() -> None:
    load = Load(files=2, records=5)
    objects = {load.key(file): load.body(file) for file in range(2)}
    whole = _rows(load, 0) + _rows(load, 1)

    def counted(rows: list[dict[str, str]]) -> tuple[int, int, int]:
        found = count(load, objects, [(msgspec.json.encode(rows), False)])
        return found["lost"], found["doubled"], found["altered"]

    assert counted(whole) == (0, 0, 0)
    assert counted(whole[1:]) == (1, 0, 0)
    assert counted([*whole, whole[3]]) == (0, 1, 0)
    assert counted([*whole[:-1], whole[-1] | {"Raw_Data": whole[-1]["Raw_Data"].replace("PDF", "pdf")}]) == (0, 0, 1)
    assert counted([*whole[:-1], whole[-1] | {"Key": load.key(0)}]) == (0, 0, 1)


def test_laps_take_turns_and_leave_the_first_out() -> None:
    order: list[str] = []
    found = laps({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert {name: len(values) for name, values in found.items()} == {"a": 2, "b": 2}


def test_figures_are_medians_and_ratios_divide_them() -> None:
    found = figure("x", iter([5.0, 1.0, 2.0]), "s")
    assert (found.figure, found.min, found.max) == (2.0, 1.0, 5.0)
    assert ratio([4.0, 100.0, 2.0], [2.0, 2.0, 2.0]) == 2.0
