"""Campaigns: one system on a local cloud of its own, run after run under seeded faults, each compared with the truth.

The cloud lives in a folder of its own and is gone afterwards; no other stack's data is touched. Its clock is real
but for one thing: once no handler runs, visibility timeouts end at once instead of after their minutes.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec

from localcloud.faults.fault import Schedule
from localcloud.faults.injector import FaultReport
from localcloud.session import chaos_alma, chaos_log_ingest
from localcloud.session.chaos_bus import campaign as chaos_bus
from localcloud.session.chaos_report import CampaignReport, Judged, RunReport, added_up
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.session.processes import alive
from localcloud.session.running import Working, bring_up
from localcloud.supervisor.faults import Turn

PREFIX = "chaos-"
WEATHER_ROUNDS = 8
"""Rounds under faults; then they end, and what is left must come through."""
ROUNDS = 30
Moved = Literal["over", "moving", "still"]


class Trial(Protocol):
    """What a campaign knows of one system, on a local cloud that is up. Judged are runs of one seed, one at a time."""

    def put(self, seed: int, schedule: Schedule) -> None:
        """Gives the system the input of a run; nothing is wrong yet."""

    def drive(self) -> Moved:
        """One round: until no handler runs. `still`: nothing moves by itself before the faults end."""

    def mend(self) -> None:
        """What a person does once the faults have ended; every round from then on."""

    def judge(self, schedule: Schedule, report: FaultReport) -> Judged:
        """Compares what came of it with what was put."""


class _System(NamedTuple):
    settings: dict[str, Any]
    """Of the campaign's stack: timers run only when they are fired."""
    trial: Callable[[LocalStack], AbstractContextManager[Trial]]


SYSTEMS: Final = {
    "log_ingest": _System(chaos_log_ingest.SETTINGS, chaos_log_ingest.trial),
    "alma_analytics": _System(chaos_alma.SETTINGS, chaos_alma.trial),
}

ALONE: Final = {chaos_bus.SYSTEM: chaos_bus.run_campaign}
"""What needs neither a program nor a local cloud."""


def schedules_of(system: str) -> list[Schedule]:
    """The schedules that a system's campaign runs through."""
    if system not in SYSTEMS and system not in ALONE:
        raise LocalCloudError(f"chaos: system must be one of {', '.join([*SYSTEMS, *ALONE])}, got {system!r}")
    return read_schedules(Path(str(resources.files("localcloud.faults"))) / f"{system}.yaml")


def read_schedules(file: Path) -> list[Schedule]:
    """A YAML file: a list of schedules."""
    try:
        return msgspec.yaml.decode(file.read_bytes(), type=list[Schedule])
    except (msgspec.DecodeError, OSError) as error:
        raise LocalCloudError(f"schedules: {file} must be a YAML list of schedules, got an error: {error}") from error


def put_faults(stack: LocalStack, schedule: Schedule | None, seed: int) -> FaultReport:
    """Put a schedule on a local cloud that runs; without one, all is well again and the answer tells what fired."""
    if schedule is None:
        return stack.require().call("DELETE", "/faults", None, FaultReport)
    return stack.require().call("PUT", "/faults", Turn(schedule=schedule, seed=seed), FaultReport)


def run_campaign(
    root: Path,
    system: str,
    *,
    schedules: list[Schedule],
    seeds: range,
    working: Working,
    on_run: Callable[[RunReport], None],
) -> CampaignReport:
    """Seed after seed; each seed takes the schedule that it counts to."""
    if system in ALONE:
        return ALONE[system](schedules, seeds, working=working, on_run=on_run)
    began = time.monotonic()
    runs: list[RunReport] = []
    with _own_cloud(root, system, working) as stack, SYSTEMS[system].trial(stack) as trial:
        campaign = Campaign(stack, system, trial)
        with working(f"{len(seeds)} runs, {min(len(schedules), len(seeds))} schedules") as step:
            for seed in seeds:
                schedule = schedules[seed % len(schedules)]
                step.tell(f"seed {seed}, {schedule.name}, {sum(bool(run.wrong) for run in runs)} failed")
                runs.append(campaign.run(schedule, seed))
                on_run(runs[-1])
                if not runs[-1].counts:  # the cloud is stuck: every run to come would wait for it
                    break
    return added_up(system, runs, time.monotonic() - began)


@contextmanager
def _own_cloud(root: Path, system: str, working: Working) -> Iterator[LocalStack]:
    """A local cloud that nobody else uses."""
    _sweep(root)
    home = root / ".millrace" / f"{PREFIX}{os.getpid()}"
    stack = LocalStack(root, home=home, settings=SYSTEMS[system].settings)
    try:
        bring_up(stack, systems=[system], sample=False, working=working)
        yield stack
    finally:
        with working("removing it"):
            stack.reset()
            stack.close()


def _sweep(root: Path) -> None:
    """Clouds of campaigns that were killed."""
    for home in (root / ".millrace").glob(f"{PREFIX}*"):
        if not alive(int(home.name.removeprefix(PREFIX))):
            LocalStack(root, home=home).reset()


class Campaign:
    """Runs on one local cloud that is up."""

    def __init__(self, stack: LocalStack, system: str, trial: Trial) -> None:
        self._stack, self._system, self._trial = stack, system, trial

    def run(self, schedule: Schedule, seed: int) -> RunReport:
        """Gives, breaks, waits, compares. Without counts: it could not be brought to an end, which is wrong too."""
        began = time.monotonic()
        rounds, report, stuck = 0, FaultReport(), list[str]()
        try:
            self._trial.put(seed, schedule)
            rounds, report, stuck = self._work(schedule, seed)
            judged = self._trial.judge(schedule, report)
        except LocalCloudError as error:
            judged = Judged(counts={}, wrong=[str(error)])
        fired = Counter(one.kind for one in report.fired)
        return RunReport(
            seed=seed, schedule=schedule.name, fired=dict(fired), counts=judged.counts, rounds=rounds,
            seconds=round(time.monotonic() - began, 2), notes=judged.notes, wrong=[*stuck, *judged.wrong],
            replay=f"./millrace chaos {self._system} --schedule {schedule.name} --seed {seed} --runs 1",
        )  # fmt: skip

    def _work(self, schedule: Schedule, seed: int) -> tuple[int, FaultReport, list[str]]:
        """Rounds until nothing is left to do, under faults for the first of them."""
        supervisor = self._stack.require()
        put_faults(self._stack, schedule, seed)
        report: FaultReport | None = None
        try:
            for number in range(1, ROUNDS + 1):
                moved = self._trial.drive()
                if moved == "over":
                    return number, report or supervisor.call("GET", "/faults", None, FaultReport), []
                if report is None and (number == WEATHER_ROUNDS or moved == "still"):
                    report = put_faults(self._stack, None, 0)
                if report is not None:
                    self._trial.mend()
                supervisor.call("POST", "/release", None, int)
        finally:
            put_faults(self._stack, None, 0)
        return ROUNDS, report or FaultReport(), [f"still in flight after {ROUNDS} rounds"]
