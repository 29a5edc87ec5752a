"""What ARM says of queues, topics, subscriptions and rules, in the broker's terms."""

from typing import Any

import pytest

from localcloud.emulators import bus_inputs
from localcloud.emulators.service_bus.broker.model import CorrelationFilter, Rule, SqlFilter
from localcloud.emulators.service_bus.broker.options import QueueOptions, Status, SubscriptionOptions, TopicOptions
from tests.components.program import Base, Declared, declare
from tests.components.test_messaging import bus, everything


def test_everything_that_a_queue_can_say() -> None:
    inputs = {
        "queueName": "q", "namespaceName": "n", "resourceGroupName": "g", "lockDuration": "PT2M30S",
        "maxDeliveryCount": 4, "requiresSession": True, "deadLetteringOnMessageExpiration": True,
        "defaultMessageTimeToLive": "P7D", "maxSizeInMegabytes": 2048, "requiresDuplicateDetection": True,
        "duplicateDetectionHistoryTimeWindow": "PT20S", "forwardDeadLetteredMessagesTo": "late",
        "status": "SendDisabled",
        "autoDeleteOnIdle": "P10675199DT2H48M5.4775807S", "enableBatchedOperations": False, "forwardTo": None,
    }  # fmt: skip
    assert bus_inputs.options(QueueOptions, inputs) == QueueOptions(
        lock_s=150, max_delivery_count=4, requires_session=True, dead_letter_on_expiration=True,
        default_ttl_s=7 * 86400, max_size_mb=2048, requires_duplicate_detection=True, duplicate_window_s=20,
        forward_dead_letters_to="late", status=Status.SEND_DISABLED, enable_batched_operations=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"lockDuration": "a minute"}, "lockDuration must be an ISO 8601 duration"),
        ({"maxDeliveryCount": "ten"}, "maxDeliveryCount must be a whole number"),
        ({"status": "Creating"}, "status must be one of Active"),
    ],
)
def test_what_is_none_is_named(inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        bus_inputs.options(QueueOptions, inputs)


@pytest.mark.parametrize(
    ("inputs", "rule"),
    [
        ({}, Rule("r", SqlFilter("1=1"))),
        (
            {"sqlFilter": {"sqlExpression": "a = 1"}, "action": {"sqlExpression": "SET b = 1"}},
            Rule("r", SqlFilter("a = 1"), "SET b = 1"),
        ),
        (
            {"filterType": "CorrelationFilter", "correlationFilter": {"label": "x", "replyToSessionId": "s",
                                                                      "properties": {"k": "v"}}},
            Rule("r", CorrelationFilter(label="x", reply_to_session_id="s", properties={"k": "v"})),
        ),
    ],
)  # fmt: skip
def test_a_rule(inputs: dict[str, Any], rule: Rule) -> None:
    assert bus_inputs.rule("r", inputs) == rule


def test_whatever_the_components_declare_is_understood() -> None:
    """No input that means something to the broker is passed over: a misspelt name would be."""
    found: Declared = declare(lambda: everything(bus(Base())))
    passed_over = {"queueName", "topicName", "subscriptionName", "namespaceName", "resourceGroupName"}
    kinds: dict[str, Any] = {"Queue": QueueOptions, "Topic": TopicOptions, "Subscription": SubscriptionOptions}
    for kind, options in kinds.items():
        for one in found.all(f"servicebus:{kind}"):
            assert one.inputs.keys() - bus_inputs._known(options).keys() <= passed_over
            bus_inputs.options(options, one.inputs)
    rules = [
        bus_inputs.rule("r", one.inputs) for kind in ("Rule", "DefaultRule") for one in found.all(f"servicebus:{kind}")
    ]
    assert Rule("r", CorrelationFilter(label="large"), "SET big = 1") in rules
    assert Rule("r", SqlFilter("type = 'paid'")) in rules
