"""Which files of `handlers/` and `core/` a set of modules needs, and why each of them.

The import graph comes from grimp, which reads the files and runs none of them. Imports under `TYPE_CHECKING` do not
count; imports inside functions do. Parent packages' `__init__.py` come along, and so do the files that are not Python
(SQL, schemas, data) of every package folder that is in.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from components.packaging.errors import PackageError

PACKAGES = ("handlers", "core")
ENTRY = "core.runtime.functions"  # what function_app.py imports
STEPS = "core.runtime.step"  # where it loads the handlers
_PIN_FILES = {"requirements.in", "requirements.txt"}  # inputs of a package, not files of it: its own list is derived
_OURS = Path(__file__).resolve().parents[2]
_GRIMP = threading.Lock()  # grimp's finder is one setting per process


@dataclass(frozen=True, slots=True)
class ClosureFile:
    """One file: its place in the package (posix), where it is read from, and the import chain that asks for it."""

    path: str
    source: Path
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExternalImport:
    """An import of somebody else's module: its dotted name as far as the import statement says it, and where."""

    module: str
    file: str
    line: int


Chains = dict[str, tuple[str, ...]]
"""Modules, each with the import chain that asks for it."""


@dataclass(frozen=True, slots=True)
class Closure:
    """Everything of ours that a set of modules needs (sorted by path), and what it imports from outside."""

    files: tuple[ClosureFile, ...]
    externals: tuple[ExternalImport, ...]


def home_of(root: Path, module: str) -> Path:
    """The folder that holds a module's package: the project's, or Millrace's own `core/` where a project has none."""
    package = module.partition(".")[0]
    return _OURS if package == "core" and not (root / package).exists() else root


class _RootFinder:
    """Finds packages under one root, whatever `sys.path` and `sys.modules` hold."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def determine_package_directories(self, package_name: str, file_system: object) -> set[str]:  # noqa: ARG002 - grimp's interface
        return {str(home_of(self._root, package_name) / package_name)}


class SourceTree:
    """The import graph of one project root, built once."""

    def __init__(self, root: Path) -> None:
        """`root` is the folder that holds `handlers/` and, unless Millrace's own will do, `core/`."""
        self.root = root.resolve()
        self._homes = {package: home_of(self.root, package) for package in PACKAGES}
        self._files_of: dict[str, Path | None] = {}
        self._needs: dict[tuple[str, ...], tuple[Chains, tuple[ExternalImport, ...]]] = {}
        for package, home in self._homes.items():
            if not (home / package / "__init__.py").is_file():
                raise PackageError(
                    who=f"project {self.root}",
                    must=f"the folder must hold the package {package}/",
                    got=f"no {package}/__init__.py",
                    change=f"create {package}/__init__.py (an empty file)",
                )

    @cached_property
    def _graph(self) -> Any:
        import grimp  # a Rust extension: only who builds a graph pays for it
        from grimp.application.config import settings

        with _GRIMP:
            before = settings.PACKAGE_FINDER
            settings.configure(PACKAGE_FINDER=_RootFinder(self.root))
            try:
                return grimp.build_graph(
                    *PACKAGES, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
                )
            finally:
                settings.configure(PACKAGE_FINDER=before)

    def file_of(self, module: str) -> Path | None:
        """The file of one of our modules, or None when there is none."""
        if module not in self._files_of:
            base = self._home_of(module).joinpath(*module.split("."))
            candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
            self._files_of[module] = next((file for file in candidates if file.is_file()), None)
        return self._files_of[module]

    def _home_of(self, module: str) -> Path:
        return self._homes.get(module.partition(".")[0], self.root)

    def closure(self, modules: Sequence[str]) -> Closure:
        """The closure of `modules` (dotted names). Raises PackageError for a module that does not exist."""
        wanted = tuple(modules)
        if wanted not in self._needs:  # Python files stay as they are for as long as this tree is used; data may not
            self._needs[wanted] = self._needed(wanted)
        chains, externals = self._needs[wanted]
        files = {file.path: file for file in self._files(chains)}
        return Closure(tuple(files[path] for path in sorted(files)), externals)

    def _needed(self, modules: Sequence[str]) -> tuple[Chains, tuple[ExternalImport, ...]]:
        chains: Chains = {}
        waiting: deque[tuple[str, tuple[str, ...]]] = deque((module, (module,)) for module in modules)
        externals: list[ExternalImport] = []
        while waiting:  # breadth first, so the first chain found is a shortest one
            module, chain = waiting.popleft()
            if module in chains:
                continue
            if self.file_of(module) is None or module not in self._graph.modules:
                raise self._missing(module, chain)
            chains[module] = chain
            parent = module.rpartition(".")[0]
            if parent:
                waiting.append((parent, (*chain, parent)))
            for imported in sorted(self._graph.find_modules_directly_imported_by(module)):
                if imported.partition(".")[0] in PACKAGES:
                    waiting.append((imported, (*chain, imported)))
                elif imported not in sys.stdlib_module_names:
                    externals.extend(self._statements(module, imported))
        return chains, tuple(externals)

    def _missing(self, module: str, chain: tuple[str, ...]) -> PackageError:
        wanted = module.replace(".", "/") + ".py"
        if self.file_of(module) is not None:
            folders = [folder for folder in self.root.joinpath(wanted).parents if self.root in folder.parents]
            bare = [folder for folder in reversed(folders) if not (folder / "__init__.py").is_file()]
            lacking = f"{bare[0].relative_to(self.root).as_posix()}/__init__.py" if bare else wanted
            return PackageError(
                who=f"package of {chain[0]}",
                must=f"each folder above {wanted} must be a package",
                got=f"no {lacking}",
                change=f"create {lacking} (an empty file)",
            )
        return PackageError(
            who=f"package of {chain[0]}",
            must=f"every module of its closure must be a file under {' or '.join(p + '/' for p in PACKAGES)}",
            got=f"no {wanted} (asked for by {' → '.join(chain)})",
            change=f"create {wanted} (and an __init__.py in each folder above it), or correct the name",
        )

    def _statements(self, importer: str, imported: str) -> Iterator[ExternalImport]:
        file = self._relative(importer)
        for detail in self._graph.get_import_details(importer=importer, imported=imported):
            for name in imported_names(detail["line_contents"]):
                if name.partition(".")[0] == imported:
                    yield ExternalImport(name, file, detail["line_number"])

    def _relative(self, module: str) -> str:
        path = self.file_of(module)
        return module if path is None else path.relative_to(self._home_of(module)).as_posix()

    def _files(self, chains: dict[str, tuple[str, ...]]) -> Iterator[ClosureFile]:
        for module, chain in chains.items():
            path = self.file_of(module)
            if path is None:
                continue
            place = module.replace(".", "/")
            if path.name != "__init__.py":
                yield ClosureFile(f"{place}.py", path, chain)
            else:
                yield ClosureFile(f"{place}/__init__.py", path, chain)
                for data in _data_files(path.parent):
                    relative = data.relative_to(self._home_of(module)).as_posix()
                    owner = relative.removesuffix(data.suffix).replace("/", ".")
                    if data.with_suffix(".py").is_file() and owner not in chains:
                        continue  # `jobs.sql` beside `jobs.py` is that module's, and goes where it goes
                    if relative.partition("/")[2] not in _PIN_FILES:
                        yield ClosureFile(relative, data, (*chain, f"{module}'s folder"))


