"""Microsoft's worker library, installed once per machine into the user's cache folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from components.packaging.archive import settle
from components.packaging.dependencies import default_cache

_LIBRARY = ("azure-functions-runtime==1.3.0", "azurefunctions-extensions-base==1.2.0")

RealWorker = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def worker_library() -> Path:
    folder = default_cache() / "contract" / "-".join(_LIBRARY).replace("==", "-")
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent))
        command = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
        try:  # it says "Python 3.13 or newer", and runs on 3.11: 3.13 is what the resolver is told
            subprocess.run([*command, "--python-version", "3.13", "--target", str(draft), *_LIBRARY], check=True)
            settle(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


@pytest.fixture
def real_worker(worker_library: Path, tmp_path: Path) -> RealWorker:
    def run(package: Path, invocations: list[dict[str, Any]], settings: dict[str, str] | None = None) -> dict[str, Any]:
        script = Path(__file__).with_name("real_worker.py")
        arguments = [str(package), str(worker_library), json.dumps(invocations)]
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(script), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=package,
            env={"HOME": str(tmp_path), "TZ": "UTC"} | (settings or {}),
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        answer["output"] = done.stdout
        return answer

    return run
