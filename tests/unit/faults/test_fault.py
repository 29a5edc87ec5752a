"""Faults as data: what is accepted, what is refused and how, and that the same seed decides the same."""

import re
from typing import Any, get_args

import msgspec
import pytest

from localcloud.faults.fault import Fault, Kind, Schedule
from localcloud.faults.injector import Injector
from localcloud.outside.alma.campaign import Given
from localcloud.session.chaos import schedules_of

MAY_FAIL = {"token-expires-always", "page-repeated-always", "column-renamed", "rows-cut"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "rate or every must be set, one of them, got 0.0, 0"),
    ({"rate": 0.5, "every": 2}, "rate or every must be set, one of them"),
    ({"rate": 1.5}, "rate must be 0 to 1, got 1.5"),
    ({"every": 2, "most": -1}, "must not be negative"),
    ({"rate": 1, "seconds": 3, "status": 500}, "seconds is for delay, kill, reorder, throttle, got 3"),
    ({"rate": 1, "kind": "delay"}, "seconds must say how long"),
    ({"rate": 1, "kind": "delay", "seconds": 1000}, "seconds must be 0 to 120"),
    ({"rate": 1, "when": "middle"}, "when: middle is for cut"),
    ({"rate": 1, "kind": "corrupt", "when": "after"}, "when is for cut, delay, kill, refuse, throttle"),
    ({"rate": 1, "kind": "cut", "status": 500}, "status and code are for refuse and throttle"),
    ({"rate": 1, "status": 200}, "status must be 400 to 599"),
    ({"rate": 1, "kind": "expire", "service": "identity"}, "expire must name a service that takes tokens"),
    ({"rate": 1, "process": "alma-updater"}, "process is for kill, got 'alma-updater'"),
    ({"rate": 1, "kind": "explode"}, "Invalid enum value 'explode'"),
    ({"rate": 1, "percent": 3}, "unknown field `percent`"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_makes_no_sense_is_refused_with_the_reason(fields: dict[str, Any], message: str) -> None:
    declared = {"kind": "refuse", "service": "s3", "operation": "GetObject", **fields}
    with pytest.raises(msgspec.ValidationError, match=re.escape(message)):
        msgspec.convert(declared, Fault)


async def _never(_: str) -> None:
    raise AssertionError("nothing is to be killed")


def _hits(schedule: Schedule, seed: int, calls: int = 200) -> list[int]:
    injector = Injector(schedule, seed, _never)
    return [number for number in range(1, calls + 1) if injector.decide("s3", "GetObject")]


def _one(**fields: Any) -> Schedule:
    return Schedule(name="s", faults=[Fault(kind="refuse", service="s3", **fields)])


def test_every_nth_call_is_hit_and_limits_hold() -> None:
    assert _hits(_one(every=25), 1) == [25, 50, 75, 100, 125, 150, 175, 200]
    assert _hits(_one(every=25, skip=50, most=2), 1) == [75, 100]


def test_the_same_seed_hits_the_same_calls_and_another_seed_others() -> None:
    schedule = _one(rate=0.3)
    assert _hits(schedule, 7) == _hits(schedule, 7)
    assert _hits(schedule, 7) != _hits(schedule, 8)
    assert 250 < len(_hits(schedule, 7, calls=1000)) < 350


def test_operations_count_by_themselves_and_match_by_pattern() -> None:
    injector = Injector(_one(every=2, operation="Get*"), 0, _never)
    for service, operation in (("s3", "GetObject"), ("s3", "GetBucketPolicy"), ("s3", "PutObject")):
        assert injector.decide(service, operation) is None
    assert injector.decide("sqs", "GetObject") is None
    assert injector.decide("s3", "PutObject") is None
    assert injector.decide("s3", "GetObject") is not None
    report = injector.report()
    assert report.calls == {"s3/GetBucketPolicy": 1, "s3/GetObject": 2, "s3/PutObject": 2, "sqs/GetObject": 1}
    assert [(one.kind, one.number) for one in report.fired] == [("refuse", 2)]


def test_of_several_faults_the_first_that_hits_acts() -> None:
    faults = [Fault(kind="cut", service="s3", every=2), Fault(kind="refuse", service="s3", every=1)]
    injector = Injector(Schedule(name="s", faults=faults), 0, _never)
    kinds = [found[0].kind for _ in range(4) if (found := injector.decide("s3", "GetObject"))]
    assert kinds == ["refuse", "cut", "refuse", "cut"]


def test_the_schedules_of_log_ingest_are_of_many_kinds() -> None:
    schedules = schedules_of("log_ingest")
    assert len({one.name for one in schedules}) == len(schedules) >= 20
    kinds = {fault.kind for one in schedules for fault in one.faults}
    assert kinds == {"refuse", "throttle", "delay", "cut", "duplicate", "reorder", "corrupt", "expire", "kill"}


def test_the_schedules_of_alma_analytics_say_what_is_given_and_what_may_fail() -> None:
    schedules = schedules_of("alma_analytics")
    assert len({one.name for one in schedules}) == len(schedules) >= 50
    assert {fault.kind for one in schedules for fault in one.faults} == set(get_args(Kind))
    killed = {fault.process for one in schedules for fault in one.faults if fault.kind == "kill"}
    assert killed == {"handlers", "alma-apifetcher", "alma-dataprep", "alma-updater", "alma-notifier"}
    for one in schedules:
        assert one.faults or one.given, one.name
        given = msgspec.convert(one.given, Given)
        assert bool(one.may_fail) == (bool(given.audit.xml or given.remote.xml) or one.name in MAY_FAIL), one.name
        re.compile(one.may_fail)
