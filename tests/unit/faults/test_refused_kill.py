"""A kill names apps that run here, or it would strike nobody and nobody would notice."""

from typing import Any

import msgspec
import pytest

from localcloud.faults.fault import Fault, Schedule
from localcloud.supervisor.faults import Faults


class Apps:
    """Two apps that run."""

    def statuses(self) -> list[Any]:
        return [msgspec.defstruct("Status", ["name"])(name) for name in ("func-alma-updater-x", "func-alma-notifier-x")]


KNOWN = "(func-alma-updater-x, func-alma-notifier-x)"


@pytest.mark.parametrize(
    ("process", "refusal"),
    [
        ("handlers", ""),
        ("supervisor", ""),
        ("alma-updater", ""),
        ("alma-up-loader", f"must be handlers, supervisor or a part of an app's name {KNOWN}, got 'alma-up-loader'"),
    ],
)
def test_a_kill_names_an_app_that_runs(process: str, refusal: str) -> None:
    fault = Fault(kind="kill", service="alma", process=process, rate=1)
    faults = Faults(None, Apps())  # type: ignore[arg-type]
    found = faults._refused_kill(Schedule(name="s", faults=[fault]))
    assert bool(found) == bool(refusal)
    assert refusal in found
