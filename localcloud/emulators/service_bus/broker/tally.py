"""What happened at one place since the process began: numbers for whoever watches it, not kept on disk."""


class Tally:
    """`sent`: what senders sent here, or a topic copied here; `received`: deliveries, each of a message that is
    delivered again too; the others: how deliveries ended. `dead_lettered`: whatever was given up here, by a receiver,
    by expiry or by the number of tries.
    """

    __slots__ = ("abandoned", "completed", "dead_lettered", "deferred", "received", "sent")

    def __init__(self) -> None:
        self.sent = self.received = self.completed = self.abandoned = self.deferred = self.dead_lettered = 0
