"""Keys, signatures and tokens."""

import asyncio
import time
from typing import Any

from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient as AioClient
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusAuthorizationError, ServiceBusError

from tests.contract.service_bus.bus import GRANTS, LISTENER, SENDER
from tests.contract.service_bus.kit import Kit, both, first, text
from tests.contract.service_bus.raw import signature


class Bearer:
    """A token credential of either face."""

    def __init__(self, token: str) -> None:
        self._token = AccessToken(token, int(time.time()) + 3600)

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return self._token


class AioBearer(Bearer):
    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:  # type: ignore[override]
        return self._token


def with_credential(kit: Kit, credential: Any) -> Any:
    make = AioClient if kit.flavour == "aio" else ServiceBusClient
    return make(f"localhost:{kit.bus.port}", credential, use_tls=False, retry_total=0)


@both
async def test_a_wrong_key_opens_nothing(kit: Kit) -> None:
    queue = kit.bus.queue()
    wrong = [("RootManageSharedAccessKey", "wrong"), ("nobody", "SAS_KEY_VALUE")]
    clients = [kit.client(kit.bus.connection_string(name, key)) for name, key in wrong]
    for error in await kit.refused(*(client.get_queue_sender(queue) for client in clients)):
        assert isinstance(error, ServiceBusAuthenticationError)


@both
async def test_a_key_does_what_its_rights_say(kit: Kit) -> None:
    queue = kit.bus.queue()
    listening = kit.client(kit.bus.connection_string(LISTENER, "listen-secret"))
    sending = kit.client(kit.bus.connection_string(SENDER, "send-secret"))
    errors = await kit.refused(listening.get_queue_sender(queue), sending.get_queue_receiver(queue))
    for error, right in zip(errors, ("Send", "Listen"), strict=True):
        assert isinstance(error, ServiceBusAuthorizationError)
        assert f"no {right} right" in str(error)
    sender, receiver = await asyncio.gather(
        kit.open(sending.get_queue_sender(queue)), kit.open(listening.get_queue_receiver(queue))
    )
    await sender.send_messages(ServiceBusMessage("x"))
    await receiver.complete_message((await first(receiver))[0])


@both
async def test_a_signature_made_elsewhere_is_good_for_its_scope_until_it_ends(kit: Kit) -> None:
    queue, other = kit.bus.queue(), kit.bus.queue()
    scope = f"sb://localhost:{kit.bus.port}/{queue}"
    good = with_credential(kit, AzureSasCredential(signature(scope)))
    await kit.open(good.get_queue_sender(queue))
    ended = with_credential(kit, AzureSasCredential(signature(scope, ends=time.time() - 1)))
    errors = await kit.refused(good.get_queue_sender(other), ended.get_queue_sender(queue))
    assert isinstance(errors[0], ServiceBusAuthenticationError)
    assert isinstance(errors[1], ServiceBusError)


@both
async def test_a_named_key_makes_signatures(kit: Kit) -> None:
    queue = kit.bus.queue()
    client = with_credential(kit, AzureNamedKeyCredential("RootManageSharedAccessKey", "SAS_KEY_VALUE"))
    sender = await kit.open(client.get_queue_sender(queue))
    await sender.send_messages(ServiceBusMessage("x"))
    assert kit.bus.counts(queue).active == 1


@both
async def test_a_bearer_token_needs_the_role_for_entity_and_verb(kit: Kit) -> None:
    queue = kit.bus.queue()
    GRANTS[f"send-{queue}"], GRANTS[f"listen-{queue}"] = (queue, "send"), (queue, "listen")
    bearer = AioBearer if kit.flavour == "aio" else Bearer
    sends, listens = (with_credential(kit, bearer(f"{verb}-{queue}")) for verb in ("send", "listen"))
    sender, receiver = await asyncio.gather(
        kit.open(sends.get_queue_sender(queue)), kit.open(listens.get_queue_receiver(queue))
    )
    await sender.send_messages(ServiceBusMessage("x"))
    assert text((await first(receiver))[0]) == "x"
    await kit.open(listens.get_queue_receiver(queue, sub_queue="deadletter"))
    forged = with_credential(kit, bearer("forged"))
    other, unknown = await kit.refused(sends.get_queue_receiver(queue), forged.get_queue_sender(queue))
    assert isinstance(other, ServiceBusAuthorizationError)
    assert f"the token is for send on {queue}" in str(other)
    assert isinstance(unknown, ServiceBusAuthenticationError)