def _data_files(folder: Path) -> Iterator[Path]:
    """Files that are not Python, in `folder` and in its subfolders without Python (others are packages)."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = entry.name
        if name.startswith(".") or name == "__pycache__" or name.endswith(("~", ".py", ".pyi", ".pyc", ".swp")):
            continue
        if not entry.is_dir():
            if entry.is_file():
                yield folder / name
        elif not any((folder / name).glob("*.py")):
            yield from _data_files(folder / name)


_FROM = re.compile(r"^\s*from\s+([\w.]+)\s+import\s+\(?(.*)$")
_IMPORT = re.compile(r"^\s*import\s+(.*)$")


def imported_names(statement: str) -> list[str]:
    """The dotted names on the first line of an import statement.

    >>> imported_names("from azure import identity, core")
    ['azure.identity', 'azure.core']
    >>> imported_names("import botocore.session, urllib3 as u")
    ['botocore.session', 'urllib3']

    `from a.b import (` has its names on the next lines and yields `a.b` alone, which is enough to find the distribution
    unless `a.b` is a bare namespace.
    """
    statement = statement.partition("#")[0]
    if match := _FROM.match(statement):
        names = re.findall(r"(\w+)(?:\s+as\s+\w+)?", match[2].replace("\\", ""))
        return [f"{match[1]}.{name}" for name in names] or [match[1]]
    if match := _IMPORT.match(statement):
        return re.findall(r"([\w.]+)(?:\s+as\s+\w+)?", match[1].replace("\\", ""))
    return []


def source_tree(root: Path) -> SourceTree:
    """The tree of `root`: one graph per process for as long as no Python file under it changes."""
    root = root.resolve()
    return _cached(root, _fingerprint(root))


@lru_cache(maxsize=4)
def _cached(root: Path, _fingerprint: int) -> SourceTree:
    return SourceTree(root)


def _fingerprint(root: Path) -> int:
    """Changes when a Python file below `root`'s two packages appears, goes or is written."""
    seen: list[tuple[str, int, int]] = []
    waiting = [str(home_of(root, package) / package) for package in PACKAGES]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.name.endswith(".py"):
                        stat = entry.stat()
                        seen.append((entry.path, stat.st_mtime_ns, stat.st_size))
                    elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:  # a package that is missing is told of by the tree
            continue
    return hash(tuple(sorted(seen)))
