"""What a campaign tells: of each run, and added up."""

from collections import Counter

import msgspec


class RunReport(msgspec.Struct, kw_only=True):
    """One run of a campaign."""

    seed: int
    schedule: str
    fired: dict[str, int]
    """Faults by kind."""
    files: int
    rows_in: int
    """Records that were put."""
    rows_out: int
    """Different records that arrived whole."""
    dead: int
    """Records that never were JSON."""
    died: dict[str, int]
    """Healthy records in the dead-letter place, by reason."""
    lost: int
    doubled_unanswered: int
    """Rows there again: the answer to their upload never arrived."""
    doubled_killed: int
    """Rows there again: their process was killed before it noted the answer."""
    doubled_corrupt: int
    """Rows there again: their object had arrived with wrong bytes."""
    doubled: int
    """Rows there again without such a reason."""
    kills: int
    invocations: int
    seconds: float
    wrong: list[str]
    """What must not be: at most 20 of each kind."""
    replay: str


class CampaignReport(msgspec.Struct, kw_only=True):
    """`./millrace chaos --json`."""

    system: str
    runs: list[RunReport]
    schedules: int
    """Different ones."""
    fired: dict[str, int]
    rows_in: int
    rows_out: int
    dead: int
    died: int
    lost: int
    doubled_unanswered: int
    doubled_killed: int
    doubled_corrupt: int
    doubled: int
    failed: list[int]
    """Seeds."""
    seconds: float


def added_up(system: str, runs: list[RunReport], seconds: float) -> CampaignReport:
    """The campaign's report."""
    fired: Counter[str] = Counter()
    for run in runs:
        fired.update(run.fired)
    names = (
        "rows_in",
        "rows_out",
        "dead",
        "lost",
        "doubled_unanswered",
        "doubled_killed",
        "doubled_corrupt",
        "doubled",
    )
    return CampaignReport(
        system=system, runs=runs, schedules=len({run.schedule for run in runs}), fired=dict(fired),
        died=sum(sum(run.died.values()) for run in runs), failed=[run.seed for run in runs if run.wrong],
        seconds=round(seconds, 1), **{name: sum(getattr(run, name) for run in runs) for name in names},
    )  # fmt: skip
