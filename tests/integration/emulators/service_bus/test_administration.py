"""The SDK's own administration client, over TLS, against the administration API."""

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.servicebus.management import (
    CorrelationRuleFilter,
    EntityStatus,
    FalseRuleFilter,
    ServiceBusAdministrationClient,
    SqlRuleAction,
    SqlRuleFilter,
    TrueRuleFilter,
)

from localcloud.emulators.ca import CertificateAuthority
from localcloud.emulators.service_bus.broker.model import Envelope
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.management.admin import Administration
from tests.loop_thread import LoopThread

KEY = "SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE"


class Api:
    """The API in a thread with an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.service = Service()
        self.seen: list[tuple[str, str]] = []
        self.refuse = False
        authority = CertificateAuthority(folder)
        self.loop = LoopThread("administration")
        self.administration = Administration(self.service, self._authorize)
        listening = self.administration.listen("127.0.0.1", 0, authority.server_context())
        self.port = self.loop.run(listening)
        self.ca = str(folder / "ca.pem")

    def _authorize(self, token: str, _method: str, path: str) -> None:
        self.seen.append((token, path))
        if self.refuse:
            raise PermissionError("The token is expired.")

    def client(self) -> ServiceBusAdministrationClient:
        connection = f"Endpoint=sb://localhost:{self.port};{KEY}"
        return ServiceBusAdministrationClient.from_connection_string(
            connection, connection_verify=self.ca, retry_total=0
        )

    def close(self) -> None:
        self.loop.run(self.administration.close())
        self.loop.close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    made = Api(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(api: Api) -> Iterator[ServiceBusAdministrationClient]:
    with api.client() as made:
        yield made


def test_a_queue_lives_from_create_to_delete(api: Api, client: ServiceBusAdministrationClient) -> None:
    client.create_queue("dead")
    made = client.create_queue(
        "orders/eu",
        lock_duration=timedelta(seconds=90),
        max_delivery_count=3,
        requires_session=True,
        requires_duplicate_detection=True,
        duplicate_detection_history_time_window="PT1M",
        default_message_time_to_live="P14D",
        dead_lettering_on_message_expiration=True,
        auto_delete_on_idle=timedelta(hours=1),
        forward_dead_lettered_messages_to="dead",
        user_metadata="<& a note",
        max_size_in_megabytes=2048,
    )
    found = client.get_queue("Orders/EU")
    for queue in (made, found):
        assert queue.lock_duration == timedelta(seconds=90)
        assert queue.max_delivery_count == 3
        assert queue.requires_session
        assert queue.duplicate_detection_history_time_window == timedelta(minutes=1)
        assert queue.default_message_time_to_live == timedelta(days=14)
        assert queue.auto_delete_on_idle == timedelta(hours=1)
        assert queue.user_metadata == "<& a note"
        assert str(queue.forward_dead_lettered_messages_to).endswith("/dead")
        assert queue.max_size_in_megabytes == 2048
        assert queue.status == EntityStatus.ACTIVE
    found.max_delivery_count = 7
    found.status = EntityStatus.SEND_DISABLED
    client.update_queue(found)
    again = client.get_queue("orders/eu")
    assert (again.max_delivery_count, again.status) == (7, EntityStatus.SEND_DISABLED)
    assert api.service.namespace.node("orders/eu").max_delivery_count == 7
    client.delete_queue("orders/eu")
    with pytest.raises(ResourceNotFoundError):
        client.get_queue("orders/eu")
    with pytest.raises(ResourceNotFoundError):
        client.delete_queue("orders/eu")
    assert {token[:21] for token, _ in api.seen} == {"SharedAccessSignature"}


def test_counts_are_those_of_the_broker(api: Api, client: ServiceBusAdministrationClient) -> None:
    client.create_queue("q")
    later = api.service.clock() + 1000

    async def send() -> None:
        api.service.send("q", [Envelope(b"12345"), Envelope(b"12345")])
        api.service.schedule("q", [Envelope(b"12345")], [later])

    api.loop.run(send())
    found = client.get_queue_runtime_properties("q")
    assert (found.total_message_count, found.active_message_count, found.scheduled_message_count) == (3, 2, 1)
    assert (found.dead_letter_message_count, found.transfer_dead_letter_message_count) == (0, 0)
    assert found.size_in_bytes == 15
    assert found.created_at_utc is not None
    client.create_topic("t")
    client.create_subscription("t", "s")
    assert client.get_topic_runtime_properties("t").subscription_count == 1
    assert client.get_subscription_runtime_properties("t", "s").active_message_count == 0
    assert [each.name for each in client.list_subscriptions_runtime_properties("t")] == ["s"]


def test_lists_have_pages(client: ServiceBusAdministrationClient) -> None:
    names = [f"q{number:03}" for number in range(103)]
    for name in names:
        client.create_queue(name)
    client.create_topic("t")
    assert [queue.name for queue in client.list_queues()] == names
    assert [topic.name for topic in client.list_topics()] == ["t"]
    assert list(client.list_subscriptions("t")) == []


def test_rules_of_every_kind_come_back_as_they_were_sent(client: ServiceBusAdministrationClient) -> None:
    client.create_topic("t")
    client.create_subscription("t", "s")
    filters: dict[str, Any] = {
        "sql": SqlRuleFilter("a = @p AND b = @q", {"@p": "text", "@q": 3}),
        "correlation": CorrelationRuleFilter(label="x", correlation_id="c", properties={"k": True, "n": 2.5}),
        "none": FalseRuleFilter(),
        "all": TrueRuleFilter(),
    }
    for name, rule_filter in filters.items():
        client.create_rule("t", "s", name, filter=rule_filter, action=SqlRuleAction("SET z = @v", {"@v": 1}))
    rules = {rule.name: rule for rule in client.list_rules("t", "s")}
    assert list(rules) == ["$Default", *filters]
    for name, rule_filter in filters.items():
        assert type(rules[name].filter) is type(rule_filter)
        action: Any = rules[name].action
        assert (action.sql_expression, action.parameters) == ("SET z = @v", {"@v": 1})
    sql: Any = client.get_rule("t", "s", "SQL").filter
    assert (sql.sql_expression, sql.parameters) == ("a = @p AND b = @q", {"@p": "text", "@q": 3})
    correlation: Any = rules["correlation"].filter
    assert (correlation.label, correlation.correlation_id, correlation.properties) == ("x", "c", {"k": True, "n": 2.5})
    changed = client.get_rule("t", "s", "sql")
    changed.filter = SqlRuleFilter("c = 1")
    client.update_rule("t", "s", changed)
    sql = client.get_rule("t", "s", "sql").filter
    assert sql.sql_expression == "c = 1"
    client.delete_rule("t", "s", "$Default")
    with pytest.raises(ResourceNotFoundError):
        client.get_rule("t", "s", "$Default")


def test_subscriptions_and_topics_are_changed_and_deleted(client: ServiceBusAdministrationClient) -> None:
    client.create_queue("end")
    topic = client.create_topic("t", default_message_time_to_live="PT1H")
    subscription = client.create_subscription("t", "s", forward_to="end", max_delivery_count=4)
    assert str(subscription.forward_to).endswith("/end")
    subscription = client.get_subscription("t", "s")
    subscription.forward_to = None
    subscription.lock_duration = timedelta(seconds=5)
    client.update_subscription("t", subscription)
    found = client.get_subscription("t", "s")
    assert (found.forward_to, found.lock_duration, found.max_delivery_count) == (None, timedelta(seconds=5), 4)
    topic.default_message_time_to_live = timedelta(minutes=1)
    client.update_topic(topic)
    assert client.get_topic("t").default_message_time_to_live == timedelta(minutes=1)
    client.delete_topic("t")
    with pytest.raises(ResourceNotFoundError):
        client.get_subscription("t", "s")


def test_refusals_say_what_must_hold(api: Api, client: ServiceBusAdministrationClient) -> None:
    client.create_queue("q")
    with pytest.raises(ResourceExistsError):
        client.create_queue("Q")
    with pytest.raises(HttpResponseError, match="LockDuration must be more than 0 and at most 5 minutes, got 600 s"):
        client.create_queue("other", lock_duration="PT10M")
    with pytest.raises(HttpResponseError, match="must name a queue or topic that exists, got 'nowhere'"):
        client.create_queue("other", forward_to="nowhere")
    client.create_topic("t")
    client.create_subscription("t", "s")
    with pytest.raises(HttpResponseError, match="expected a value, a property or"):
        client.create_rule("t", "s", "bad", filter=SqlRuleFilter("a ="))
    queue = client.get_queue("q")
    queue.name = "missing"
    with pytest.raises(ResourceNotFoundError):
        client.update_queue(queue)
    api.refuse = True
    with pytest.raises(ClientAuthenticationError, match="The token is expired"):
        client.get_queue("q")


def test_the_namespace_describes_itself(client: ServiceBusAdministrationClient) -> None:
    assert client.get_namespace_properties().messaging_sku == "Standard"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<entry",
        b"\xff\xfe",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><entry xmlns='http://www.w3.org/2005/Atom'/>",
        b"<entry xmlns='http://www.w3.org/2005/Atom'><content/></entry>",
        b"<entry xmlns='http://www.w3.org/2005/Atom'><content><Other/></content></entry>",
        b"<entry xmlns='http://www.w3.org/2005/Atom'><content><RuleDescription/></content></entry>",
    ],
)
def test_a_body_that_is_none_is_refused(api: Api, body: bytes) -> None:
    context = ssl.create_default_context(cafile=api.ca)
    address = f"https://localhost:{api.port}/q"
    request = urllib.request.Request(address, data=body, method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, context=context, timeout=10)  # noqa: S310
    assert caught.value.code == 400
    assert b"<Detail>" in caught.value.read()
    caught.value.close()
