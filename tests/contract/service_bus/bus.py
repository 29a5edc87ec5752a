"""One namespace in this process, in memory, on a port of its own, with a clock that tests may put forward."""

import datetime as dt
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import Any

from localcloud.emulators.service_bus.broker.model import Rule
from localcloud.emulators.service_bus.broker.options import QueueOptions, SubscriptionOptions, TopicOptions
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.protocol.access import Key, Verb
from localcloud.emulators.service_bus.protocol.errors import Refused
from localcloud.emulators.service_bus.server import EMULATOR_KEYS, Server
from tests.loop_thread import LoopThread

PATIENCE_S = 60.0
LISTENER, SENDER = "listener", "sender"
KEYS = {
    **EMULATOR_KEYS,
    LISTENER: Key("listen-secret", frozenset[Verb]({"listen"})),
    SENDER: Key("send-secret", frozenset[Verb]({"send"})),
}
GRANTS: dict[str, tuple[str, Verb]] = {}
"""Tokens that the verifier of these tests knows: entity and verb that each is good for."""


def authorize(token: str, entity: str, verb: Verb | None) -> float:
    """A stand-in for the local identity: one token, one entity, one verb."""
    if token not in GRANTS:
        raise Refused("the token is not known")
    place, right = GRANTS[token]
    if verb is not None and (entity.lower() != place or verb != right):
        raise Refused(f"the token is for {right} on {place}")
    return time.time() + 3600


class Bus:
    """The namespace and the thread that it lives in."""

    def __init__(self) -> None:
        self._loop = LoopThread("service bus")
        self._names = itertools.count(1)
        self._ahead = 0.0
        self.port = self.run(self._start())

    async def _start(self) -> int:
        self.service = Service(clock=lambda: time.time() + self._ahead)
        self.service.start()
        self.server = Server(self.service, keys=KEYS, authorize=authorize)
        return await self.server.listen(("127.0.0.1", 0))

    def close(self) -> None:
        """Stop it."""
        self.run(self.server.close())
        self.call(self.service.close)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """A coroutine in the namespace's thread."""
        return self._loop.run(work)

    def call(self, act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """A function in the namespace's thread."""
        return self._loop.do(lambda: act(*arguments, **named))

    def later(self, seconds: float) -> None:
        """Put the broker's clock forward."""

        def forward() -> None:
            self._ahead += seconds
            self.service.tick()

        self.call(forward)

    def now(self) -> dt.datetime:
        """The broker's time."""
        return dt.datetime.fromtimestamp(time.time() + self._ahead, dt.UTC)

    def connection_string(self, name: str = "RootManageSharedAccessKey", key: str = "SAS_KEY_VALUE") -> str:
        """As Microsoft's emulator has it."""
        place = f"Endpoint=sb://localhost:{self.port}"
        return f"{place};SharedAccessKeyName={name};SharedAccessKey={key};UseDevelopmentEmulator=true;"

    def cut(self, entity: str) -> None:
        """Break every connection that has a link to the entity, without a word."""

        def breaking() -> None:
            for connection in list(self.server._connections):
                links = (link for session in connection._sessions.values() for link in session.links.values())
                if any(getattr(link, "entity", None) is self.service.entity(entity) for link in links):
                    connection.transport.abort()

        self.call(breaking)

    # --- entities ---

    def queue(self, **options: Any) -> str:
        """A new queue; its name."""
        name = f"queue-{next(self._names)}"
        self.call(self.service.create_queue, name, QueueOptions(**options))
        return name

    def topic(self, **options: Any) -> str:
        """A new topic; its name."""
        name = f"topic-{next(self._names)}"
        self.call(self.service.create_topic, name, TopicOptions(**options))
        return name

    def subscription(self, topic: str, name: str, *rules: Rule, **options: Any) -> str:
        """A new subscription (without rules it takes everything); its path."""
        more = (rules,) if rules else ()
        self.call(self.service.create_subscription, topic, name, SubscriptionOptions(**options), *more)
        return f"{topic}/Subscriptions/{name}"

    def counts(self, path: str) -> Any:
        """Runtime counts."""
        return self.call(self.service.counts, path)
