"""A redrive whose worker is killed at any call."""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from typing import Any

import pytest

from core.clients.faults import Fault
from core.log_ingest.notices import Again
from tests.unit.log_ingest.redriving import damaged_read, letters, redrive
from tests.unit.log_ingest.world import World, gz, lines


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
