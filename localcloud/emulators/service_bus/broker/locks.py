"""A message's lock: until when, and under which session."""

import uuid
from typing import TYPE_CHECKING

from localcloud.emulators.service_bus.broker.model import Message

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.broker.sessions import Session


class Lock:
    """Of a message alone, or of a message of a session: then it ends with the session's."""

    __slots__ = ("message", "session", "token", "until")

    def __init__(self, token: uuid.UUID, message: Message, session: "Session | None", until: float) -> None:
        self.token = token
        self.message = message
        self.session = session
        self.until = until
