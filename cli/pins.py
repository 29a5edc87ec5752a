"""`./millrace pins`: compile the requirement files from what people wrote."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.project import ROOT
from cli.screen import Screen

FILES = ("handlers/requirements", "requirements", "requirements-dev")
OLDEST_PYTHON = "3.11"


def pins(
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Newest versions that the .in files allow.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Write each requirements.txt anew from the .in file beside it (uv, universal). Next: ./millrace check, test."""
    screen = Screen(json=json)
    uv = str(Path(sys.executable).with_name("uv"))
    # Packages derive their own lists from the `# via` lines; no registry's address belongs into a commit.
    options = ["--universal", "--python-version", OLDEST_PYTHON, "--no-header", "--no-emit-index-url"]
    options += ["--no-emit-find-links", "--quiet", *(["--upgrade"] if upgrade else [])]
    for name in FILES:
        with screen.working(f"compiling {name}.txt"):
            command = [uv, "pip", "compile", *options, f"{name}.in", "-o", f"{name}.txt"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            screen.say(done.stderr)
            raise typer.Exit(1)
    screen.document({"files": [f"{name}.txt" for name in FILES]})
    screen.text("compiled; the next command installs what changed")
