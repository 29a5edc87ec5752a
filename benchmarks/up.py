"""What people wait for: a second `up` that changes nothing, and a preview. Needs the local cloud: ./millrace up.

Limit in the same run: the program without an engine's work, that is its imports alone.
"""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import Bench, in_turn, machine

COMMANDS = {
    "second up": ["-m", "cli", "up", "--no-sample", "--json"],
    "preview": ["-m", "cli", "preview", "--json"],
    "imports of the program": ["-c", "import stacks.log_ingest, stacks.foundation"],
    "--help": ["-m", "cli", "--help"],
}


def run(root: Path, rounds: int) -> Bench:
    """Each command in turn, `rounds` times."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    run_it = partial(subprocess.run, cwd=root, env=environment, check=True, capture_output=True)
    rows = in_turn({name: partial(run_it, [sys.executable, *command]) for name, command in COMMANDS.items()}, rounds)
    return Bench(
        name="up",
        machine=machine(),
        rounds=rounds,
        rows=rows,
        ratios={
            "second up / imports": round(rows[0].figure / rows[2].figure, 2),
            "preview / imports": round(rows[1].figure / rows[2].figure, 2),
        },
    )
