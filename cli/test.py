"""`./millrace test`: every tier of tests, in parallel."""

import os
import sys

import typer

from cli.project import ROOT

MORE_THAN_CORES = 2
"""Tests of the local cloud wait half of their time: for a lock to end, a process to begin, an SDK to look again."""


def test(context: typer.Context) -> None:
    """Run the tests; arguments go to pytest (./millrace test tests/unit -k naming)."""
    os.chdir(ROOT)
    # A file stays in one process, for what its tests share; tests/conftest.py says which files come first.
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    spread = ["-n", str(workers + MORE_THAN_CORES), "--dist", "loadfile", "--no-loadscope-reorder"]
    arguments = context.args or spread
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606  pytest takes over
