"""The cases with another version of Microsoft's SDK than the pinned one: the emulator may not depend on one.

`.venv/bin/python -m tests.contract.service_bus.with_sdk 7.14.3` (or `latest`); further arguments go to pytest. The
version is installed into the user's cache folder and stands before the pinned one; nothing else changes.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from cli.project import ROOT

CASES = ["tests/contract/service_bus", "-n", "auto", "--dist", "loadfile"]


def installed(version: str) -> Path:
    """A folder with that version of the SDK alone: what it needs is the pinned environment's."""
    wanted = "azure-servicebus" if version == "latest" else f"azure-servicebus=={version}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "millrace" / "service-bus-sdk" / version
    install = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps", "--upgrade"]
    subprocess.run([*install, "--python", sys.executable, "--target", str(folder), wanted], check=True)
    return folder


def main() -> None:
    """Ends as pytest does."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.service_bus.with_sdk", description=__doc__)
    parser.add_argument("version", help="of azure-servicebus; `latest`: the newest there is")
    version, more = parser.parse_known_args()
    environment = {**os.environ, "PYTHONPATH": str(installed(version.version))}
    look = "import azure.servicebus as sdk; print('azure-servicebus', sdk.__version__, 'of', sdk.__file__, flush=True)"
    subprocess.run([sys.executable, "-c", look], env=environment, check=True)
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *CASES, *more], environment)  # noqa: S606 - pytest takes over


if __name__ == "__main__":
    main()
