"""A campaign's loop: faults for eight rounds or until nothing moves, then a person's help; what cannot end is wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from localcloud.faults.fault import Schedule
from localcloud.faults.injector import FaultReport, Fired
from localcloud.session import chaos
from localcloud.session.chaos import ROUNDS, WEATHER_ROUNDS, Campaign, Moved
from localcloud.session.chaos_report import Judged, RunReport
from localcloud.session.local import LocalCloudError

SCHEDULE = Schedule(name="bad-day", faults=[])


class Cloud:
    """Notes what is asked of the supervisor."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def require(self) -> "Cloud":
        return self

    def call(self, method: str, path: str, body: Any, kind: Any) -> Any:
        del body
        self.said.append(f"{method} {path}")
        return FaultReport(fired=[Fired("cut", "alma", "GetItem", 1, "after")]) if kind is FaultReport else 0


class Scripted:
    """A system that moves as it is told."""

    def __init__(self, cloud: Cloud, moves: Callable[[int], Moved]) -> None:
        self._cloud, self._moves = cloud, moves
        self.driven = 0

    def put(self, seed: int, schedule: Schedule) -> None:
        self._cloud.said.append(f"put {seed} {schedule.name}")

    def drive(self) -> Moved:
        self.driven += 1
        return self._moves(self.driven)

    def mend(self) -> None:
        self._cloud.said.append("mend")

    def judge(self, schedule: Schedule, report: FaultReport) -> Judged:
        del schedule
        return Judged(counts={"in": 1, "fired": len(report.fired)})


def run(moves: Callable[[int], Moved]) -> tuple[RunReport, list[str], int]:
    cloud = Cloud()
    trial = Scripted(cloud, moves)
    report = Campaign(cloud, "alma_analytics", trial).run(SCHEDULE, 7)  # type: ignore[arg-type]
    return report, cloud.said, trial.driven


def test_a_run_that_ends_by_itself_ends_under_faults() -> None:
    report, said, driven = run(lambda number: "over" if number == 3 else "moving")
    assert (report.rounds, driven, report.wrong, report.fired) == (3, 3, [], {"cut": 1})
    assert said == ["put 7 bad-day", "PUT /faults", *["POST /release"] * 2, "GET /faults", "DELETE /faults"]
    assert report.counts == {"in": 1, "fired": 1}
    assert report.replay == "./millrace chaos alma_analytics --schedule bad-day --seed 7 --runs 1"


def test_faults_end_after_some_rounds_or_when_nothing_moves_and_then_a_person_helps() -> None:
    _, said, _ = run(lambda number: "over" if number > WEATHER_ROUNDS + 1 else "moving")
    assert said.count("mend") == 2
    assert said.index("DELETE /faults") == said.index("mend") - 1
    report, said, _ = run(lambda number: "over" if number > 2 else "still")
    assert said[2:5] == ["DELETE /faults", "mend", "POST /release"]
    assert report.fired == {"cut": 1}  # as it was told when the faults ended


def test_what_never_ends_is_wrong() -> None:
    report, said, driven = run(lambda _: "moving")
    assert (driven, report.wrong) == (ROUNDS, [f"still in flight after {ROUNDS} rounds"])
    assert said[-1] == "DELETE /faults"


def test_a_cloud_that_is_stuck_is_a_failed_run_without_counts() -> None:
    def stuck(_: int) -> Moved:
        raise LocalCloudError("chaos: still moving after 120 s: alma/api-fetch: 1 to take")

    report, said, _ = run(stuck)
    assert (report.counts, report.wrong) == ({}, ["chaos: still moving after 120 s: alma/api-fetch: 1 to take"])
    assert said[-1] == "DELETE /faults"


def test_every_system_says_its_own_settings_and_has_schedules() -> None:
    for system in chaos.SYSTEMS:
        assert chaos.schedules_of(system)
        assert chaos.SYSTEMS[system].settings
    for system in chaos.ALONE:
        assert chaos.schedules_of(system)
    with pytest.raises(LocalCloudError, match="must be one of log_ingest, alma_analytics, service_bus, got 'x'"):
        chaos.schedules_of("x")
