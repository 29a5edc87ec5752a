from __future__ import annotations

from typing import Any

import pytest

from components.packaging.errors import PackageError
from components.packaging.host_json import host_json
from components.packaging.manifest import (
    App,
    BusOptions,
    BusQueueTrigger,
    Function,
    QueueOptions,
    QueueTrigger,
    TimerTrigger,
)

TIMER = Function(name="t", run="handlers.t", trigger=TimerTrigger(schedule="%S%"))
QUEUE = Function(name="q", run="handlers.q", trigger=QueueTrigger(queue="a", connection="A"))
BUS = Function(name="s", run="handlers.s", trigger=BusQueueTrigger(queue="c", connection="C"))
BASE64 = Function(name="b", run="handlers.b", trigger=QueueTrigger(queue="b", connection="A", encoding="base64"))


def made(*functions: Function, time_limit_s: int = 300, **options: Any) -> dict[str, Any]:
    bus = BusOptions(**options.pop("bus", {}))
    queues = QueueOptions(**options)
    return host_json(App(name="a", system="s", functions=functions, time_limit_s=time_limit_s, queues=queues, bus=bus))


def test_a_timer_needs_no_extension_settings() -> None:
    document = made(TIMER)
    assert document["version"] == "2.0"
    assert document["functionTimeout"] == "00:05:00"
    assert document["extensionBundle"]["version"] == "[4.0.0, 5.0.0)"
    assert "extensions" not in document


def test_queue_options_are_written_as_time_spans() -> None:
    document = made(QUEUE, visibility_timeout_s=90_061, max_polling_interval_s=0.5, new_batch_threshold=4)
    assert document["extensions"]["queues"] == {
        "batchSize": 16,
        "maxDequeueCount": 5,
        "maxPollingInterval": "00:00:00.5000000",
        "messageEncoding": "none",
        "newBatchThreshold": 4,
        "visibilityTimeout": "1.01:01:01",
    }


@pytest.mark.parametrize(
    ("functions", "options", "error"),
    [
        ((QUEUE, BASE64), {}, r"encoding must be .* got a: none, b: base64"),
        ((QUEUE,), {"batch_size": 33}, r"batch_size must be 1 to 32, got 33; set batch_size=16"),
        ((QUEUE,), {"max_dequeue_count": 0}, r"max_dequeue_count must be 1 or more"),
        ((QUEUE,), {"max_polling_interval_s": 0.01}, r"max_polling_interval_s must be 0.1 s or more"),
        ((BUS,), {"bus": {"max_concurrent_calls": 0}}, r"max_concurrent_calls must be 1 or more, got 0; set .*=16"),
        ((BUS,), {"bus": {"prefetch_count": -1}}, r"prefetch_count must be 0 or more, got -1"),
        ((TIMER,), {"time_limit_s": 0}, r"time_limit_s must be 1 or more seconds"),
    ],
)
def test_what_the_host_would_refuse_is_refused_here(
    functions: tuple[Function, ...], options: dict[str, Any], error: str
) -> None:
    with pytest.raises(PackageError, match=error):
        made(*functions, **options)


def test_service_bus_options_are_written_where_a_trigger_is_of_service_bus() -> None:
    document = made(BUS, bus={"max_concurrent_sessions": 3, "max_auto_lock_renewal_s": 3601})
    assert document["extensions"] == {
        "serviceBus": {
            "autoCompleteMessages": True,
            "maxAutoLockRenewalDuration": "01:00:01",
            "maxConcurrentCalls": 16,
            "maxConcurrentSessions": 3,
            "maxMessageBatchSize": 1000,
            "prefetchCount": 0,
            "sessionIdleTimeout": "00:01:00",
        }
    }
    assert set(made(BUS, QUEUE)["extensions"]) == {"queues", "serviceBus"}
