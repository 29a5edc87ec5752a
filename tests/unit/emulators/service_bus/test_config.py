import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.emulators.service_bus.broker.model import CorrelationFilter, SqlFilter
from localcloud.emulators.service_bus.broker.options import QueueOptions, SubscriptionOptions
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.management import durations
from localcloud.emulators.service_bus.management.config import ConfigError, read

# The shape of the file that comes with Microsoft's emulator.
SAMPLE: dict[str, Any] = {
    "UserConfig": {
        "Namespaces": [
            {
                "Name": "sbemulatorns",
                "Queues": [
                    {
                        "Name": "queue.1",
                        "Properties": {
                            "DeadLetteringOnMessageExpiration": False,
                            "DefaultMessageTimeToLive": "PT1H",
                            "DuplicateDetectionHistoryTimeWindow": "PT20S",
                            "ForwardDeadLetteredMessagesTo": "",
                            "ForwardTo": "",
                            "LockDuration": "PT1M",
                            "MaxDeliveryCount": 3,
                            "RequiresDuplicateDetection": False,
                            "RequiresSession": False,
                        },
                    }
                ],
                "Topics": [
                    {
                        "Name": "topic.1",
                        "Properties": {"DefaultMessageTimeToLive": "PT1H", "RequiresDuplicateDetection": False},
                        "Subscriptions": [
                            {
                                "Name": "subscription.1",
                                "Properties": {"LockDuration": "PT1M", "MaxDeliveryCount": 3, "ForwardTo": "queue.1"},
                                "Rules": [
                                    {
                                        "Name": "app-prop-filter-1",
                                        "Properties": {
                                            "FilterType": "Correlation",
                                            "CorrelationFilter": {
                                                "ContentType": "application/text",
                                                "Label": "subject1",
                                                "Properties": {"prop1": "value1"},
                                            },
                                        },
                                    },
                                    {
                                        "Name": "sql",
                                        "Properties": {
                                            "FilterType": "Sql",
                                            "SqlFilter": {"SqlExpression": "sys.MessageId = '123'"},
                                            "Action": {"SqlExpression": "SET a = 1"},
                                        },
                                    },
                                ],
                            },
                            {"Name": "subscription.2"},
                        ],
                    }
                ],
            }
        ],
        "Logging": {"Type": "File"},
    }
}


def written(folder: Path, data: Any) -> Path:
    path = folder / "Config.json"
    path.write_text(json.dumps(data))
    return path


def namespace(**content: Any) -> dict[str, Any]:
    return {"UserConfig": {"Namespaces": [{"Name": "n", **content}]}}


def test_the_emulators_own_file_is_read_and_applied_twice_without_a_change(tmp_path: Path) -> None:
    config = read(written(tmp_path, SAMPLE))
    service = Service()
    for _ in range(2):
        config.apply(service)
        assert [node.path for node in service.nodes()] == [
            "queue.1",
            "topic.1",
            "topic.1/Subscriptions/subscription.1",
            "topic.1/Subscriptions/subscription.2",
        ]
    options = service.namespace.node("queue.1").options
    assert options == QueueOptions(default_ttl_s=3600.0, duplicate_window_s=20.0, lock_s=60.0, max_delivery_count=3)
    first, second = service.rules("topic.1/subscriptions/subscription.1")
    assert first.filter == CorrelationFilter(
        content_type="application/text", label="subject1", properties={"prop1": "value1"}
    )
    assert (second.filter, second.action) == (SqlFilter("sys.MessageId = '123'"), "SET a = 1")
    assert [rule.name for rule in service.rules("topic.1/subscriptions/subscription.2")] == ["$Default"]


def test_a_changed_file_changes_what_is_there(tmp_path: Path) -> None:
    service = Service()
    rules = [{"Name": "a", "Properties": {"FilterType": "Sql", "SqlFilter": {"SqlExpression": "x = 1"}}}]
    topic = {"Name": "t", "Subscriptions": [{"Name": "s", "Rules": rules}]}
    read(written(tmp_path, namespace(Topics=[topic]))).apply(service)
    topic = {"Name": "t", "Subscriptions": [{"Name": "s", "Properties": {"MaxDeliveryCount": 4}}]}
    read(written(tmp_path, namespace(Topics=[topic]))).apply(service)
    assert service.namespace.node("t/subscriptions/s").options == SubscriptionOptions(max_delivery_count=4)
    assert [rule.name for rule in service.rules("t/subscriptions/s")] == ["$Default"]


