"""What no Python SDK asks of `$management` (pinned: neither rules over AMQP nor batch deletion), asked by hand as
Microsoft's other clients do.
"""

import time
from typing import Any

from localcloud.emulators.service_bus.codec import frames, message
from localcloud.emulators.service_bus.codec.types import Described, Int, Timestamp, UInt
from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.raw import Raw, body

CREATED = 3
"""Place of the time of creation in a rule's description."""


class Node:
    """Requests to the management node of one entity, over links of its own."""

    def __init__(self, raw: Raw, path: str) -> None:
        self._raw, self._number = raw.start(), 0
        raw.sender(f"{path}/$management", 2)
        raw.receiver(f"{path}/$management", 3)
        raw.flow(3, 100)

    def __call__(self, operation: str, **fields: Any) -> tuple[int, Any]:
        """Status and body of the answer; fields' names have `-` for `_`."""
        self._number += 1
        out = bytearray()
        message.write_section(out, message.PROPERTIES, [f"request-{self._number}"])
        message.write_section(out, message.APPLICATION, {"operation": f"com.microsoft:{operation}"})
        message.write_section(out, message.VALUE, {name.replace("_", "-"): value for name, value in fields.items()})
        self._raw.transfer(2, self._number, bytes(out))
        payload = self._raw.frame(frames.TRANSFER).payload
        answer = message.read(payload)
        assert answer.properties[message.CORRELATION_ID] == f"request-{self._number}"
        return int(answer.application["statusCode"]), message.value_of(payload)


def described(rule: Any) -> tuple[str, Any, Any]:
    """Name, filter and action of a listed rule."""
    fields = rule["rule-description"].value
    assert isinstance(fields[CREATED], Timestamp)
    return fields[2], fields[0], fields[1]


def test_rules_are_added_listed_and_removed(bus: Bus, raw: Raw) -> None:
    topic = bus.topic()
    path = bus.subscription(topic, "sub")
    node = Node(raw, path)
    large = {"sql-filter": {"expression": "size > 10"}, "sql-rule-action": {"expression": "SET seen = 1"}}
    red = {"correlation-filter": {"label": "red", "properties": {"colour": "red"}}}
    assert node("add-rule", rule_name="large", rule_description=large)[0] == 200
    assert node("add-rule", rule_name="red", rule_description=red)[0] == 200
    assert node("add-rule", rule_name="red", rule_description=red)[0] == 409
    assert node("remove-rule", rule_name="$Default")[0] == 200
    assert node("remove-rule", rule_name="$Default")[0] == 404
    status, found = node("enumerate-rules", skip=Int(0), top=Int(100))
    rules = {name: (filter_, action) for name, filter_, action in map(described, found["rules"])}
    assert (status, set(rules)) == (200, {"large", "red"})
    assert rules["large"][0] == Described(0x1370000006, ["size > 10", 20])
    assert rules["large"][1] == Described(0x13700000006, ["SET seen = 1", 20])
    assert rules["red"][0].value == [None, None, None, None, "red", None, None, None, {"colour": "red"}]
    assert rules["red"][1] == Described(0x13700000005, [])
    assert node("enumerate-rules", skip=Int(2), top=Int(100))[0] == 204
    raw.sender(topic, 0)
    for number, payload in enumerate((body(b"large", size=11), body(b"small", size=1))):
        raw.transfer(0, number, payload)
        raw.frame(frames.DISPOSITION)
    assert bus.counts(path).active == 1


def test_true_and_false_filters(bus: Bus, raw: Raw) -> None:
    node = Node(raw, bus.subscription(bus.topic(), "sub"))
    assert node("add-rule", rule_name="all", rule_description={"true-filter": {}})[0] == 200
    assert node("add-rule", rule_name="none", rule_description={"false-filter": {}})[0] == 200
    assert node("add-rule", rule_name="odd", rule_description={})[0] == 400
    assert node("add-rule", rule_name="odd", rule_description={"sql-filter": {"expression": "1 ="}})[0] == 400
    found = node("enumerate-rules", skip=Int(0), top=Int(2))[1]["rules"]
    rest = node("enumerate-rules", skip=Int(2), top=Int(2))[1]["rules"]
    codes = {name: int(filter_.descriptor) for name, filter_, _ in map(described, [*found, *rest])}
    assert (len(found), len(rest)) == (2, 1)
    assert codes == {"$Default": 0x1370000007, "all": 0x1370000007, "none": 0x1370000008}


def test_messages_are_deleted_in_batches_of_what_is_old_enough_and_free(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    node = Node(raw, queue)
    raw.sender(queue, 0)
    for number in range(5):
        raw.transfer(0, number, body(b"x"))
        raw.frame(frames.DISPOSITION)
    raw.receiver(queue)
    raw.flow(1, 1)
    raw.frame(frames.TRANSFER)  # locked: stays
    past, future = (Timestamp(int((time.time() + hours * 3600) * 1000)) for hours in (-1, 1_000_000))
    assert node("batch-delete-messages", message_count=Int(10), enqueued_time_utc=past)[1]["message-count"] == 0
    assert node("batch-delete-messages", message_count=Int(3), enqueued_time_utc=future)[1]["message-count"] == 3
    assert node("batch-delete-messages", message_count=Int(10), enqueued_time_utc=future)[1]["message-count"] == 1
    assert bus.counts(queue).active == 1


def test_an_unknown_management_operation_is_not_implemented(bus: Bus, raw: Raw) -> None:
    node = f"{bus.queue()}/$management"
    raw.start().sender(node, 2)
    raw.receiver(node, 3)
    raw.flow(3, 10)
    cases: list[tuple[dict[str, Any], Any, int, str]] = [
        ({"operation": "com.microsoft:dance"}, {}, 501, "amqp:not-implemented"),
        ({"operation": "com.microsoft:peek-message"}, {}, 400, "com.microsoft:argument-error"),
        ({"operation": "com.microsoft:renew-lock"}, {"lock-tokens": ["x"]}, 400, "com.microsoft:argument-error"),
        (
            {"operation": "com.microsoft:schedule-message"},
            {"messages": [{"message": b"rubbish"}]},
            400,
            "amqp:decode-error",
        ),
        ({"operation": "com.microsoft:peek-message"}, {"from-sequence-number": 1, "message-count": 1}, 204, ""),
        ({}, None, 501, "amqp:not-implemented"),
    ]
    for number, (asked, given, status, wanted) in enumerate(cases):
        out = bytearray()
        message.write_section(out, message.PROPERTIES, [UInt(number)])
        message.write_section(out, message.APPLICATION, asked)
        message.write_section(out, message.VALUE, given)
        raw.transfer(2, number, bytes(out))
        answer = message.read(raw.frame(frames.TRANSFER).payload)
        assert answer.properties[message.CORRELATION_ID] == number
        assert (answer.application["statusCode"], answer.application.get("errorCondition", "")) == (status, wanted)
