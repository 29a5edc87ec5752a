"""Who may speak to Service Bus in the local cloud, and in which words everybody else is refused."""

import http.client
import ssl
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.servicebus import ServiceBusClient, ServiceBusMessage, TransportType
from azure.servicebus.exceptions import ServiceBusAuthorizationError, ServiceBusConnectionError
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.integration.emulators.bus_clients import OWNER, SENDER, Buses
from tests.integration.emulators.local import FixedToken, TokenOf


def test_keys_open_nothing_and_the_words_are_the_services(buses: Buses) -> None:
    buses.put("Queue", queueName="closed")
    key = AzureNamedKeyCredential("RootManageSharedAccessKey", "SAS_KEY_VALUE")
    address = f"sb://{buses.host}"
    more = {"transport_type": TransportType.Amqp, "connection_verify": buses.local.ca, "retry_total": 0}
    with (
        ServiceBusClient("localhost", key, custom_endpoint_address=address, **more) as client,  # type: ignore[arg-type]
        pytest.raises(ServiceBusConnectionError) as refused,
    ):
        client.get_queue_sender("closed").send_messages(ServiceBusMessage("x"))
    # With an endpoint of one's own the SDK calls every refusal of $cbs a connection error; the words are inside.
    assert "Status code: 401" in str(refused.value.inner_exception)
    assert "LocalAuthDisabled" in str(refused.value.inner_exception)
    secret = f"Endpoint={address};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE"
    with (
        ServiceBusAdministrationClient.from_connection_string(
            secret, connection_verify=buses.local.ca, retry_total=0
        ) as administration,
        pytest.raises(ClientAuthenticationError, match="LocalAuthDisabled"),
    ):
        administration.get_queue("closed")


def test_a_token_of_another_audience_or_of_nobody_opens_nothing(buses: Buses) -> None:
    buses.put("Queue", queueName="guarded")
    owner = buses.worker((OWNER, ""))
    for credential, says in (
        (TokenOf(buses.local, owner, "https://storage.azure.com"), "InvalidAudience"),
        (FixedToken("not.a.token"), "MalformedToken"),
    ):
        with ServiceBusAdministrationClient(
            buses.host, credential, connection_verify=buses.local.ca, retry_total=0
        ) as administration, pytest.raises(ClientAuthenticationError, match=says):  # fmt: skip
            administration.get_queue("guarded")
    with (
        buses.client(buses.worker((SENDER, "/queues/guarded"))) as client,
        pytest.raises(ServiceBusAuthorizationError, match="'Listen' claim"),
    ):
        client.get_queue_receiver("guarded").receive_messages(1, max_wait_time=1)


@pytest.mark.parametrize("audience", ["https://servicebus.azure.net", "https://servicebus.azure.net/"])
def test_the_audience_may_end_with_a_slash(buses: Buses, audience: str) -> None:
    """The SDK asks for `https://servicebus.azure.net//.default`, of which Entra makes the audience with the slash;
    whoever asks a managed identity for `https://servicebus.azure.net` gets that.
    """
    buses.put("Queue", queueName="guarded")
    credential = TokenOf(buses.local, buses.worker((OWNER, "")), audience)
    more: dict[str, Any] = {"custom_endpoint_address": f"sb://{buses.host}", "connection_verify": buses.local.ca}
    with ServiceBusClient("localhost", credential, transport_type=TransportType.Amqp, **more) as client:
        client.get_queue_sender("guarded").send_messages(ServiceBusMessage("x"))
        assert client.get_queue_receiver("guarded").peek_messages()
    with ServiceBusAdministrationClient(buses.host, credential, connection_verify=buses.local.ca) as administration:
        assert administration.get_queue("guarded").name == "guarded"


def test_a_forwarding_entity_needs_manage_on_both(buses: Buses) -> None:
    for name in ("mine", "theirs"):
        buses.put("Queue", queueName=name)
    with buses.administration(buses.worker((OWNER, "/queues/mine"))) as administration:
        properties = administration.get_queue("mine")
        properties.forward_to = "theirs"
        with pytest.raises(ClientAuthenticationError):
            administration.update_queue(properties)
    with buses.administration(buses.worker((OWNER, "/queues/mine"), (OWNER, "/queues/theirs"))) as administration:
        administration.update_queue(properties)
        assert administration.get_queue("mine").forward_to == f"sb://{buses.host}/theirs"


def test_two_authorization_headers_are_none(buses: Buses) -> None:
    token = TokenOf(buses.local, buses.worker((OWNER, ""))).get_token("https://servicebus.azure.net/.default").token
    context = ssl.create_default_context(cafile=buses.local.ca)
    client = http.client.HTTPSConnection(buses.host, timeout=10, context=context)
    for shown, status in ((1, 200), (2, 401)):
        client.putrequest("GET", "/$Resources/queues?api-version=2021-05")
        for _ in range(shown):
            client.putheader("Authorization", f"Bearer {token}")
        client.endheaders()
        answer = client.getresponse()
        assert (answer.status, bool(answer.read())) == (status, True)
    client.close()
