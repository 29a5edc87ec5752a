"""Who may do what on one Service Bus namespace: a token of the local tenant, and a role on the entity or above it.

Documented ("Authenticate and authorize an application with Microsoft Entra ID to access Azure Service Bus entities"):
the audience, the three data roles, their scopes (namespace, queue, topic, subscription). Documented by the roles' own
definitions: sending and receiving are data actions; reading, changing and deleting entities are actions (Reader, Sender
and Receiver have the first). Our reading: a valid token without any role is taken by `$cbs` and refused where it is
used, as the service's messages have it (`'Send' claim(s) are required`).
"""

from collections.abc import Callable
from typing import Final

from localcloud.emulators.access import Access
from localcloud.emulators.identity import Claims, Identity, TokenRefused
from localcloud.emulators.service_bus.broker.nodes import Node
from localcloud.emulators.service_bus.protocol.access import SharedKeys, Verb
from localcloud.emulators.service_bus.protocol.errors import Refused

AUDIENCE: Final = "https://servicebus.azure.net"
PROVIDER: Final = "Microsoft.ServiceBus/namespaces"
DATA: Final[dict[Verb, str]] = {
    "send": f"{PROVIDER}/messages/send/action",
    "listen": f"{PROVIDER}/messages/receive/action",
}
METHODS: Final = {"GET": "read", "PUT": "write", "DELETE": "delete"}
_KINDS: Final = {"queue": "queues", "topic": "topics", "subscription": "topics/subscriptions"}
_WORDS: Final = {
    "audience": "InvalidAudience: The authorization header contains a token for another audience.",
    "expired": "ExpiredToken: The token is expired.",
    "signature": "InvalidSignature: The token has an invalid signature.",
    "malformed": "MalformedToken: The token is not a JSON web token of this tenant.",
}
_INVALID: Final = "InvalidIssuer: Token issuer is invalid."

Count = Callable[[str, bool], None]
"""(operation, admitted) → nothing."""


class BusGate:
    """Asked by the emulator: `amqp` when a token is shown and for each link, `http` for each request."""

    def __init__(
        self, identity: Identity, access: Access, arm_id: str, find: Callable[[str], Node | None], count: Count
    ) -> None:
        """`arm_id`: the namespace's; `find`: an entity by its path."""
        self._identity, self._access, self._find, self._count = identity, access, find, count
        self._namespace = arm_id.rstrip("/")
        self._no_keys = SharedKeys({}, lambda: 0.0)

    def amqp(self, token: str, entity: str, verb: Verb | None) -> float:
        """See `service_bus.protocol.access.Authorize`."""
        claims = self._claims(token)
        if verb is None:
            return float(claims["exp"])
        kind, scope = self._place(entity)
        action = DATA.get(verb, f"{PROVIDER}/{kind}/write")
        self._require(claims, action, scope, verb, data=verb in DATA)
        return float(claims["exp"])

    def http(self, header: str, method: str, path: str) -> None:
        """See `service_bus.management.admin.Authorize`."""
        scheme, _, token = header.partition(" ")
        if scheme == "SharedAccessSignature":
            self._no_keys(header, path, None)
        if scheme.lower() != "bearer" or not token:
            self._count("manage", False)
            raise Refused("SubCode=40102: Unauthorized : there must be one Authorization header with a bearer token")
        claims = self._claims(token)
        kind, scope = self._asked(path)
        action = f"{PROVIDER}/{kind}".rstrip("/") + f"/{METHODS.get(method, 'write')}"
        self._require(claims, action, scope, method, data=False)

    def _claims(self, token: str) -> Claims:
        try:
            return self._identity.verify(token, [AUDIENCE])
        except TokenRefused as refused:
            self._count("token", False)
            raise Refused(f"{_WORDS.get(refused.reason, _INVALID)} ({refused})") from refused

    def _require(self, claims: Claims, action: str, scope: str, operation: str, *, data: bool) -> None:
        admitted = self._access.allowed(str(claims["oid"]), action, scope, data=data)
        self._count(operation, admitted)
        if not admitted:
            who = f"the identity {claims['oid']} has no role with {action} on {scope}"
            raise Refused(f"SubCode=40100: Unauthorized : {who}; declare the link that grants it")

    def _asked(self, path: str) -> tuple[str, str]:
        """What a request is about, as `management.admin` reads its path."""
        parts = path.lower().split("/")
        if parts[0] == "$namespaceinfo":
            return "", self._namespace
        if parts[0] == "$resources":
            return parts[-1], self._namespace
        if len(parts) >= 5 and parts[-2] == "rules" and parts[-4] == "subscriptions":
            return "topics/subscriptions/rules", self._place("/".join(parts[:-2]))[1]
        if len(parts) > 3 and parts[-1] == "rules" and parts[-3] == "subscriptions":
            return "topics/subscriptions/rules", self._place("/".join(parts[:-1]))[1]
        if len(parts) > 1 and parts[-1] == "subscriptions":
            return "topics/subscriptions", self._place("/".join(parts[:-1]))[1]
        return self._place(path)

    def _place(self, path: str) -> tuple[str, str]:
        """Kind and scope of an entity. What does not exist (yet) is the namespace's own affair."""
        node = self._find(path)
        if node is not None:
            return _KINDS[node.kind], f"{self._namespace}{scope_of(node)}"
        topic, found, _ = path.lower().rpartition("/subscriptions/")
        owner = self._find(topic) if found else None
        if owner is not None:
            return "topics/subscriptions", f"{self._namespace}{scope_of(owner)}"
        return "queues", self._namespace


def scope_of(node: Node) -> str:
    """What the entity's ARM id adds to its namespace's; a slash in a name is a tilde there, as Service Bus has it."""
    if node.owner is not None:
        return f"{scope_of(node.owner)}/subscriptions/{node.name}"
    return f"/{_KINDS[node.kind]}/{node.path.replace('/', '~')}"
