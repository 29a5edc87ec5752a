"""The straight way: objects in, rows out, messages gone. Write here what a new reader should see first."""

from __future__ import annotations

import json

from tests.unit.log_ingest.world import World, gz, lines


def test_every_record_becomes_one_row_and_the_message_goes() -> None:
    world = World()
    texts = [f'{{"n": {number}}}' for number in range(3000)]
    world.feed("logs/2025/10/31/file-1.gz", gz(lines(*texts)))
    world.feed("array.json", json.dumps([{"a": 1}, [2], "x"]).encode())

    summary = world.run()

    assert sorted(world.texts()) == sorted([*texts, '{"a": 1}', "[2]", '"x"'])
    assert world.queue.messages == {}
    assert (summary.records_in, summary.records_out, summary.records_dead) == (3003, 3003, 0)
    row = next(row for row in world.table.rows if row["Raw_Data"] == '{"n": 7}')
    assert row["Bucket_Name"] == "logs"
    assert row["Key"] == "logs/2025/10/31/file-1.gz"
    assert row["Actual_Time"] == "2025-10-31T12:30:45Z"
    assert row["Record_Id"].endswith("-8")
    assert (row["Part"], row["Parts"]) == (1, 1)


def test_an_object_announced_twice_is_read_once() -> None:
    world = World()
    world.feed("a.json", b'{"a":1}\n')
    world.queue.put({"Bucket Name": "logs", "Object Key": "a.json", "Event Time": "later"})
    world.run()
    world.queue.put({"Bucket Name": "logs", "Object Key": "a.json", "Event Time": "much later"})
    summary = world.run()
    assert world.texts() == ['{"a":1}']
    assert world.queue.messages == {}
    assert summary.files_repeated == 1