def test_every_fault_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    data = namespace(
        Queues=[
            {"Name": "a", "Properties": {"LockDuration": "1 minute", "MaxDeliveryCount": "3", "Colour": 1}},
            {"Name": "A", "Properties": {"LockDuration": "PT10M", "Status": "Open"}},
            {"Properties": {}},
            7,
        ],
        Topics=[{"Name": "t", "Subscriptions": [{"Name": "s", "Rules": [{"Name": "r", "Properties": {}}]}]}],
    )
    path = written(tmp_path, data)
    with pytest.raises(ConfigError) as caught:
        read(path)
    lines = [line.removeprefix(f"{path}: UserConfig.Namespaces[0].") for line in str(caught.value).splitlines()]
    assert lines.pop(0).startswith("Queues[0].Properties.Colour: is not known here; known are LockDuration, ")
    assert lines == [
        "Queues[0].Properties.LockDuration: must be an ISO 8601 duration as in PT1H30M or P14D, got '1 minute'.",
        'Queues[0].Properties.MaxDeliveryCount: must be a whole number, got "3".',
        'Queues[1].Properties.Status: must be one of Active, Disabled, SendDisabled, ReceiveDisabled, got "Open".',
        "Queues[1].Properties: LockDuration must be more than 0 and at most 5 minutes, got 600 s.",
        "Queues[1].Name: 'A' is declared at UserConfig.Namespaces[0].Queues[0] already; names ignore case.",
        "Queues[2].Name: must be a text, got null.",
        "Queues[3]: must be an object, got 7.",
        "Queues[3].Name: must be a text, got null.",
        "Topics[0].Subscriptions[0].Rules[0].Properties.FilterType: must be Sql or Correlation, got null.",
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            {"Queues": [{"Name": "a", "Properties": {"ForwardTo": "b"}}]},
            "ForwardTo must name a queue or topic that exists",
        ),
        (
            {
                "Queues": [
                    {"Name": "a", "Properties": {"ForwardTo": "b"}},
                    {"Name": "b", "Properties": {"ForwardTo": "a"}},
                ]
            },
            "is part of a chain of forwarding that leads back",
        ),
        ({"Queues": [{"Name": "a b"}]}, "a queue or topic is named by"),
        ({"Queues": [{"Name": "a", "Properties": {"LockDuration": durations.NEVER}}]}, "must end"),
        (
            {
                "Topics": [
                    {
                        "Name": "t",
                        "Subscriptions": [
                            {
                                "Name": "s",
                                "Rules": [
                                    {
                                        "Name": "r",
                                        "Properties": {"FilterType": "Sql", "SqlFilter": {"SqlExpression": "a ="}},
                                    }
                                ],
                            }
                        ],
                    }
                ]
            },
            "expected a value, a property or",
        ),
    ],
)
def test_what_the_broker_would_refuse_is_told_with_its_place(tmp_path: Path, content: Any, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as caught:
        read(written(tmp_path, namespace(**content)))
    assert "UserConfig.Namespaces[0]." in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "must be JSON"),
        ("[]", "the file: must be an object"),
        ('{"UserConfig": {}}', "Namespaces: must be a list"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "Config.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=fault):
        read(path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "seconds", "again"),
    [
        ("PT1M", 60.0, "PT1M"),
        ("PT90S", 90.0, "PT1M30S"),
        ("P14D", 1209600.0, "P14D"),
        ("P1DT2H3M4.5S", 93784.5, "P1DT2H3M4.5S"),
        ("PT0S", 0.0, "PT0S"),
        (durations.NEVER, None, durations.NEVER),
    ],
)
def test_durations(text: str, seconds: float | None, again: str) -> None:
    assert durations.parse(text) == seconds
    assert durations.text(seconds) == again


@pytest.mark.parametrize("text", ["", "P", "PT", "1H", "P1Y", "PT-1S", "PT1.5H"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an ISO 8601 duration"):
        durations.parse(text)
