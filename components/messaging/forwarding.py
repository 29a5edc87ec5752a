"""Who forwards to whom: no loops, and no message that travels too far. Pure.

Service Bus dead-letters a message after four hops ("Chaining Service Bus entities with autoforwarding"), so a longer
chain and every loop would lose their messages there; both are refused while they are declared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from components.errors import require

HOPS = 4


@dataclass(eq=False, slots=True)
class Stop:
    """A place on the way of messages."""

    name: str
    onward: list[tuple["Stop", int]] = field(default_factory=list, repr=False)
    """Where they go from here, and by how many hops: from a topic to its subscription by none."""
    before: list[tuple["Stop", int]] = field(default_factory=list, repr=False)

    def lead(self, target: "Stop", hops: int = 1) -> None:
        """Messages go from here to `target`."""
        self.onward.append((target, hops))
        target.before.append((self, hops))


def check_forward(who: str, source: Stop, target: Stop) -> None:
    """Refuse a loop or a chain of more than four hops that `source` → `target` would complete."""
    require(
        source not in _reached(target),
        who,
        must="messages must not be forwarded in a circle",
        got=f"{source.name} → {target.name} → … → {source.name}" if source is not target else f"itself, {source.name}",
        change="forward to somewhere else",
    )
    hops = _before(source) + 1 + _onward(target)
    require(
        hops <= HOPS,
        who,
        must=f"a message must be forwarded {HOPS} times at most",
        got=f"a chain of {hops} through {source.name} → {target.name}",
        change="forward to the end of the chain directly",
    )


def _reached(start: Stop) -> Iterator[Stop]:
    yield start
    for stop, _ in start.onward:
        yield from _reached(stop)


def _onward(start: Stop) -> int:
    return max((hops + _onward(stop) for stop, hops in start.onward), default=0)


def _before(end: Stop) -> int:
    return max((hops + _before(stop) for stop, hops in end.before), default=0)
