"""Letters of a world, their way back, and a way to make some."""

from __future__ import annotations

import json
from typing import Any

from core.log_ingest.notices import Again
from core.messages.log_ingest import RunSummary
from tests.unit.log_ingest.world import World

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
