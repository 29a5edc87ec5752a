"""From imported modules to pinned distributions.

`handlers/requirements.txt` is what uv compiled from `handlers/requirements.in`: one pin a line, a marker where it needs
one, and under it the `# via` comments, which are the dependency graph. A package's own list is the part of it that its
imports reach.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from packaging.markers import Marker

from components.packaging.closure import ExternalImport
from components.packaging.errors import PackageError
from components.packaging.target import Target

REQUIREMENTS = "handlers/requirements.txt"

BY_NAME = {"dateutil": "python-dateutil", "jwt": "pyjwt", "yaml": "pyyaml", "PIL": "pillow"}
"""Modules whose distribution is not called like them. Everything else: `azure.functions` → `azure-functions`."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of the compiled list."""

    name: str
    version: str
    marker: str = ""
    via: tuple[str, ...] = ()

    def holds(self, target: Target) -> bool:
        """True when the marker is true on the target."""
        return not self.marker or Marker(self.marker).evaluate(target.marker_environment())

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A pin that a package needs, and why: the importing file, or the distribution that requires it."""

    name: str
    version: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(slots=True)
class _Draft:
    name: str
    version: str
    marker: str
    via: list[str] = field(default_factory=list)


_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)\s*(?:;\s*(.+?))?\s*$")


def normalized(name: str) -> str:
    """PEP 503: the one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_pins(text: str, *, source: str = REQUIREMENTS) -> tuple[Pin, ...]:
    """The pins of a list compiled by `uv pip compile` without hashes. Raises PackageError naming the line."""
    drafts: list[_Draft] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("#"):
            comment = stripped.lstrip("# ").removeprefix("via").strip()
            if drafts and line[:1].isspace() and comment:
                drafts[-1].via.append(comment)
        elif stripped:
            match = _PIN.match(stripped.partition(" #")[0])
            if match is None:
                raise PackageError(
                    who=f"{source}, line {number}",
                    must="each line must be one pin, name==version with an optional marker",
                    got=repr(stripped[:80]),
                    change="compile it again from requirements.in: ./millrace pins",
                )
            drafts.append(_Draft(normalized(match[1]), match[2], match[3] or ""))
    return tuple(Pin(d.name, d.version, d.marker, tuple(d.via)) for d in drafts)


@lru_cache(maxsize=8)
def _read(path: Path, _mtime_ns: int) -> tuple[Pin, ...]:
    return parse_pins(path.read_text("utf-8"))


def read_pins(root: Path) -> tuple[Pin, ...]:
    """The pins of the project's handlers."""
    path = root / REQUIREMENTS
    if not path.is_file():
        raise PackageError(
            who=f"project {root}",
            must=f"the pins of the handlers must be in {REQUIREMENTS}",
            got="no such file",
            change="compile it from handlers/requirements.in: ./millrace pins",
        )
    return _read(path, path.stat().st_mtime_ns)


def resolve(imports: Iterable[ExternalImport], pins: Iterable[Pin], target: Target) -> tuple[Distribution, ...]:
    """The distributions that `imports` need on `target`, with everything they require, sorted by name."""
    held = {pin.name: pin for pin in pins if pin.holds(target)}
    requires: dict[str, list[str]] = {name: [] for name in held}
    for pin in held.values():
        for parent in pin.via:
            if normalized(parent) in requires:
                requires[normalized(parent)].append(pin.name)
    why: dict[str, str] = {}
    for external in imports:
        why.setdefault(_distribution(external, held), f"{external.file}:{external.line} imports {external.module}")
    waiting = list(why)
    while waiting:
        name = waiting.pop()
        for required in requires[name]:
            if required not in why:
                why[required] = f"required by {name}"
                waiting.append(required)
    return tuple(Distribution(name, held[name].version, why[name]) for name in sorted(why))


def _distribution(external: ExternalImport, held: dict[str, Pin]) -> str:
    """The pinned distribution of an import: the longest dotted prefix, joined with dashes, that is a pinned name."""
    parts = external.module.split(".")
    for length in range(len(parts), 0, -1):
        dotted = ".".join(parts[:length])
        name = BY_NAME.get(dotted, normalized(dotted))
        if name in held:
            return name
    raise PackageError(
        who=f"{external.file}, line {external.line}",
        must=f"an import must be of Python's own library, of handlers/ or core/, or pinned in {REQUIREMENTS}",
        got=f"import of {external.module}",
        change="add its distribution to handlers/requirements.in and run ./millrace pins, or remove the import",
    )
