"""Imports every handler of a package once as its worker will: bare interpreter, only the package's own files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.packaging.errors import PackageError

_LIMIT_S = 60
_SCRIPT = """
import importlib, sys, traceback
sys.path[:0] = sys.argv[1:3]
for module in sys.argv[3:]:
    try:
        importlib.import_module(module)
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        print(module, f"{type(error).__name__}: {error}", f"{last.filename}, line {last.lineno}", sep="\\x1f")
        sys.exit(3)
"""


def check_imports(app: str, modules: Sequence[str], contents: Mapping[str, bytes], site: Path) -> None:
    """Raises PackageError naming the module, the error and its place. `site` holds the third-party code.

    No app setting is there: a module that reads one while it is imported fails here, as it should.
    """
    with tempfile.TemporaryDirectory(prefix="millrace-import-") as scratch:
        root = Path(scratch).resolve()
        for name, content in contents.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        bytecode = site.parent / f"bytecode-{sys.implementation.cache_tag}"  # beside the tree, which stays as packed
        command = [sys.executable, "-I", "-S", "-X", f"pycache_prefix={bytecode}", "-c", _SCRIPT, str(root), str(site)]
        try:
            done = subprocess.run(
                [*command, *modules],
                capture_output=True,
                text=True,
                check=False,
                cwd=root,
                env={"HOME": scratch, "TZ": "UTC", "LANG": "C.UTF-8"},
                timeout=_LIMIT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise PackageError(
                who=f"package {app}",
                must=f"its modules must be imported within {_LIMIT_S} s",
                got=f"still running: {', '.join(modules)}",
                change="do no work while a module is imported",
            ) from error
        finally:
            shutil.rmtree(bytecode / root.relative_to(root.anchor), ignore_errors=True)  # scratch paths never recur
    if done.returncode:
        module, _, rest = done.stdout.strip().rpartition("\n")[2].partition("\x1f")
        reason, _, place = rest.partition("\x1f")
        raise PackageError(
            who=f"package {app}",
            must=f"{module or 'its modules'} must be importable from the package's own files",
            got=f"{reason} ({place.replace(f'{root}/', '')})" if rest else done.stderr.strip()[-400:],
            change="correct the import; data files and pins of the package: ./millrace package --json",
        )
