"""What a campaign tells: of each run, and added up. What is counted is the system's own; docs/chaos.md explains it."""

from collections import Counter

import msgspec


class Judged(msgspec.Struct, kw_only=True):
    """What came of a run's input, compared with the truth."""

    counts: dict[str, int]
    notes: list[str] = []
    """What is worth a line, and may be."""
    wrong: list[str] = []
    """What must not be: at most 20 of each kind."""


class RunReport(msgspec.Struct, kw_only=True):
    """One run of a campaign."""

    seed: int
    schedule: str
    fired: dict[str, int]
    """Faults by kind."""
    counts: dict[str, int]
    rounds: int
    seconds: float
    notes: list[str]
    wrong: list[str]
    replay: str


class CampaignReport(msgspec.Struct, kw_only=True):
    """`./millrace chaos --json`."""

    system: str
    runs: list[RunReport]
    schedules: int
    """Different ones."""
    fired: dict[str, int]
    counts: dict[str, int]
    failed: list[int]
    """Seeds."""
    seconds: float


def added_up(system: str, runs: list[RunReport], seconds: float) -> CampaignReport:
    """The campaign's report."""
    fired: Counter[str] = Counter()
    counts: dict[str, int] = {}
    for run in runs:
        fired.update(run.fired)
        for name, count in run.counts.items():
            counts[name] = counts.get(name, 0) + count
    return CampaignReport(
        system=system, runs=runs, schedules=len({run.schedule for run in runs}), fired=dict(fired), counts=counts,
        failed=[run.seed for run in runs if run.wrong], seconds=round(seconds, 1),
    )  # fmt: skip
