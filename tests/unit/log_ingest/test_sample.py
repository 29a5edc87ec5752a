"""The outside's sample day: deterministic, and ingested to exactly what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.outside.log_ingest import expected, feed, sample_objects
from tests.unit.log_ingest.world import World


def test_the_sample_is_the_same_each_time_and_gives_what_it_promises() -> None:
    objects = list(sample_objects())
    assert objects == list(sample_objects())
    assert len({key for key, _ in objects}) == len(objects)
    world = World()
    for key, body in objects:
        world.feed(key, body)
    summary = world.run()
    want = expected()
    assert (summary.records_in, summary.records_out, summary.records_dead) == (
        want.records_in, want.records_out, want.records_dead,
    )  # fmt: skip
    assert want.records_in > 15_000
    assert want.records_dead > 0


def test_feeding_files_folders_and_messages(tmp_path: Path) -> None:
    (tmp_path / "day" / "deep").mkdir(parents=True)
    (tmp_path / "day" / "deep" / "a b.gz").write_bytes(b"1")
    (tmp_path / "day" / "x.sqs.json").write_text("{}", encoding="utf-8")
    (tmp_path / "one.json").write_bytes(b"2")
    put: list[str] = []
    sent: list[str] = []
    count = feed([tmp_path / "day", tmp_path / "one.json"], lambda key, _: put.append(key), sent.append)
    assert (count, put, sent) == (3, ["day/deep/a b.gz", "one.json"], ["{}"])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        feed([tmp_path / "nowhere"], lambda *_: None)
