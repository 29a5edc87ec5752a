"""The blobs of a run that is over are removed; its rows, outcomes and CSV stay."""

from __future__ import annotations

from core.alma_analytics import names
from core.alma_analytics.ports import Container
from core.alma_analytics.work import Work
from core.jobs import machine
from core.messages.alma_analytics import CleanUp
from core.runtime.outcome import Dead, Done, Outcome


def clean_up(work: Work, pages: Container, datasets: Container, message: CleanUp) -> Outcome:
    """Removes pages and datasets."""
    run_id = message.run_id
    with work.database.transaction() as tx:
        run = machine.find(tx, run_id)
    if run is None:
        return Dead(f"run {run_id}: must be one that was started, there is none of that name")
    if run.state not in {"done", "failed"}:
        return Done(summary={"run": run_id, "left": f"the run is {run.state}"})
    removed = 0
    for container in (pages, datasets):
        for name in list(container.names(f"{run_id}/")):
            container.delete(name)
            removed += 1
    with work.database.transaction() as tx:
        machine.finish_task(tx, run_id, names.CLEAN_UP, names.ONLY, result={"removed": removed})
    return Done(summary={"run": run_id, "removed": removed})
