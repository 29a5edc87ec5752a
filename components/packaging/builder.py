"""From an app's declaration to its package: `plan` knows the name without building, `build` makes the zip.

A package is named by its inputs: files of the closure, pins, target, manifest, host.json, version of the rules. So a
preview says which packages change, and nothing is built twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.packaging.archive import contents_digest, extend, write_atomically
from components.packaging.closure import ENTRY, STEPS, ClosureFile, source_tree
from components.packaging.dependencies import BUILDER, Dependencies, Progress, default_cache, ensure
from components.packaging.distributions import Distribution, read_pins, resolve
from components.packaging.host_json import host_json
from components.packaging.import_check import Imports, importing
from components.packaging.manifest import App, canonical, manifest
from components.packaging.settings_schema import HandlerFacts, read_handler
from components.packaging.target import Target

_FUNCTION_APP = Path(__file__).with_name("function_app.py")


@dataclass(frozen=True)
class PackagePlan:
    """What a package will hold, and its name."""

    app: str
    digest: str
    """SHA-256 of all inputs."""
    target: Target
    files: tuple[ClosureFile, ...]
    distributions: tuple[Distribution, ...]
    handlers: tuple[HandlerFacts, ...]
    manifest: dict[str, Any]
    host_json: dict[str, Any]
    imports: Imports
    contents: dict[str, bytes]
    """Name in the package → bytes, of everything but third-party code."""

    @property
    def file_name(self) -> str:
        """`<app>-<first 12 digits of the digest>.zip`."""
        return f"{self.app}-{self.digest[:12]}.zip"


@dataclass(frozen=True, slots=True)
class BuiltPackage:
    """A zip on disk."""

    path: Path
    sha256: str
    """Of the zip file."""
    contents_sha256: str
    """Of the names and bytes inside: equal even where another zlib packed them."""
    bytes: int
    built: bool
    """False when it was there already."""
    seconds: float


def plan(app: App, *, root: Path, target: Target) -> PackagePlan:
    """The package of `app` in the project `root`. Reads files, builds and downloads nothing; raises PackageError."""
    root = root.resolve()
    handlers = tuple(read_handler(root, run) for run in sorted({function.run for function in app.functions}))
    tree, modules = source_tree(root), [handler.module for handler in handlers]
    platform = [ENTRY, *app.modules]
    closure = tree.closure([*modules, *platform])
    distributions = resolve(closure.externals, read_pins(root), target)
    document = manifest(app, target)
    host = host_json(app)
    contents = {file.path: file.source.read_bytes() for file in closure.files}
    contents |= {
        "function_app.py": _FUNCTION_APP.read_bytes(),
        "host.json": canonical(host),
        "manifest.json": canonical(document),
    }
    inputs = {
        "builder": BUILDER,
        "target": [target.python, target.platform],
        "distributions": [str(distribution) for distribution in distributions],
        "contents": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    return PackagePlan(
        app=app.name,
        digest=hashlib.sha256(canonical(inputs)).hexdigest(),
        target=target,
        files=closure.files,
        distributions=distributions,
        handlers=handlers,
        manifest=document,
        host_json=host,
        imports=_imports(modules, contents, {file.path for file in tree.closure(platform).files}),
        contents=contents,
    )


def _imports(modules: list[str], contents: Mapping[str, bytes], entry: set[str]) -> Imports:
    """The platform's side is what `function_app.py` does apart from loading the steps."""
    return Imports(
        whole=(ENTRY, *modules, "function_app"),
        steps=(*modules, f"{STEPS}:load") if f"{STEPS.replace('.', '/')}.py" in contents else (),
        platform=frozenset({"function_app.py", "host.json", "manifest.json", *entry}),
    )


def build(plan: PackagePlan, out: Path, *, progress: Progress, cache: Path | None = None) -> BuiltPackage:
    """The zip of `plan` in the folder `out`, made only when it is not there yet.

    Dependencies come from `cache` (the user's cache folder by default). When the target is the Python at hand, every
    handler is imported once in a bare interpreter before the zip gets its name. Raises PackageError.
    """
    began = time.perf_counter()
    path = out / plan.file_name
    known = _known(path)
    if known is not None:
        return BuiltPackage(path, known["sha256"], known["contents_sha256"], known["bytes"], False, _since(began))
    out.mkdir(parents=True, exist_ok=True)
    dependencies = ensure(plan.distributions, plan.target, cache=cache or default_cache(), progress=progress)
    here = plan.target == Target.local()
    check = importing(plan.app, plan.imports, plan.contents, dependencies.site) if here else nullcontext()
    with _draft(path) as draft:
        if here:
            progress(f"importing the handlers of {plan.app}")
        with check:
            facts = _pack(plan, dependencies, draft, progress)
        draft.replace(path)
    write_atomically(_facts(path), canonical(facts))
    return BuiltPackage(path, facts["sha256"], facts["contents_sha256"], facts["bytes"], True, _since(began))


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 4)


def _facts(path: Path) -> Path:
    return path.with_suffix(".json")


def _known(path: Path) -> dict[str, Any] | None:
    """The facts written beside a finished zip, when the zip is there whole."""
    try:
        facts: dict[str, Any] = json.loads(_facts(path).read_bytes())
        return facts if path.stat().st_size == facts["bytes"] else None
    except (FileNotFoundError, ValueError, KeyError):
        return None


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A name beside `path` for a zip that is not checked yet; builders may run side by side."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _pack(plan: PackagePlan, dependencies: Dependencies, draft: Path, progress: Progress) -> dict[str, Any]:
    """The dependencies' zip, byte for byte, with our files behind: `.python_packages` sorts before all of them.
    Answers what is written beside it.
    """
    dependencies.pack()
    progress(f"packing {plan.file_name}")
    extend(dependencies.archive, draft, plan.contents)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in plan.contents.items()}
    with draft.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {
        "sha256": digest,
        "contents_sha256": contents_digest(hashes | dependencies.hashes),
        "bytes": draft.stat().st_size,
    }
