"""One receiving link: its credit and its session."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from localcloud.emulators.service_bus.broker.model import BrokerError, Delivery, Mode

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.backlog import Backlog
    from localcloud.emulators.service_bus.broker.sessions import Session


class Link:
    """See `interface.Receiver`."""

    __slots__ = ("backlog", "identifier", "left", "mode", "on_delivery", "on_end", "open", "session", "waiting")

    def __init__(
        self,
        backlog: "Backlog",
        mode: Mode,
        on_delivery: Callable[[Delivery], None],
        on_end: Callable[[BrokerError], None],
        identifier: str,
    ) -> None:
        self.backlog = backlog
        self.mode = mode
        self.on_delivery = on_delivery
        self.on_end = on_end
        self.identifier = identifier
        self.session: Session | None = None
        self.left = 0
        """Credit that is left."""
        self.waiting = False
        """In its backlog's row of links that may get the next message."""
        self.open = True

    @property
    def session_id(self) -> str | None:
        """The accepted session."""
        return self.session.name if self.session else None

    @property
    def session_locked_until(self) -> float | None:
        """End of its lock."""
        return self.session.locked_until if self.session else None

    def credit(self, count: int) -> None:
        """Set it, and take what there is."""
        self.left = count
        if count > 0 and self.open:
            self.backlog.wait(self)

    def drain(self) -> int:
        """Take what there is, give up the rest."""
        if self.open:
            self.backlog.wait(self)
        left, self.left = self.left, 0
        return left

    def close(self) -> None:
        """See `Backlog.leave`."""
        if self.open:
            self.backlog.leave(self)

    def end(self, error: BrokerError) -> None:
        """The broker ends it."""
        if self.open:
            self.backlog.leave(self)
            self.on_end(error)
