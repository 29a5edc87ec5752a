"""What a run promises whatever it meets: an end in time, an end to hopeless messages, a summary that adds up."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

from core.clients.faults import Refused, Transient
from core.log_ingest.ports import Rules
from core.log_ingest.progress import MessageProgress
from tests.unit.log_ingest.world import World, failing_first, gz, lines, many


def test_a_message_without_progress_is_dead_after_its_runs() -> None:
    world = World()
    world.feed("a.json", b'{"a":1}')
    world.table.before = failing_first(10**6, Refused("logs ingestion: 400 InvalidStream"))
    for _ in range(4):
        world.run()
        world.later()
        assert world.dead_messages() == []
    world.run()
    (letter,) = world.dead_messages()
    assert letter["reason"].startswith("no progress in 5 runs")
    assert "InvalidStream" in letter["reason"]
    assert world.queue.messages == {}


def test_a_message_whose_worker_dies_each_time_is_dead_too() -> None:
    world = World()
    name = world.feed("killer.json", b'{"a":1}')
    for number in range(1, 6):  # received, begun, and never heard of again
        world.queue.receive(10, wait_s=0, visibility_s=360)
        MessageProgress(world.progress, name, receives=number, run=f"killed-{number}")
        world.later()
    world.run()
    assert [letter["message_id"] for letter in world.dead_messages()] == [name]
    assert world.texts() == []
    assert world.progress.read("messages/") == []


def test_deliveries_that_no_run_heard_of_are_no_runs_without_progress() -> None:
    world = World()
    world.feed("a.json", b'{"a":1}')
    for _ in range(20):  # the queue counts them, but their answers were lost
        world.queue.receive(10, wait_s=0, visibility_s=360)
        world.later()
    world.run()
    assert (world.dead_messages(), world.texts()) == ([], ['{"a":1}'])
    assert world.progress.read("messages/") == []


def test_age_rule() -> None:
    world = World()
    old = datetime(2025, 10, 30, 23, 59, tzinfo=UTC)
    world.feed("old.json", b'{"old":1}', modified=old)
    world.feed("new.json", b'{"new":1}', modified=datetime(2025, 10, 31, 0, 0, tzinfo=UTC))
    summary = world.run(max_age_days=0)
    assert world.texts() == ['{"new":1}']
    assert [one.key for one in summary.skipped] == ["old.json"]
    assert (summary.records_in, summary.records_out, summary.records_skipped) == (2, 1, 1)
    assert world.queue.messages == {}
    world.feed("old.json", b'{"old":1}', modified=old)
    world.run(max_age_days=1)
    assert sorted(world.texts()) == ['{"new":1}', '{"old":1}']


def test_no_new_work_after_the_safe_time_and_the_rest_goes_back() -> None:
    world = World()
    for number in range(20):
        world.feed(f"{number}.json", lines('{"a":1}'))

    def slow() -> None:
        world.clock.now += 20

    world.objects.on_read = slow
    summary = world.run(files_at_once=1)
    assert summary.stopped == "deadline"
    assert 0 < len(world.table.rows) < 20
    assert summary.messages_received == summary.messages_deleted + summary.messages_returned
    assert summary.messages_returned <= 1  # received only what could begin
    world.objects.on_read = lambda: None
    world.later()
    world.run()
    assert len(world.table.rows) == 20


def test_a_file_too_big_for_one_run_goes_on_in_the_next() -> None:
    world = World()
    texts = many(20_000)
    world.feed("huge.gz", gz(lines(*texts)))
    reads = [0]

    def slow(_: Any) -> None:
        world.clock.now += 100

    world.table.after = slow
    while world.queue.messages:
        reads[0] += 1
        summary = world.run(uploads_at_once=1)
        assert reads[0] < 12
        if world.queue.messages:
            assert summary.messages_returned == summary.messages_received >= 1
            assert summary.records_out > 0
    assert reads[0] > 1
    assert sorted(world.texts()) == sorted(texts)
    assert world.table.rows[0]["Record_Id"] != world.table.rows[-1]["Record_Id"]


def test_visibility_of_long_work_is_extended() -> None:
    world = World()
    world.feed("a.json", lines('{"a":1}'))
    world.rules = Rules(receive_wait_s=0, files_at_once=1, uploads_at_once=1, visibility_s=60)

    def slow() -> None:
        world.clock.now += 40
        assert world.queue.was_hidden.wait(20)

    world.objects.on_read = slow
    world.run()
    assert 60 in world.queue.hidden
    assert world.texts() == ['{"a":1}']


def test_the_summary_is_kept_and_adds_up() -> None:
    world = World()
    world.feed("a.json", lines('{"a":1}', "broken", '{"b":1}'))
    world.queue.put({"Event": "s3:TestEvent", "Service": "Amazon S3", "Bucket": "logs"})
    summary = world.run()
    (kept,) = world.progress.read("runs/")
    assert kept["records_in"] == summary.records_in == 3
    assert (kept["records_out"], kept["records_dead"], kept["messages_deleted"]) == (2, 1, 2)
    assert kept["failures"] == {"not JSON": 1}
    assert world.run().messages_received == 0
    assert len(world.progress.read("runs/")) == 1  # a run with nothing to do keeps nothing


def test_the_legacy_collectors_limits() -> None:
    world = World()
    world.table.max_rows, world.table.max_bytes, world.table.max_field_bytes = 500, 30_000_000, 32_768
    world.table.takes_time_generated = False
    texts = [*many(1200), json.dumps("x" * 40_000)]
    world.feed("a.gz", gz(lines(*texts)))
    summary = world.run()
    assert sorted(world.table.uploads) == [202, 500, 500]
    assert all("TimeGenerated" not in row for row in world.table.rows)
    assert (summary.records_out, summary.rows_out, summary.parts_extra) == (1201, 1202, 1)


def test_what_is_worth_beginning_early_is_begun_and_may_fail() -> None:
    world, asked = World(), threading.Event()

    def fail() -> None:
        asked.set()
        raise Transient("no token yet")

    world.early = [fail]
    world.feed("a", lines('{"a":1}'))
    assert world.run().files_done == 1
    assert asked.is_set()
