"""Imports every handler of a package once as its worker will: bare interpreter, only the package's own files.

What is saved is bytecode: of the dependencies beside their files, of our own modules in the folder of the app's last
check, which the next one brings up to date. And where the last one passed and nothing has changed that the platform's
side is made of (`Imports.platform`), that side is not imported again: the handlers and their steps are, with everything
that they import. When that fails, for whatever reason, the whole check decides.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from components.packaging.archive import settle
from components.packaging.dependencies import DRAFT, sweep
from components.packaging.errors import PackageError

_LIMIT_S = 60
# Whoever left a thread or a process running is waited for, as the interpreter does; else its tidying up is spared.
_SCRIPT = """
import gc, importlib, os, sys
gc.disable()
sys.path[:0] = sys.argv[1:3]
for wanted in sys.argv[3:]:
    module, _, run = wanted.partition(":")
    try:
        imported = importlib.import_module(module)
        if run:
            import pathlib
            getattr(imported, run)(pathlib.Path("manifest.json").absolute())
    except BaseException as error:
        last = error.__traceback__
        while last.tb_next:
            last = last.tb_next
        place = f"{last.tb_frame.f_code.co_filename}, line {last.tb_lineno}"
        print(module, f"{type(error).__name__}: {error}", place, sep="\\x1f")
        sys.exit(3)
if ("threading" not in sys.modules or sys.modules["threading"].active_count() == 1) and (
    "multiprocessing.process" not in sys.modules or not sys.modules["multiprocessing.process"].active_children()
):
    os._exit(0)
"""
_SAME = f"{sys.executable} {sys.version} {_SCRIPT}".encode()
"""What a passed check passed with; the dependencies are in the folder's name."""


@dataclass(frozen=True, slots=True)
class Imports:
    """What a package must be able to import."""

    whole: Sequence[str]
    """All modules, in a worker's order."""
    steps: Sequence[str] = ()
    """The part that handlers have a say in: modules, and `module:function` to be called with the manifest's path.
    Empty: there is no such part.
    """
    platform: frozenset[str] = frozenset()
    """The files that alone decide about the rest."""


@contextmanager
def importing(app: str, imports: Imports, contents: Mapping[str, bytes], site: Path) -> Iterator[None]:
    """Runs the check beside its block. Leaving it waits for the check, and raises PackageError naming the module, the
    error and its place. `site` holds the third-party code.

    No app setting is there: a module that reads one while it is imported fails here, as it should.
    """
    with _folder(site.parent / "checked", app) as folder:
        root, passed = folder / "package", folder / "passed"
        changed = _bring_up_to_date(root, contents)
        short = bool(imports.steps) and _read(passed) == _SAME and imports.platform.isdisjoint(changed)
        passed.unlink(missing_ok=True)
        with _started(imports.steps if short else imports.whole, root, site) as process:
            yield
            failed = _refusal(app, process, root)
        if failed and short:
            _bring_up_to_date(root, contents)
            with _started(imports.whole, root, site) as process:
                failed = _refusal(app, process, root)
        if not failed:
            passed.write_bytes(_SAME)
    if failed:
        raise failed


def _refusal(app: str, process: subprocess.Popen[str], root: Path) -> PackageError | None:
    """Waits for its end."""
    try:
        said, complaint = process.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        return PackageError(
            who=f"package {app}",
            must=f"its modules must be imported within {_LIMIT_S} s",
            got="still running",
            change="do no work while a module is imported",
        )
    if not process.returncode:
        return None
    module, _, rest = said.strip().rpartition("\n")[2].partition("\x1f")
    reason, _, place = rest.partition("\x1f")
    return PackageError(
        who=f"package {app}",
        must=f"{module or 'its modules'} must be importable from the package's own files",
        got=f"{reason} ({place.replace(f'{root}/', '')})" if rest else complaint.strip()[-400:],
        change="correct the import; data files and pins of the package: ./millrace package --json",
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


@contextmanager
def _folder(kept: Path, app: str) -> Iterator[Path]:
    """A folder that nobody else has: that of the app's last check, or an empty one while somebody else has it."""
    kept.mkdir(exist_ok=True)
    sweep(kept)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=kept)).resolve()
    mine = draft / app
    try:
        try:
            (kept / app).rename(mine)
        except FileNotFoundError:
            (mine / "package").mkdir(parents=True)
        yield mine
        settle(mine, kept / app)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _bring_up_to_date(root: Path, contents: Mapping[str, bytes]) -> set[str]:
    """Leaves exactly `contents` in `root`, and bytecode of nothing but it: time and size, which Python goes by, would
    not tell two edits of one second apart. Answers the names of what was otherwise.
    """
    folders = {folder for name in contents for folder in (root / name).parents}
    changed = set()
    for path in list(_entries(root)):
        name = path.relative_to(root).as_posix()
        if path.is_dir() and not path.is_symlink():
            if path not in folders:
                shutil.rmtree(path)
        elif name not in contents:
            path.unlink(missing_ok=True)  # gone with its folder
            changed.add(name)
    for name, content in contents.items():
        file = root / name
        if file.is_file() and file.read_bytes() == content:
            continue
        changed.add(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in (file, Path(cache_from_source(str(file), optimization=""))):
            old.unlink(missing_ok=True)
        file.write_bytes(content)
    return changed


def _entries(root: Path) -> Iterator[Path]:
    """Everything below `root` but bytecode, folders before what is in them."""
    for here, folders, files in os.walk(root):
        folders[:] = [folder for folder in folders if folder != "__pycache__"]
        yield from (Path(here, name) for name in (*folders, *files))


@contextmanager
def _started(imports: Sequence[str], root: Path, site: Path) -> Iterator[subprocess.Popen[str]]:
    """A bare interpreter, which ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SCRIPT, str(root), str(site), *imports],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
        env={"HOME": str(root), "TZ": "UTC", "LANG": "C.UTF-8"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()
