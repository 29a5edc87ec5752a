"""Third-party code of packages: resolved for the target by uv, stripped, kept in one cache that all projects share.

An entry is named by its content (pins, target, version of these rules) and holds `site-packages/` (where import checks
leave bytecode), `contents.json` (SHA-256 of each file), `dependencies.zip` (the head of every package with these pins)
and `checked/` (the folders of import checks).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from components.packaging.archive import add, settle, write_atomically
from components.packaging.distributions import Distribution
from components.packaging.errors import PackageError
from components.packaging.manifest import canonical
from components.packaging.target import Target

BUILDER = 3
"""Version of the rules by which packages are made: raise it when the same inputs shall give other bytes."""
SITE = ".python_packages/lib/site-packages"  # where the Functions worker looks
_STRIPPED_FILES = {".lock", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
_STRIPPED_FOLDERS = {"bin", "__pycache__"}  # scripts hold the installing Python's path; bytecode is per Python
DRAFT = ".draft-"
_ABANDONED_S = 3600  # a draft this old belongs to a build that was killed

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Dependencies:
    """One entry of the cache."""

    folder: Path

    @property
    def site(self) -> Path:
        """The unpacked distributions."""
        return self.folder / "site-packages"

    @property
    def archive(self) -> Path:
        """The same as the head of a package's zip; there once `pack` was called."""
        return self.folder / "dependencies.zip"

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Name in the package → SHA-256."""
        hashes: dict[str, str] = json.loads((self.folder / "contents.json").read_bytes())
        return hashes

    def pack(self) -> None:
        """Makes the archive when it is not there yet; its hashes first, so that whoever sees it sees them too."""
        if not self.archive.exists():
            _pack(self.site, self.folder)


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/millrace`, or `~/.cache/millrace`."""
    base = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 - the deploying person's machine, no handler's setting
    return (Path(base) if base else Path.home() / ".cache") / "millrace"


def ensure(pins: Sequence[Distribution], target: Target, *, cache: Path, progress: Progress) -> Dependencies:
    """The cache's entry for `pins` on `target`, made when it is not there yet, not packed yet. Two processes may do so
    at once.
    """
    lines = [str(pin) for pin in pins]
    key = hashlib.sha256(canonical({"builder": BUILDER, "pins": lines, "target": [target.python, target.platform]}))
    folder = cache / "dependencies" / key.hexdigest()[:20]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder.parent))
        try:
            progress(f"resolving {len(lines)} distributions for Python {target.python}, {target.platform}")
            _install(lines, target, draft)
            _strip(draft / "site-packages")
            settle(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Dependencies(folder)


def sweep(parent: Path) -> None:
    """Removes what killed builds left."""
    for draft in parent.glob(f"{DRAFT}*"):
        with contextlib.suppress(FileNotFoundError):  # another build is done with it
            if time.time() - draft.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(draft, ignore_errors=True)


def _install(lines: list[str], target: Target, draft: Path) -> None:
    from uv import find_uv_bin  # asks the file system; only a build needs it

    site = draft / "site-packages"
    site.mkdir()
    if not lines:
        return
    (draft / "pins.txt").write_text("\n".join(lines) + "\n", "utf-8")
    command = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(site)]
    command += ["--python", sys.executable, "--python-version", target.python, "--python-platform", target.platform]
    done = subprocess.run(
        [*command, "-r", str(draft / "pins.txt")],
        cwd=draft,  # away from any project's own uv settings
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PackageError(
            who="dependencies of the package",
            must=f"every pin must have a wheel for Python {target.python} on {target.platform}",
            got=done.stderr.strip() or f"exit code {done.returncode} of uv",
            change="pin a version that has one in handlers/requirements.in, or check the network",
        )


def _strip(site: Path) -> None:
    for folder, folders, files in os.walk(site, topdown=True):
        here = Path(folder)
        for name in list(folders):
            if name == "__pycache__" or (name in _STRIPPED_FOLDERS and here == site):
                shutil.rmtree(here / name)
                folders.remove(name)
        for name in files:
            if name in _STRIPPED_FILES and (here == site or here.name.endswith(".dist-info")):
                (here / name).unlink()


def _pack(site: Path, folder: Path) -> None:
    paths = {
        f"{SITE}/{path.relative_to(site).as_posix()}": path
        for path in site.rglob("*")
        if path.parent.name != "__pycache__" and path.is_file()  # an import check beside this compiles
    }
    hashes = {}
    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=folder) as draft:
        packed = Path(draft) / "dependencies.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            for name in sorted(paths):
                content = paths[name].read_bytes()
                hashes[name] = hashlib.sha256(content).hexdigest()
                add(archive, name, content)
        write_atomically(folder / "contents.json", canonical(hashes))
        packed.replace(folder / packed.name)
