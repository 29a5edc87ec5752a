"""A message's lock: who holds it and until when."""

import uuid
from typing import TYPE_CHECKING

from localcloud.emulators.service_bus.broker.model import Message

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.link import Link


class Lock:
    """Held by a link, or by nobody's link when the message was received by its sequence number."""

    __slots__ = ("link", "message", "token", "until")

    def __init__(self, token: uuid.UUID, message: Message, link: "Link | None", until: float) -> None:
        self.token = token
        self.message = message
        self.link = link
        self.until = until
