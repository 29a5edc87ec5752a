"""What a schedule may ask of the database's door."""

import pytest

from localcloud.faults.fault import Fault, Kind, Schedule
from localcloud.supervisor.faults import _refused_at_the_database


def fault(kind: Kind, service: str = "postgres") -> Fault:
    return Fault(kind=kind, service=service, every=2, seconds=1 if kind in {"delay", "throttle"} else 0)


@pytest.mark.parametrize("kind", ["refuse", "cut", "delay"])
def test_connections_can_be_refused_cut_and_delayed(kind: Kind) -> None:
    assert _refused_at_the_database(Schedule(name="one", faults=[fault(kind)])) == ""


@pytest.mark.parametrize("kind", ["throttle", "duplicate", "reorder", "corrupt", "expire", "kill"])
def test_what_needs_a_request_is_refused_there_and_nowhere_else(kind: Kind) -> None:
    told = _refused_at_the_database(Schedule(name="one", faults=[fault("cut"), fault(kind)]))
    assert told == f"fault {kind} postgres/* every 2: kind must be one of cut, delay, refuse for postgres, got {kind}"
    assert _refused_at_the_database(Schedule(name="one", faults=[fault(kind, "s3")])) == ""
