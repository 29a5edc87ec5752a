"""What happens when things go wrong outside: nothing is lost, and nothing is there twice that was answered."""

from __future__ import annotations

from typing import Any

import pytest

from core.clients.faults import InDoubt, Transient
from tests.unit.log_ingest.world import World, failing_first, gz, lines, many


def test_a_passing_fault_keeps_the_message_and_a_later_run_finishes_it() -> None:
    world = World()
    world.feed("a.json", lines(*many(10)))
    world.table.before = failing_first(1, Transient("logs ingestion: 503"))
    first = world.run()
    assert (first.messages_returned, first.messages_deleted, world.texts()) == (1, 0, [])
    world.later()
    second = world.run()
    assert sorted(world.texts()) == sorted(many(10))
    assert (second.records_in, second.records_out, second.messages_deleted) == (10, 10, 1)


def test_what_was_accepted_is_not_sent_again() -> None:
    world = World()
    texts = many(12_000)
    world.feed("big.gz", gz(lines(*texts)))
    calls = [0]

    def every_third(_: Any) -> None:
        calls[0] += 1
        if calls[0] % 3 == 0:
            raise Transient("logs ingestion: 503")

    world.table.before = every_third
    runs = 0
    while world.queue.messages:
        runs += 1
        assert runs < 20
        world.run()
        world.later()
    assert runs > 1
    assert sorted(world.texts()) == sorted(texts)
    assert len({row["Record_Id"] for row in world.table.rows}) == len(texts)


def test_only_a_chunk_without_an_answer_may_be_there_twice() -> None:
    world = World()
    texts = many(6_000)
    world.feed("big.json", lines(*texts))
    world.table.after = failing_first(1, InDoubt("POST: no answer"))
    first = world.run()
    doubled = world.table.uploads[0]
    world.later()
    world.run()
    seen = [(row["Record_Id"], row["Part"]) for row in world.table.rows]
    assert len(set(seen)) == len(texts)
    assert len(seen) - len(set(seen)) in world.table.uploads
    assert len(seen) - len(set(seen)) <= max(doubled, *world.table.uploads)
    assert first.rows_resent > 0


def test_dead_lines_are_recorded_once_over_several_runs() -> None:
    world = World()
    texts = many(4_000)
    world.feed("mixed.json", lines(*texts[:2000], "broken", *texts[2000:], "also broken"))
    world.table.before = failing_first(1, Transient("503"))
    runs = [world.run()]
    while world.queue.messages:
        world.later()
        runs.append(world.run())
        assert len(runs) < 5
    assert [entry["excerpt"] for entry in world.dead_entries()] == ["broken", "also broken"]
    assert sum(run.records_dead for run in runs) == 2
    assert sum(run.records_out for run in runs) == 4_000


def test_a_long_outage_costs_no_message_and_no_patience() -> None:
    world = World()
    for number in range(30):
        world.feed(f"{number}.json", lines('{"a":1}'))
    world.table.before = failing_first(10**6, Transient("logs ingestion: 503"))
    for _ in range(12):
        assert world.run().messages_deleted == 0
        world.later()
    assert world.run().stopped == "outage"
    world.table.before = lambda _: None
    world.later()
    world.run()
    assert len(world.table.rows) == 30
    assert world.dead_messages() == []


def test_strict_waits_for_one_file_lenient_gives_it_up_after_its_tries() -> None:
    for lenient in (False, True):
        world = World()
        world.objects.put("good.json", b'{"good":1}')
        world.objects.put("bad.json", b'{"bad":1}')
        world.objects.broken = {"bad.json"}
        world.queue.put(
            [{"Bucket Name": "logs", "Object Key": key, "Event Time": ""} for key in ("good.json", "bad.json")]
        )
        summaries = []
        for _ in range(7):
            summaries.append(world.run(lenient=lenient, lenient_tries=3))
            world.later()
        assert world.texts() == ['{"good":1}']
        assert bool(world.queue.messages) == (not lenient)
        if lenient:
            (entry,) = world.dead_entries()
            assert entry["reason"].startswith("gave up after 3 tries: s3 get")
            assert sum(summary.records_dead for summary in summaries) == 1


def test_another_runs_progress_is_not_overwritten() -> None:
    world = World()
    texts = many(12_000)
    world.feed("big.json", lines(*texts))

    def meddle(_: Any) -> None:
        for name in [name for name in world.progress.blobs if name.startswith("files/")]:
            world.progress.put(name, world.progress.blobs[name].body)
        world.table.after = lambda _: None

    calls = [0]

    def second(rows: Any) -> None:
        calls[0] += 1
        if calls[0] == 3:
            meddle(rows)

    world.table.after = second
    summary = world.run(uploads_at_once=1)
    assert summary.files_failed == 1
    assert len(world.queue.messages) == 1


def test_a_receive_that_is_refused_fails_the_run() -> None:
    world = World()

    def refuse(*_: Any, **__: Any) -> Any:
        raise Transient("assume role: not yet")

    world.queue.receive = refuse  # type: ignore[method-assign]
    with pytest.raises(Transient, match="assume role"):
        world.run()


def test_a_progress_blob_that_cannot_be_read_gives_the_message_back() -> None:
    world = World()
    name = world.feed("a.json", b'{"a":1}')
    world.queue.receive(10, wait_s=0, visibility_s=1)
    world.later()
    world.progress.put(f"messages/{name}.json", b'{"cut')
    summary = world.run()
    assert (summary.messages_returned, summary.records_out, len(world.queue.messages)) == (1, 0, 1)
    world.progress.delete(f"messages/{name}.json")
    world.later()
    assert world.run().records_out == 1


def test_a_message_that_is_delivered_twice_in_one_run_is_read_once() -> None:
    world = World()
    texts = many(12_000)  # several uploads
    world.feed("a.json", lines(*texts))
    deliver = world.queue.receive

    def receive(count: int, *, wait_s: int, visibility_s: int) -> Any:
        got = deliver(count, wait_s=wait_s, visibility_s=visibility_s)
        if got and got[0].receives == 1:
            world.queue.messages[got[0].id].visible_at = 0
        return got

    world.queue.receive = receive  # type: ignore[method-assign]
    summary = world.run()
    assert (summary.messages_received, summary.files_done, summary.files_repeated) == (2, 1, 1)
    assert sorted(world.texts()) == sorted(texts)
    assert summary.failures == {}


def test_rows_that_were_accepted_are_noted_however_long_the_storage_is_down() -> None:
    world = World()
    texts = many(12_000)  # several uploads
    world.feed("big.json", lines(*texts))
    put, down = world.progress.put, [15]

    def failing(name: str, body: bytes, *, etag: str | None = None) -> str:
        if world.table.rows and down[0]:
            down[0] -= 1
            raise Transient(f"blob put {name}: 503")
        return put(name, body, etag=etag)

    world.progress.put = failing  # type: ignore[method-assign]
    summary = world.run(uploads_at_once=1)
    assert (summary.files_done, summary.records_out, down) == (1, 12_000, [0])
    assert len(world.slept) == 15
    assert sorted(world.texts()) == sorted(texts)
