"""Pulumi's generated SDKs, one file at a time: `storage.Queue` reads `queue.py`, not the fifty files beside it.

A service's `__init__.py` (`pulumi_azure_native.web`, `pulumi_aws.s3`, …) imports every file of the service and builds
thousands of classes: a third of a program's whole time. Here such a module looks a name up in the file that the SDK's
generator puts it into. Whatever is not found so (another naming, `import *`, `dir`) runs the real `__init__.py`, so
that nothing is ever missing; either way it is the same object. Services imported before this one are left alone.
The environment variable MILLRACE_WHOLE_SDK switches all of it off.
"""

import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

SDKS = ("pulumi_azure_native", "pulumi_aws")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SUFFIX = re.compile(r"_(args|output|result)$")
_SHARED = ("_enums", "_inputs")


def install() -> None:
    """From here on, services of the SDKs are loaded name by name. Twice does no harm."""
    if not os.environ.get("MILLRACE_WHOLE_SDK") and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds what Python finds, and gives a service's package another way to load."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        sdk, _, service = fullname.partition(".")
        if sdk not in SDKS or not service or "." in service:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.submodule_search_locations and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Runs a service's `__init__.py` only when it must."""

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Service

    def run(self, module: ModuleType) -> None:
        super().exec_module(module)


class _Service(ModuleType):
    """A service of an SDK, whose names are looked up as they are asked for."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for file in _files(Path(self.__path__[0]), name):
                module = importlib.import_module(f"{self.__name__}.{file}")
                if name in getattr(module, "__all__", ()):
                    self.__dict__[name] = found = getattr(module, name)
                    return found
                if name == file:
                    return module
        elif name != "__all__":  # `import *` asks for it, and then takes what is there
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self._load_whole()
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Python puts each loaded file here under its own name; a function of that name goes before it."""
        if isinstance(value, ModuleType) and name in getattr(value, "__all__", ()):
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        self._load_whole()
        return list(self.__dict__)

    def _load_whole(self) -> None:
        self.__class__ = ModuleType  # type: ignore[assignment]  # an ordinary module from here on
        loader = self.__spec__.loader if self.__spec__ else None
        if isinstance(loader, _Loader):
            loader.run(self)


def _files(folder: Path, name: str) -> Iterator[str]:
    """Where the generator may have put a name: in a file of its own, or with the service's enums and inputs."""
    own = _WORD.sub("_", name).lower()
    places = dict.fromkeys((own, _SUFFIX.sub("", own), *_SHARED))
    yield from (file for file in places if (folder / f"{file}.py").is_file())
