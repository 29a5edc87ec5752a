"""Dead letters that come back: every record is one row in the end, whatever is interrupted, repeated or dead again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.clients.faults import InDoubt, Transient
from core.log_ingest.notices import Again, parse
from tests.unit.log_ingest.redriving import GOOD, damaged_read, letters, redrive
from tests.unit.log_ingest.world import World, gz, lines


def test_what_was_lost_on_its_way_comes_in_and_nothing_twice() -> None:
    world = World()
    texts = [json.dumps({"n": number, "x": "y" * 50}) for number in range(3_000)]
    damaged_read(world, "cut.gz", gz(lines(*texts)))
    before = len(world.table.rows)
    assert 0 < before < len(texts)
    (entry,) = world.dead_entries()
    assert entry["scope"] == "file"
    summary = redrive(world)
    assert sorted(world.texts()) == sorted(texts)
    assert len({row["Record_Id"] for row in world.table.rows}) == len(texts)
    assert (letters(world), world.queue.messages) == ([], {})
    assert (summary.records_out, summary.entries_redriven, summary.records_dead) == (len(texts) - before, 1, 0)


def test_what_is_still_bad_stays_in_its_one_letter() -> None:
    world = World()
    world.feed("a.json", lines(*GOOD[:3], "bad", *GOOD[3:], "worse"))
    world.run()
    (letter,) = letters(world)
    summary = redrive(world)
    assert letters(world) == [letter]
    assert [(one["position"], one["attempts"]) for one in world.dead_entries()] == [(4, 2), (8, 2)]
    assert sorted(world.texts()) == sorted(GOOD)
    assert (summary.entries_redriven, summary.records_dead) == (2, 2)
    redrive(world)
    assert [one["attempts"] for one in world.dead_entries()] == [3, 3]
    assert sorted(world.texts()) == sorted(GOOD)


def test_chosen_entries_only() -> None:
    world = World()
    world.feed("a.json", lines("bad", GOOD[0], "worse", "worst"))
    world.run()
    (letter,) = letters(world)
    world.queue.put(Again(letter, (3,)).body())
    world.run()
    assert [(one["position"], one.get("attempts", 1)) for one in world.dead_entries()] == [(1, 1), (3, 2), (4, 1)]


def test_a_mended_object_is_read_whole_and_once() -> None:
    world = World()
    world.feed("a.json", lines(*GOOD[:3], "bad"))
    world.run()
    world.objects.put("a.json", lines(*GOOD))
    redrive(world)
    assert (letters(world), sorted(world.texts())) == ([], sorted(GOOD[:3] + GOOD))
    world.feed("a.json", lines(*GOOD))  # the mended object's own notification, late
    assert world.run().files_repeated == 1
    assert len(world.table.rows) == 3 + len(GOOD)


def test_a_letter_stays_while_its_file_cannot_be_read() -> None:
    world = World()
    world.feed("a.json", lines(*GOOD, "bad"))
    world.run()
    (kept,) = world.objects.objects.items()
    world.objects.objects.clear()
    redrive(world)
    (entry,) = world.dead_entries()
    assert (entry["attempts"], entry["last"].startswith("gone: "), entry["reason"]) == (
        2, True, world.dead_entries()[0]["reason"],
    )  # fmt: skip
    assert world.queue.messages == {}
    world.objects.objects.update([kept])
    world.objects.denied.add("a.json")
    redrive(world)
    assert world.dead_entries()[0]["last"].startswith("access denied")
    assert world.dead_messages() == []


def test_a_whole_message_comes_back_or_stays_in_its_one_letter() -> None:
    world = World()
    world.objects.denied.add("a.json")
    world.feed("a.json", lines(*GOOD))
    world.run()
    (letter,) = letters(world)
    redrive(world)
    assert (letters(world), world.dead_messages()[0]["attempts"]) == ([letter], 2)
    world.objects.denied.clear()
    summary = redrive(world)
    assert (letters(world), sorted(world.texts()), summary.entries_redriven) == ([], sorted(GOOD), 1)


def test_an_unknown_message_is_dead_again_in_its_one_letter() -> None:
    world = World()
    world.queue.put("nonsense")
    world.run()
    (letter,) = letters(world)
    redrive(world)
    assert (letters(world), world.dead_messages()[0]["attempts"]) == ([letter], 2)


def test_a_file_that_was_given_up_goes_on_where_it_was() -> None:
    world = World()
    texts = [json.dumps({"n": number, "x": "y" * 400}) for number in range(6_000)]
    world.objects.put("big.json", lines("bad", *texts))
    etag = world.objects.open("logs", "big.json", None).etag  # known from the start: line and file have one folder
    event = {"s3": {"bucket": {"name": "logs"}, "object": {"key": "big.json", "eTag": etag}}}
    name = world.queue.put({"Records": [event]})
    calls = [0]

    def only_the_first(_: Any) -> None:
        calls[0] += 1
        if calls[0] > 1:
            raise Transient("logs ingestion: 503")

    world.table.before = only_the_first
    while name in world.queue.messages:
        world.run(lenient=True, lenient_tries=2)
        world.later()
    assert any(one.endswith("/whole.json") for one in letters(world))
    scopes = {one.get("scope", "line") for one in world.dead_entries()}
    assert scopes == {"line", "file"}, "one took the other's place"
    world.table.before = lambda _: None
    redrive(world, lenient=True)
    assert sorted(world.texts()) == sorted(texts)
    assert [one.get("scope", "line") for one in world.dead_entries()] == ["line"]


def test_asked_twice_or_for_what_is_gone_it_does_nothing() -> None:
    world = World()
    world.objects.denied.add("a.json")
    world.feed("a.json", lines(*GOOD))
    world.run()
    (letter,) = letters(world)
    world.objects.denied.clear()
    for _ in range(3):
        world.queue.put(Again(letter).body())
    world.run(files_at_once=1)
    world.queue.put(Again(letter).body())
    world.run()
    assert (letters(world), sorted(world.texts()), world.queue.messages) == ([], sorted(GOOD), {})


def test_a_drop_meanwhile_is_not_undone() -> None:
    world = World()
    world.feed("a.json", lines("bad", GOOD[0], "worse"))
    world.run()
    (letter,) = letters(world)
    put = world.failed.put

    def dropped_first(name: str, body: bytes, *, etag: str | None = None) -> str:
        world.failed.put = put  # type: ignore[method-assign]
        kept = json.loads(world.failed.blobs[letter].body)
        kept["entries"] = kept["entries"][1:]
        put(letter, json.dumps(kept).encode())
        return put(name, body, etag=etag)

    world.failed.put = dropped_first  # type: ignore[method-assign]
    redrive(world)
    assert [one["position"] for one in world.dead_entries()] == [3]


def test_more_dead_lines_than_a_letter_holds() -> None:
    world = World()
    body = b"".join(b"bad %d\n" % number for number in range(2_500)) + lines(*GOOD)
    damaged_read(world, "x.gz", gz(b"\n") + gz(body))
    redrive(world)
    dead = world.dead_entries()
    assert len(dead) == len({one["position"] for one in dead}) == 2_500
    assert sorted(world.texts()) == sorted(GOOD)
    redrive(world)
    assert {one["attempts"] for one in world.dead_entries()} == {3}
    assert len(world.dead_entries()) == 2_500


def test_an_answer_that_got_lost_is_the_only_way_to_a_double() -> None:
    world = World()
    damaged_read(world, "a.gz", gz(lines(*GOOD)))
    failed = [False]

    def lost(_: Any) -> None:
        if not failed[0]:
            failed[0] = True
            raise InDoubt("no answer")

    world.table.after = lost
    redrive(world)
    world.later()
    world.run()
    assert {row["Raw_Data"] for row in world.table.rows} == set(GOOD)
    assert letters(world) == []


@pytest.mark.parametrize(
    "message",
    [
        {"Dead Letter": "other/x.json"}, {"Dead Letter": "files/../progress.json"}, {"Dead Letter": 3},
        {"Dead Letter": f"files/{'a' * 24}/00000001.json", "Positions": ["1"]},
        {"Dead Letter": f"files/{'a' * 24}/00000001.json", "Positions": [True]},
    ],
)  # fmt: skip
def test_only_letters_can_be_named(message: dict[str, Any]) -> None:
    notice = parse(json.dumps(message))
    assert (notice.again, len(notice.faults)) == (None, 1)


def test_a_request_reads_as_it_was_written() -> None:
    again = Again(f"files/{'a' * 24}/00000001.json", (4, 7))
    assert parse(again.body()).again == again
