"""Imports every handler of a package once as its worker will: bare interpreter, only the package's own files.

All of it is imported each time, nothing is taken as proven. What is saved is bytecode: of the dependencies beside
their files, of our own modules in the folder of the app's last check, which the next one brings up to date.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
for module in sys.argv[3:]:
    try:
        importlib.import_module(module)
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


@contextmanager
def importing(app: str, modules: Sequence[str], contents: Mapping[str, bytes], site: Path) -> Iterator[None]:
    """Runs the check beside its block. Leaving it waits for the check, and raises PackageError naming the module, the
    error and its place. `site` holds the third-party code.

    No app setting is there: a module that reads one while it is imported fails here, as it should.
    """
    with _folder(site.parent / "checked", app) as root:
        _bring_up_to_date(root, contents)
        with _started([_SCRIPT, str(root), str(site), *modules], root) as process:
            yield
            try:
                said, complaint = process.communicate(timeout=_LIMIT_S)
            except subprocess.TimeoutExpired as error:
                raise PackageError(
                    who=f"package {app}",
                    must=f"its modules must be imported within {_LIMIT_S} s",
                    got=f"still running: {', '.join(modules)}",
                    change="do no work while a module is imported",
                ) from error
    if process.returncode:
        module, _, rest = said.strip().rpartition("\n")[2].partition("\x1f")
        reason, _, place = rest.partition("\x1f")
        raise PackageError(
            who=f"package {app}",
            must=f"{module or 'its modules'} must be importable from the package's own files",
            got=f"{reason} ({place.replace(f'{root}/', '')})" if rest else complaint.strip()[-400:],
            change="correct the import; data files and pins of the package: ./millrace package --json",
        )


@contextmanager
def _folder(kept: Path, app: str) -> Iterator[Path]:
    """A folder that nobody else has: that of the app's last check, or an empty one while somebody else has it."""
    kept.mkdir(exist_ok=True)
    sweep(kept)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=kept)).resolve()
    root = draft / app
    try:
        try:
            (kept / app).rename(root)
        except FileNotFoundError:
            root.mkdir()
        yield root
        settle(root, kept / app)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _bring_up_to_date(root: Path, contents: Mapping[str, bytes]) -> None:
    """Leaves exactly `contents` in `root`, and bytecode of nothing but it: time and size, which Python goes by, would
    not tell two edits of one second apart.
    """
    folders = {folder for name in contents for folder in (root / name).parents}
    for path in list(_entries(root)):
        if path.is_dir() and not path.is_symlink():
            if path not in folders:
                shutil.rmtree(path)
        elif path.relative_to(root).as_posix() not in contents:
            path.unlink(missing_ok=True)  # gone with its folder
    for name, content in contents.items():
        file = root / name
        if file.is_file() and file.read_bytes() == content:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in (file, Path(cache_from_source(str(file), optimization=""))):
            old.unlink(missing_ok=True)
        file.write_bytes(content)


def _entries(root: Path) -> Iterator[Path]:
    """Everything below `root` but bytecode, folders before what is in them."""
    for here, folders, files in os.walk(root):
        folders[:] = [folder for folder in folders if folder != "__pycache__"]
        yield from (Path(here, name) for name in (*folders, *files))


@contextmanager
def _started(arguments: Sequence[str], root: Path) -> Iterator[subprocess.Popen[str]]:
    """A bare interpreter, which ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", *arguments],
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
