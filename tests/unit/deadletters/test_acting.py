"""Which places a command looks into: looking takes a queue's messages out of everybody's sight for a while."""

from collections.abc import Sequence

from localcloud.deadletters.acting import DeadLetters
from localcloud.deadletters.entry import Entry, Filter, Kind
from localcloud.deadletters.place import Pace, Tell
from tests.unit.deadletters.test_entry import entry


class Counting:
    """A place of two entries that says how often it was looked into."""

    def __init__(self, name: str, *kinds: Kind) -> None:
        self.name, self.looks = name, 0
        self.kinds: Sequence[Kind] = kinds

    def entries(self) -> list[Entry]:
        self.looks += 1
        return [entry(f"{self.name}-{number}", kind=self.kinds[0]) for number in range(2)]

    def hidden(self) -> int:
        self.looks += 1
        return 3

    def recover(self) -> None: ...

    def redrive(self, entries: Sequence[Entry], pace: Pace, tell: Tell) -> None:
        pace.wait(len(entries))
        tell(len(entries))

    drop = redrive


def test_a_place_whose_kinds_are_not_asked_for_is_not_looked_into() -> None:
    queue, failed = Counting("q", "sqs"), Counting("f", "line", "file")
    dead = DeadLetters([queue, failed])
    chosen = dead.choose(Filter(kinds=["file", "line"]))
    assert [one.id for _, entries in chosen for one in entries] == ["f-0", "f-1"]
    assert dead.listing(Filter(kinds=["line"])).hidden == {"f": 3}
    assert (queue.looks, failed.looks) == (0, 3)
    assert dead.act("redrive", chosen, rate=0, tell=lambda _: None).done == 2


def test_without_kinds_every_place_is_looked_into() -> None:
    dead = DeadLetters([Counting("q", "sqs"), Counting("f", "line", "file")])
    found = dead.listing(Filter())
    assert (found.total, found.kinds, found.hidden) == (4, {"line": 2, "sqs": 2}, {"q": 3, "f": 3})
