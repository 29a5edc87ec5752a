"""Dead letters that come back: every record is one row in the end, whatever is interrupted, repeated or dead again."""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from typing import Any

import pytest

from core.clients.faults import Fault, InDoubt, Transient
from core.log_ingest.notices import Again, parse
from core.messages.log_ingest import RunSummary
from tests.unit.log_ingest.world import World, gz, lines

GOOD = [json.dumps({"n": number}) for number in range(6)]


def letters(world: World) -> list[str]:
    return sorted(world.failed.blobs)


def redrive(world: World, **rules: Any) -> RunSummary:
    """A message for each letter, as the operator's command sends it, and a run."""
    for name in letters(world):
        world.queue.put(Again(name).body())
    return world.run(**rules)


def damaged_read(world: World, key: str, body: bytes) -> None:
    """The object is whole; its first reading was not."""
    world.feed(key, body[: len(body) // 2])
    at = world.objects.objects["logs", key][1]
    opened = world.objects.open

    def whole_name(bucket: str, name: str, version: str | None) -> Any:
        """The same ETag, as if the content had been spoilt on its way."""
        found = opened(bucket, name, version)
        found.etag = "same"
        return found

    world.objects.open = whole_name  # type: ignore[method-assign, assignment]
    world.run()
    world.objects.objects["logs", key] = (body, at)


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


class Outside:
    """Everything that the worker reaches. It may end at a chosen call, before or after its effect: then nothing that
    the worker still tries has any effect, as if its process had been killed there.
    """

    def __init__(self, world: World) -> None:
        self.left, self.after, self.dead = -1, False, False
        for owner, names in (
            (world.failed, ("get", "put", "delete")), (world.progress, ("get", "put", "delete")),
            (world.queue, ("receive", "delete", "hide")), (world.table, ("send",)),
        ):  # fmt: skip
            for name in names:
                self._stand_before(owner, name)

    def _stand_before(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **named: Any) -> Any:
            self.left -= 1
            self.dead = self.dead or (self.left == 0 and not (self.after and name != "send"))
            if self.dead:
                raise Fault("killed")
            answer = real(*args, **named)
            if self.left == 0:
                self.dead = True
                raise Fault("killed")
            return answer

        setattr(owner, name, call)

    def run(self, world: World, left: int, *, after: bool) -> None:
        self.left, self.after, self.dead = left, after, False
        with contextlib.suppress(Fault):
            world.run()
        self.left, self.dead = -1, False
        world.later()


def noted(world: World) -> set[str]:
    """Which records the worker's own notes call accepted by a redrive."""
    found = set()
    for name, blob in world.progress.blobs.items():
        if name.startswith("redrives/"):
            identity = name.rpartition("/")[2].removesuffix(".json")
            ranges = json.loads(blob.body).get("accepted", [])
            found |= {f"{identity}-{position}" for first, last in ranges for position in range(first, last)}
    return found


@pytest.mark.parametrize("seed", range(60))
def test_killed_anywhere_nothing_is_lost_and_nothing_doubled(seed: int) -> None:
    random_ = random.Random(seed)
    world = World()
    world.table.max_rows = 3
    texts = [json.dumps({"n": number}) if random_.random() < 0.8 else f"bad {number}" for number in range(60)]
    damaged_read(world, "a.gz", gz(lines(*texts[:7])) + gz(lines(*texts)))
    alive = [text for text in texts[:7] + texts if not text.startswith("bad")]
    outside, kills, unnoted, at_first = Outside(world), random_.randint(1, 8), set[str](), len(world.table.rows)
    for _ in range(kills):
        for name in letters(world):
            world.queue.put(Again(name).body())
        outside.run(world, random_.randint(1, 60), after=random_.random() < 0.5)
        unnoted |= {row["Record_Id"] for row in world.table.rows[at_first:]} - noted(world)
    for _ in range(5):
        redrive(world)
        world.later()
    assert world.queue.messages == {}
    identities = [row["Record_Id"] for row in world.table.rows]
    assert len(set(identities)) == len(alive)
    doubled = {one for one, times in Counter(identities).items() if times > 1}
    assert doubled <= unnoted, "twice, though the worker had noted that it was accepted"
    dead = [one["position"] for one in world.dead_entries()]
    assert sorted(dead) == [at for at, text in enumerate(texts[:7] + texts, 1) if text.startswith("bad")]


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
