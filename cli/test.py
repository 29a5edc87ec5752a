"""`./millrace test`: every tier of tests, in parallel."""

import os
import sys

import typer

from cli.project import ROOT


def test(context: typer.Context) -> None:
    """Run the tests; arguments go to pytest (./millrace test tests/unit -k naming)."""
    os.chdir(ROOT)
    arguments = context.args or ["-n", "auto", "--dist", "loadfile"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606  pytest takes over
