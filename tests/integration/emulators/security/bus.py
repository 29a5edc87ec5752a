"""Service Bus as a caller sees it: what can be asked over AMQP and over HTTPS, and which verb opens which of it.

`LINKS`, `REQUESTS` and `HTTPS` are written by hand, from the roles' definitions and Microsoft's page on authorization.
"""

import socket
import ssl
import uuid
from dataclasses import dataclass
from typing import Any, Final

from components.roles import Verb
from localcloud.emulators.service_bus.codec import frames, message
from localcloud.emulators.service_bus.codec.types import UInt
from localcloud.emulators.service_bus.protocol.management import OPERATIONS
from tests.contract.service_bus.raw import Raw
from tests.integration.emulators.local import GROUP, Local

SEND: Final = frozenset[Verb]({"bus.send", "bus.manage"})
LISTEN: Final = frozenset[Verb]({"bus.receive", "bus.manage"})
MANAGE: Final = frozenset[Verb]({"bus.manage"})
SEE: Final = frozenset[Verb]({"bus.send", "bus.receive", "bus.manage", "bus.count"})
COUNT: Final = frozenset[Verb]({"bus.count"})
SENT: Final = {"schedule-message", "cancel-scheduled-message"}
"""The requests to `$management` that are about sending; all others are about receiving."""
REQUESTS: Final = {operation: SEND if operation in SENT else LISTEN for operation in OPERATIONS}
UNAUTHORIZED: Final = "amqp:unauthorized-access"


@dataclass(frozen=True, slots=True)
class Bus:
    """A queue, a topic and a subscription, each with the role scope that names it and what it can be asked."""

    entity: str
    links: tuple[tuple[str, bool, frozenset[Verb]], ...]
    """(address, whether to send, who may)."""
    scope: str


KINDS: Final = {
    "queue": Bus(
        "{q}",
        (
            ("{q}", True, SEND),
            ("{q}", False, LISTEN),
            ("{Q}", False, LISTEN),
            ("{q}/$DeadLetterQueue", False, LISTEN),
            ("{q}/$Transfer/$DeadLetterQueue", False, LISTEN),
        ),
        "/queues/{q}",
    ),
    "topic": Bus("{t}", (("{t}", True, SEND),), "/topics/{t}"),
    "subscription": Bus(
        "{t}/Subscriptions/s",
        (("{t}/Subscriptions/s", False, LISTEN), ("{t}/Subscriptions/s/$DeadLetterQueue", False, LISTEN)),
        "/topics/{t}/subscriptions/s",
    ),
}
GRANTED_ON: Final[dict[Verb, tuple[str, ...]]] = {
    "bus.send": ("queue", "topic"),
    "bus.receive": ("queue", "subscription"),
    "bus.manage": ("queue", "topic", "subscription"),
    "bus.count": ("queue", "topic", "subscription"),
}
"""Where `components/roles.py` grants each verb; counting is granted on the whole namespace."""
QUEUE: Final = b'<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"/>'
HTTPS: Final[dict[str, tuple[tuple[str, str, str, frozenset[Verb]], ...]]] = {
    "queue": (
        ("GetQueue", "GET", "{q}", SEE),
        ("UpdateQueue", "PUT", "{q}", MANAGE),
        ("Delete", "DELETE", "{q}", MANAGE),
    ),
    "topic": (
        ("GetTopic", "GET", "{t}", SEE),
        ("ListSubscriptions", "GET", "{t}/subscriptions", SEE),
        ("CreateSubscription", "PUT", "{t}/subscriptions/new", MANAGE),
        ("DeleteTopic", "DELETE", "{t}", MANAGE),
    ),
    "subscription": (
        ("GetSubscription", "GET", "{t}/subscriptions/s", SEE),
        ("ListRules", "GET", "{t}/subscriptions/s/rules", frozenset({"bus.manage", "bus.count"})),
        ("GetRule", "GET", "{t}/subscriptions/s/rules/$Default", frozenset({"bus.manage", "bus.count"})),
        ("CreateRule", "PUT", "{t}/subscriptions/s/rules/new", MANAGE),
        ("DeleteRule", "DELETE", "{t}/subscriptions/s/rules/$Default", MANAGE),
        ("DeleteSubscription", "DELETE", "{t}/subscriptions/s", MANAGE),
    ),
    "namespace": (
        ("ListQueues", "GET", "$Resources/queues", COUNT),
        ("ListTopics", "GET", "$Resources/topics", COUNT),
        ("NamespaceInfo", "GET", "$namespaceinfo", COUNT),
        ("CreateQueue", "PUT", "made-by-nobody", frozenset()),
    ),
}


class Place:
    """A namespace with two of everything."""

    def __init__(self, local: Local) -> None:
        self.local, self.name = local, f"bus{uuid.uuid4().hex[:8]}"
        self.scope = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/{self.name}"
        host = local.run(local.cloud.buses.put(self.name, self.scope))
        self.base, self.port = f"https://{host}", int(host.rpartition(":")[2])
        self._tls = ssl.create_default_context(cafile=local.ca)

    def fresh(self) -> dict[str, str]:
        """Names of a new queue and of a new topic with a subscription `s`."""
        number = uuid.uuid4().hex[:8]
        names = {"q": f"q{number}", "Q": f"Q{number.upper()}", "t": f"t{number}"}
        buses, run = self.local.cloud.buses, self.local.run
        run(buses.put_queue(self.name, names["q"], {}))
        run(buses.put_topic(self.name, names["t"], {}))
        run(buses.put_subscription(self.name, names["t"], "s", {}))
        return names

    def connect(self) -> "TlsRaw":
        """A session, as anybody may open one; no token was shown yet."""
        raw = TlsRaw(self.port, self._tls)
        assert raw.secure() == 0
        raw.header()
        raw.open()
        raw.begin()
        return raw


class TlsRaw(Raw):
    """The frame-by-frame client over TLS."""

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        super().__init__(port)
        self.socket: socket.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._handle = 10

    def show(self, token: str, audience: str) -> int:
        """Put a token to `$cbs`; its status code."""
        return int(self.put_token(token, f"sb://localhost/{audience}", "jwt")["status-code"])

    def link(self, address: str, *, sends: bool) -> str:
        """Attach; the condition with which it was refused, empty when it stands."""
        self._handle += 1
        attached = self.sender(address, self._handle) if sends else self.receiver(address, self._handle)
        if attached[5] is not None and attached[6] is not None:
            return ""
        _, error = frames.described(self.frame(frames.DETACH).fields[2])
        return str(error[0])

    def ask(self, entity: str, operations: list[str]) -> dict[str, int]:
        """Requests to the entity's `$management`, without what they need; status by operation."""
        node = f"{entity}/$management"
        self.sender(node, 2)
        self.receiver(node, 3)
        self.flow(3, 100)
        found = {}
        for number, operation in enumerate(operations):
            out = bytearray()
            message.write_section(out, message.PROPERTIES, [UInt(number)])
            message.write_section(out, message.APPLICATION, {"operation": f"com.microsoft:{operation}"})
            message.write_section(out, message.VALUE, dict[str, Any]())
            self.transfer(2, number, bytes(out))
            answer = message.read(self.frame(frames.TRANSFER).payload)
            found[operation] = int(answer.application["statusCode"])
        return found
