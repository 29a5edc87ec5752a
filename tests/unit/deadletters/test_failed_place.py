"""The failed-file place: what its letters look like as entries, and what redrive and drop do to it."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from core.log_ingest.dead_letters import DeadEntry, DeadLetters
from core.log_ingest.notices import Again, File, parse
from localcloud.deadletters.acting import DeadLetters as Desk
from localcloud.deadletters.entry import Filter
from localcloud.deadletters.failed_place import FailedPlace
from localcloud.deadletters.place import Pace
from localcloud.session.local import LocalCloudError
from tests.unit.log_ingest.world import Delivered, MemoryContainer

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ID = "a" * 24


class Container(MemoryContainer):
    def names(self, prefix: str = "") -> Iterator[str]:
        yield from sorted(name for name in self.blobs if name.startswith(prefix))


class Sender:
    def __init__(self) -> None:
        self.batches: list[list[Again]] = []

    def send(self, bodies: Sequence[str]) -> None:
        self.batches.append([again for body in bodies if (again := parse(body).again)])


class World:
    def __init__(self) -> None:
        self.container, self.sender = Container(), Sender()
        self.letters = DeadLetters(self.container, now=lambda: NOW)
        self.place = FailedPlace("failed", "log_ingest", self.container, self.sender)  # type: ignore[arg-type]

    def lines(self, *positions: int, rest: int | None = None, id_: str = ID) -> None:
        place = self.letters.of_file(
            File("logs", "a b.json", "T"), file_id=id_, version="v", message_id="m", recorded=0
        )  # fmt: skip
        for position in positions:
            place.add(DeadEntry(reason="not JSON: x", line=position, position=position, excerpt="\\xff{"))
        if rest is not None:
            place.add(DeadEntry(scope="file", reason="truncated gz", line=rest, position=rest))
        place.flush()

    def entries(self) -> list[Any]:
        return self.place.entries()


@pytest.fixture
def world() -> World:
    return World()


def test_each_record_is_an_entry(world: World) -> None:
    world.lines(3, 5, rest=9)
    world.letters.message(Delivered("m-1", "r", '{"x": "Bearer abc"}', 4), "unknown form")
    world.letters.given_up(
        File("logs", "b.json"), file_id="b" * 24, message_id="m", reason="gave up after 5 tries: 503"
    )
    found = {entry.id: entry for entry in world.entries()}
    assert set(found) == {f"{ID}-3", f"{ID}-5", f"{ID}-9", "m-1", f"{'b' * 24}-0"}
    line = found[f"{ID}-3"]
    assert (line.kind, line.origin, line.excerpt, line.attempts) == ("line", "logs/a b.json", "\\xff{", 1)
    assert (found[f"{ID}-9"].kind, found[f"{'b' * 24}-0"].kind) == ("file", "file")
    message = found["m-1"]
    assert (message.kind, message.size, message.excerpt) == ("message", 19, '{"x": "Bearer …"}')
    assert {entry.time for entry in found.values()} == {"2026-11-26T12:00:00.000Z"}


def test_a_redrive_asks_for_the_chosen_ones_and_changes_nothing(world: World) -> None:
    for number in range(25):
        world.lines(1, 2, id_=f"{number:024x}")
    world.letters.message(Delivered("m-1", "r", "nonsense", 4), "unknown form")
    before, told = dict(world.container.blobs), list[int]()
    chosen = [entry for entry in world.entries() if entry.id.endswith("-1")]
    world.place.redrive(chosen, Pace(), told.append)
    asked = [again for batch in world.sender.batches for again in batch]
    assert [len(batch) for batch in world.sender.batches] == [10, 10, 6]
    assert (sum(told), world.container.blobs) == (26, before)
    assert {again.letter for again in asked} == before.keys()
    assert {again.positions for again in asked} == {(1,), ()}


def test_a_drop_takes_out_what_was_chosen_and_no_more(world: World) -> None:
    world.lines(3, 5, rest=9)
    world.lines(1, id_="c" * 24)
    world.place.drop([entry for entry in world.entries() if entry.reason.startswith("not")], Pace(), lambda _: None)
    (left,) = world.entries()
    assert (left.id, len(world.container.blobs)) == (f"{ID}-9", 1)


def test_a_blob_that_is_no_letter_is_shown_and_can_be_dropped(world: World) -> None:
    world.container.put("files/strange.json", b"{}")
    (entry,) = world.entries()
    assert entry.reason.startswith("not one of our letters")
    world.place.drop([entry], Pace(), lambda _: None)
    assert world.container.blobs == {}


def test_ids_must_name_something_and_a_limit_counts_over_all_places(world: World) -> None:
    other = World()
    world.lines(1, 2)
    other.lines(1, 2, id_="d" * 24)
    desk = Desk([world.place, other.place])
    with pytest.raises(LocalCloudError, match=r"'zz': must be one that exists; see ./millrace dlq list"):
        desk.choose(Filter(ids=["zz"]))
    assert [len(entries) for _, entries in desk.choose(Filter(limit=3))] == [2, 1]
    assert (desk.listing(Filter(limit=3)).total, len(desk.listing(Filter(limit=3)).entries)) == (4, 3)
    report = desk.act("redrive", desk.choose(Filter(limit=3)), rate=0, tell=lambda _: None)
    assert (report.chosen, report.done, report.kinds) == (3, 3, {"line": 3})


def test_letters_written_before_there_were_attempts_are_read(world: World) -> None:
    world.lines(3)
    ((name, blob),) = world.container.blobs.items()
    old = json.loads(blob.body)
    assert "attempts" not in old["entries"][0]  # the first time says nothing of it: old and new letters look alike
    assert name == f"files/{ID}/00000001.json"
