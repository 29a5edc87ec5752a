"""What the checks pass around: a failure, and a view of inputs in which unknown values never look like wrong ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Pulumi's own stand-in for a value that only an `up` will know."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason why a cloud would refuse the inputs."""

    property_path: str
    """Where, as Pulumi writes paths: ``siteConfig.appSettings[2].name``; "" is the resource as a whole."""
    reason: str
    """What must hold, the value got, the change to make; reads on after the path."""
    misshapen: bool = field(default=False, compare=False)
    """The value is of another type altogether: rules, which rely on the shape, are not asked about such inputs."""

    def __str__(self) -> str:
        return f"{self.property_path} {self.reason}".strip()


def join(path: str, key: str) -> str:
    """``path`` with one more property; keys that are no plain names are quoted as Pulumi does."""
    if not key.replace("_", "a").isalnum():
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


@dataclass(frozen=True, slots=True)
class View:
    """Inputs as a rule reads them: ``get`` answers None for the absent *and* the unknown, ``has`` tells them apart."""

    inputs: Mapping[str, Any]
    unknown: str = UNKNOWN

    def get(self, path: str) -> Any:
        """The known value at a dotted path, or None."""
        value = self._at(path)
        return None if self.is_unknown(value) else value

    def text(self, path: str) -> str:
        """The known text at a dotted path, or ""."""
        value = self.get(path)
        return value if isinstance(value, str) else ""

    def has(self, path: str) -> bool:
        """Whether anything is there, known or not (an unknown parent counts: it may hold it)."""
        return self._at(path) is not None

    def items(self, path: str) -> Iterator[tuple[str, View]]:
        """(path, view) of each known object in an array."""
        value = self.get(path)
        for index, item in enumerate(value if isinstance(value, list) else []):
            if isinstance(item, Mapping):
                yield f"{path}[{index}]", View(item, self.unknown)

    def entries(self, path: str) -> list[tuple[str, Any]]:
        """(key, value) of a known map, in order."""
        value = self.get(path)
        return list(value.items()) if isinstance(value, Mapping) else []

    def is_unknown(self, value: Any) -> bool:
        """Whether the value is Pulumi's stand-in."""
        return isinstance(value, str) and value == self.unknown

    def _at(self, path: str) -> Any:
        value: Any = self.inputs
        for key in path.split("."):
            if self.is_unknown(value) or not isinstance(value, Mapping):
                return value if self.is_unknown(value) else None
            value = value.get(key)
        return value
