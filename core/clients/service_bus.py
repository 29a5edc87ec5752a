"""The one way to a Service Bus namespace: client, token, faults, messages. Imports the SDK: only for who needs it.

azure-servicebus 7.15 costs half a second of a cold start and 5 MB a package (docs/adr/0031-service-bus-in-packages.md).
azure-identity would add as much again: tokens come from our own managed identity client.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage, TransportType
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusError,
)

from core.clients.faults import Denied, Fault, Gone, Refused, Transient
from core.clients.managed_identity import ManagedIdentity
from core.messages.envelope import BusMessage

AUDIENCE = "https://servicebus.azure.net"
_NO = {401, 403}
"""What `$cbs` and `$management` answer whom they do not know, and who may not."""


class Credential:
    """A managed identity as azure-core knows credentials, for Service Bus alone."""

    def __init__(self, identity: ManagedIdentity) -> None:
        self._identity = identity

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        """The SDK asks for the scope `https://servicebus.azure.net//.default`, which is AUDIENCE. Raises Transient."""
        token = self._identity.fetch(AUDIENCE)
        return AccessToken(token.text, int(token.expires_on))


def client_options(namespace: str, ca_file: str | None) -> dict[str, Any]:
    """What a client is made with, of either face of the SDK; `namespace`: its host, with a port if it is not Azure's.

    The SDK drops the port of a namespace, and takes an address of one's own for one of WebSockets, unless told
    otherwise. It trusts certifi's roots alone, unless given others: no environment variable reaches it.
    """
    host, _, port = namespace.partition(":")
    options: dict[str, Any] = {"fully_qualified_namespace": host, "transport_type": TransportType.Amqp}
    if port:
        options["custom_endpoint_address"] = f"sb://{namespace}"
    if ca_file:
        options["connection_verify"] = ca_file
    return options


def connect(identity: ManagedIdentity, *, namespace: str, ca_file: str | None) -> ServiceBusClient:
    """A client that has contacted nobody yet."""
    return ServiceBusClient(credential=Credential(identity), **client_options(namespace, ca_file))


def fault(error: Exception, what: str) -> Fault:
    """What the SDK raised, by what the caller should do next; `what`: the entity and the verb."""
    for cause in _causes(error):
        if isinstance(cause, Fault):  # our own, out of the credential
            return cause
    refusal = _refusal(error)
    if refusal is not None:
        return Denied(f"{what}: {type(refusal).__name__}: {_short(refusal)}")
    text = f"{what}: {type(error).__name__}: {_short(error)}"
    if isinstance(error, MessagingEntityNotFoundError):
        return Gone(text)
    if isinstance(error, MessageSizeExceededError):
        return Refused(text)
    if isinstance(error, ServiceBusError):
        return Transient(text)  # busy, full, disabled, cut off: none of them for good
    return Refused(text)  # ValueError, TypeError: the message cannot be said in AMQP


def _refusal(error: Exception) -> BaseException | None:
    """Who said no. Of a token refused at `$cbs` the SDK makes, at an address of one's own, a connection that
    failed: the answer's status is inside.
    """
    kinds = ServiceBusAuthenticationError | ServiceBusAuthorizationError | ClientAuthenticationError
    for cause in _causes(error):
        if getattr(cause, "status_code", None) in _NO:
            return cause
    return error if isinstance(error, kinds) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = getattr(cause, "inner_exception", None) or cause.__cause__ or cause.__context__


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]


def to_sdk(message: BusMessage) -> ServiceBusMessage:
    """As the SDK sends it."""
    return ServiceBusMessage(
        message.body,
        message_id=message.id or None,
        subject=message.subject or None,
        content_type=message.content_type or None,
        correlation_id=message.correlation_id or None,
        session_id=message.session_id or None,
        application_properties=dict(message.properties.items()),
    )


def of_sdk(message: ServiceBusReceivedMessage) -> BusMessage:
    """As the SDK received it. Its body may be of any AMQP form; one that is no bytes is its text."""
    raw = message.raw_amqp_message.body
    body = bytes(raw) if isinstance(raw, bytes | bytearray) else _joined(raw)
    return BusMessage(
        body=body, id=_text(message.message_id), subject=_text(message.subject),
        content_type=_text(message.content_type), correlation_id=_text(message.correlation_id),
        session_id=_text(message.session_id), properties=properties_of(message),
        deliveries=deliveries_of(message),
    )  # fmt: skip


def deliveries_of(message: ServiceBusReceivedMessage) -> int:
    """This one included, as Azure's other SDKs count; on the wire the first is 0."""
    return (message.delivery_count or 0) + 1


def properties_of(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    """Application properties, keys and texts as text (the SDK has them as bytes)."""
    found = message.application_properties or {}
    return {_text(name): _text(value) if isinstance(value, bytes) else value for name, value in found.items()}


def _joined(parts: Any) -> bytes:
    if isinstance(parts, str):
        return parts.encode()
    try:
        return b"".join(part if isinstance(part, bytes | bytearray) else str(part).encode() for part in parts)
    except TypeError:
        return str(parts).encode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
