"""A stack's settings file as the embedded engine hands it to the program: `Pulumi.<stack>.yaml`, Pulumi's format.

The program gets what Pulumi's own engine would give it: the project file's defaults where a stack says nothing, and
YAML read as Pulumi reads it (`yes` and `10:30` are texts).
"""

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from localcloud.engine.embedded import Program

LOCAL = "local"


class ConfigError(Exception):
    """A settings file that is missing or wrong."""


class _Yaml(yaml.SafeLoader):  # type: ignore[misc]  # untyped library
    """YAML 1.2's core types, which is what Pulumi's Go library takes plain scalars for."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0[0-7]*|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def load_program(root: Path, stack: str, overrides: dict[str, Any] | None = None) -> Program:
    """The program of the project in `root`, with a stack's settings; `overrides` replace whole keys.

    Encrypted values stay unknown to us (only Pulumi's own secrets provider opens them): they are left out.
    """
    project = _yaml(root / "Pulumi.yaml")
    name = str(project["name"])
    file = root / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        known = sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml"))
        raise ConfigError(
            f"stack {stack}: its settings must be in {file.name}, got no such file; known: {', '.join(known)}; "
            f"for another local stack run: cp Pulumi.{LOCAL}.yaml {file.name}"
        )
    given = {_full(name, key): value for key, value in (_yaml(file).get("config") or {}).items()}
    given |= {_full(name, key): value for key, value in (overrides or {}).items()}
    merged = _defaults(name, project) | {key: value for key, value in given.items() if value is not None}
    config = {key: _text(_open(value)) for key, value in merged.items() if not _is_shut(value)}
    return Program(root=root, project=name, stack=stack, config=config)


def _defaults(name: str, project: dict[str, Any]) -> dict[str, Any]:
    """`default` or `value` of each key that the project file declares; a bare value is a default as well."""
    found: dict[str, Any] = {}
    for key, declared in (project.get("config") or {}).items():
        value = declared.get("default", declared.get("value")) if isinstance(declared, dict) else declared
        if value is not None:
            found[_full(name, key)] = value
    return found


def _full(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _is_shut(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _open(value: Any) -> Any:
    """The value without what is encrypted in it."""
    if isinstance(value, dict):
        return {key: _open(item) for key, item in value.items() if not _is_shut(item)}
    return [_open(item) for item in value if not _is_shut(item)] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _yaml(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.load(file.read_text(), _Yaml)  # noqa: S506  a SafeLoader, with fewer types
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{file.name}: must be valid YAML, got {error}; correct it") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{file.name}: must be a YAML mapping, got {type(loaded).__name__}; correct it")
    return loaded
