"""`./millrace check`: what a landing must pass besides the tests."""

import subprocess
import sys
import time
from typing import Annotated

import typer

from cli.project import ROOT
from cli.screen import Screen

CHECKS: dict[str, list[str]] = {
    "style": ["-m", "ruff", "check", "."],
    "layout": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "arrows": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
    "packages": ["-m", "localcloud.offline.package_contents"],
    "outputs": ["-m", "localcloud.offline.outputs_reader"],
}


def check(json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False) -> None:
    """Ruff, mypy strict, import arrows, package contents: all of them, and what each found."""
    screen = Screen(json=json)
    results = []
    for name, command in CHECKS.items():
        began = time.monotonic()
        run = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        passed = run.returncode == 0
        results.append(
            {"check": name, "passed": passed, "seconds": round(seconds, 1), "output": run.stdout + run.stderr}
        )
        screen.say(f"{'ok  ' if passed else 'FAIL'} {name} ({seconds:.1f} s)")
        if not passed:
            screen.say(run.stdout + run.stderr)
    screen.document({"checks": results})
    if not all(result["passed"] for result in results):
        raise typer.Exit(1)
    screen.text("all checks passed")
