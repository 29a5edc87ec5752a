"""What people wait for: help, a preview, a second `up` that changes nothing; and a worker's cold start.

Limit in the same run: the program without an engine's work, that is its imports alone. A local cloud that did not run
before is stopped again.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import cold_start
from benchmarks.measure import Bench, in_turn, machine
from localcloud.session.local import LocalStack

HELP, IMPORTS = "./millrace --help", "imports of the program"
COMMANDS = {
    HELP: ["./millrace", "--help"],
    "second up": ["./millrace", "up", "--no-sample", "--json"],
    "preview": ["./millrace", "preview", "--json"],
    IMPORTS: [sys.executable, "-c", "import stacks.log_ingest, stacks.foundation"],
}


def run(root: Path, rounds: int) -> Bench:
    """Each command in turn, `rounds` times; then what a worker waits for."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    run_it = partial(subprocess.run, cwd=root, env=environment, check=True, capture_output=True)
    kinds: dict[str, Callable[[], object]] = {name: partial(run_it, command) for name, command in COMMANDS.items()}
    stack = LocalStack(root)
    ran_before = stack.running()
    try:
        rows = in_turn(kinds, rounds)  # the lap that warms up is the first `up`
    finally:
        if not ran_before:
            stack.stop()
    imports = rows[-1].figure
    worker = cold_start.run(root, rounds)
    ratios = {f"{row.what} / {IMPORTS}": round(row.figure / imports, 2) for row in rows[:-1]}
    return Bench(
        name="startup", machine=machine(), rounds=rounds, rows=rows + worker.rows, ratios=ratios | worker.ratios
    )
