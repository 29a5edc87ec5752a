"""Building a package, that of log_ingest's app, against the plain way: pip into a folder, the sources beside it, zip.

Every way starts with warm download caches (pip's and uv's own); "all cold" is without this project's cache. The
declaration is at hand: what a build within `up` costs, not the start of a program. Where the target is the Python at
hand, an edited handler is also imported in a bare interpreter before its package gets a name; for any other target
(here the next Python) it cannot be.
"""

import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Bench, in_turn, machine
from components.packaging.builder import PackagePlan, build, plan
from components.packaging.declaration import load
from components.packaging.manifest import App
from components.packaging.target import Target
from localcloud.offline.packages import PACKAGE_TYPE
from localcloud.offline.previewing import preview_stack

PLAIN, UNCHANGED, COLD = "pip and zip", "nothing changed", "all cold"
EDITED, EDITED_ELSEWHERE = "one handler edited, imports tried", "one handler edited, for another Python"
APP = "log-ingest"
_SOURCES = ("handlers", "core")


def run(root: Path, rounds: int) -> Bench:
    """All ways in turn, in a copy of the project whose handler may be edited."""
    app, target = declared(root)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        for name in _SOURCES:
            shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        ways = Ways(app, target, copy, Path(folder))
        kinds: dict[str, Callable[[], object]] = {
            PLAIN: ways.plain,
            EDITED: ways.edited,
            UNCHANGED: ways.unchanged,
            EDITED_ELSEWHERE: ways.edited_elsewhere,
            COLD: ways.cold,
        }  # fmt: skip; "nothing changed" comes right behind the build that it repeats
        rows = in_turn(kinds, rounds)
    plain = rows[0].figure
    return Bench(
        name="package",
        machine=machine(),
        rounds=rounds,
        rows=rows,
        ratios={f"{PLAIN} / {row.what}": round(plain / row.figure, 1) for row in rows[1:]},
    )


def declared(root: Path) -> tuple[App, Target]:
    """The app of the local stack, and the Python that its package is for."""
    records = preview_stack(root, "local").result.records
    inputs = next(record.inputs for record in records if (record.type, record.name) == (PACKAGE_TYPE, APP))
    return load(inputs["declaration"]), Target(inputs["python"], inputs["platform"])


class Ways:
    """Ways to the same package."""

    def __init__(self, app: App, target: Target, project: Path, folder: Path) -> None:
        self._app = app
        self._target = target
        self._project = project
        self._folder = folder
        self._numbers = itertools.count()

    def plain(self) -> None:
        """As a README would say it."""
        folder = self._new("plain")
        pins = [str(distribution) for distribution in self._plan().distributions]
        site = folder / "app" / ".python_packages/lib/site-packages"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
        subprocess.run([*command, str(site), *pins], check=True, capture_output=True)
        for name in _SOURCES:
            shutil.copytree(self._project / name, folder / "app" / name)
        shutil.make_archive(str(folder / "package"), "zip", folder / "app")
        shutil.rmtree(folder)

    def unchanged(self) -> None:
        """Once more what was just built."""
        self._build("out")

    def edited(self) -> None:
        """After an edit of the handler."""
        self._edit()
        self._build("out")

    def edited_elsewhere(self) -> None:
        """The same for a Python that is not at hand."""
        self._edit()
        major, minor = map(int, self._target.python.split("."))
        self._build("elsewhere", target=Target(f"{major}.{minor + 1}", self._target.platform))

    def cold(self) -> None:
        """Without this project's cache of dependencies."""
        folder = self._new("cold")
        self._build(f"{folder.name}/out", cache=folder / "cache")
        shutil.rmtree(folder)

    def _edit(self) -> None:
        handler = self._project / f"{self._app.functions[0].run.replace('.', '/')}.py"
        handler.write_text(f"{handler.read_text()}# edit {next(self._numbers)}\n")

    def _plan(self, target: Target | None = None) -> PackagePlan:
        return plan(self._app, root=self._project, target=target or self._target)

    def _build(self, out: str, *, cache: Path | None = None, target: Target | None = None) -> None:
        build(self._plan(target), self._folder / out, progress=lambda _: None, cache=cache or self._folder / "cache")

    def _new(self, name: str) -> Path:
        folder = self._folder / f"{name}-{next(self._numbers)}"
        folder.mkdir()
        return folder
