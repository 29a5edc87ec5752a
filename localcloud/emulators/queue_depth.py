"""How full a queue is, the same for every kind of queue."""

import msgspec


class QueueDepth(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of messages: `active` can be received now, `in_flight` are received and not settled, `scheduled` become
    visible later, `dead` lie in the queue's dead-letter queue. `kind`: "sqs", "storage" or "bus".
    """

    name: str
    kind: str
    active: int
    in_flight: int = 0
    scheduled: int = 0
    dead: int = 0
    dead_letters: bool = False
    """It is a dead-letter queue itself: what lies in it waits for a person, and is not in flight."""

    @property
    def moving(self) -> int:
        """Messages that somebody will still work on."""
        return 0 if self.dead_letters else self.active + self.in_flight + self.scheduled
