"""What a handler module says about itself, read from its text: that it can be handled, and which settings it wants.

Nothing is imported or run: a preview must work without the handlers' dependencies.
"""

from __future__ import annotations

import ast
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from components.packaging.closure import PACKAGES, home_of
from components.packaging.errors import PackageError

_NO_DEFAULT = {"name"}  # msgspec.field(name=…) alone gives no default


@dataclass(frozen=True, slots=True)
class SettingField:
    """One field of a `Settings` class: `source_queue_url` is read from the app setting `SOURCE_QUEUE_URL`."""

    field: str
    app_setting: str
    required: bool
    annotation: str


@dataclass(frozen=True, slots=True)
class HandlerFacts:
    """What a handler's text says."""

    module: str
    file: str
    settings: tuple[SettingField, ...]
    message: str | None
    """The annotation of `handle`'s first parameter."""
    is_async: bool

    @property
    def required(self) -> frozenset[str]:
        """App settings that must be supplied."""
        return frozenset(field.app_setting for field in self.settings if field.required)

    @property
    def known(self) -> frozenset[str]:
        """App settings that are read, required or not."""
        return frozenset(field.app_setting for field in self.settings)


def app_setting(field: str) -> str:
    """The app setting's name of a field."""
    return field.upper()


def read_handler(root: Path, module: str) -> HandlerFacts:
    """Facts of the handler `module` (`"handlers.log_ingest.ingest"`) under the project `root`.

    Raises PackageError when there is no such file, no `handle(message, context)`, or more than one `Settings`.
    """
    path = module_file(root, module)
    who = f'handler "{module}"'
    if not module.startswith("handlers.") or path is None:
        wanted = module.replace(".", "/") + ".py"
        raise PackageError(
            who=who,
            must="a handler must be a module under handlers/",
            got="no such file: " + wanted if module.startswith("handlers.") else "a name outside handlers",
            change=f"create {wanted}, or correct run=…" if module.startswith("handlers.") else 'say "handlers.<…>"',
        )
    relative = path.relative_to(root).as_posix()
    tree = _parse(path, path.stat().st_mtime_ns, who)
    handle = _handle(tree, who, relative)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    if len(classes) > 1:
        raise PackageError(
            who=who,
            must=f"{relative} must hold at most one class Settings",
            got=f"{len(classes)} (lines {', '.join(str(node.lineno) for node in classes)})",
            change="keep one",
        )
    message = handle.args.args[0].annotation
    return HandlerFacts(
        module=module,
        file=relative,
        settings=tuple(_settings(root, module, "Settings", who).values()),
        message=None if message is None else ast.unparse(message),
        is_async=isinstance(handle, ast.AsyncFunctionDef),
    )


def module_file(root: Path, module: str) -> Path | None:
    """The file of a dotted name under `root`, or None."""
    base = home_of(root, module).joinpath(*module.split("."))
    for candidate in (base.with_name(base.name + ".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


_PARSING = threading.Lock()
"""Pulumi builds packages in threads. Python 3.11 counts the depth of a tree that it makes once for all of them: when
its garbage collector lets another one in, both end in `SystemError: AST constructor recursion depth mismatch`.
"""


@lru_cache(maxsize=256)
def _parse(path: Path, _mtime_ns: int, who: str) -> ast.Module:
    try:
        with _PARSING:
            return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise PackageError(
            who=who,
            must="its file must be valid Python",
            got=f"{error.msg} in {path.name}, line {error.lineno}",
            change="correct that line",
        ) from error


def _handle(tree: ast.Module, who: str, relative: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in tree.body if isinstance(node, functions) and node.name == "handle"]
    if not found:
        raise PackageError(
            who=who,
            must=f"{relative} must define handle(message, context)",
            got="no function of that name",
            change="add it, sync or async",
        )
    handle = found[-1]
    if len(handle.args.posonlyargs) + len(handle.args.args) != 2 or handle.args.posonlyargs:
        raise PackageError(
            who=who,
            must="handle must take exactly (message, context)",
            got=f"({ast.unparse(handle.args)}) in {relative}, line {handle.lineno}",
            change="give it these two parameters",
        )
    return handle


def _settings(root: Path, module: str, name: str, who: str, depth: int = 0) -> dict[str, SettingField]:
    """Fields of the class `name` as `module` sees it: its own or imported from ours, with those of its bases first."""
    path = module_file(root, module)
    if path is None or depth > 8:  # a chain of imports that long is a circle
        return {}
    tree = _parse(path, path.stat().st_mtime_ns, who)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] in PACKAGES:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _settings(root, node.module or "", alias.name, who, depth + 1)
        if isinstance(node, ast.ClassDef) and node.name == name:
            fields: dict[str, SettingField] = {}
            for base in node.bases:
                home, _, inherited = ast.unparse(base).rpartition(".")
                fields |= _settings(root, _imported(tree, home) if home else module, inherited, who, depth + 1)
            return fields | {field.field: field for field in _fields(node)}
    return {}


def _imported(tree: ast.Module, name: str) -> str:
    """Which module of ours `name` is, as `from core.x import name` says; one that is not ours stays as it is."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] in PACKAGES:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return f"{node.module}.{alias.name}"
    return name


def _fields(node: ast.ClassDef) -> list[SettingField]:
    found = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            annotation = ast.unparse(item.annotation)
            if "ClassVar" not in annotation:
                name = item.target.id
                found.append(SettingField(name, app_setting(name), not _has_default(item.value), annotation))
    return found


def _has_default(value: ast.expr | None) -> bool:
    if value is None:
        return False
    if isinstance(value, ast.Call) and ast.unparse(value.func) in {"field", "msgspec.field"}:
        return any(keyword.arg not in _NO_DEFAULT for keyword in value.keywords)
    return True
