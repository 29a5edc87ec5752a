"""A stack's settings file as the embedded engine hands it to the program: `Pulumi.<stack>.yaml`, Pulumi's format."""

import json
from pathlib import Path
from typing import Any

import yaml

from localcloud.engine.embedded import Program


class ConfigError(Exception):
    """A settings file that is missing or wrong."""


def load_program(root: Path, stack: str, overrides: dict[str, Any] | None = None) -> Program:
    """The program of the project in `root`, with a stack's settings; `overrides` replace whole keys.

    Encrypted values stay unknown to us (only Pulumi's own secrets provider opens them): they are left out.
    """
    project = _yaml(root / "Pulumi.yaml")
    file = root / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        known = sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml"))
        raise ConfigError(
            f"stack {stack}: its settings must be in {file.name}, got no such file; known: {', '.join(known)}"
        )
    config: dict[str, str] = {}
    for key, value in {**(_yaml(file).get("config") or {}), **(overrides or {})}.items():
        if isinstance(value, dict) and set(value) == {"secure"}:
            continue
        full = key if ":" in key else f"{project['name']}:{key}"
        config[full] = value if isinstance(value, str) else json.dumps(value)
    return Program(root=root, project=str(project["name"]), stack=stack, config=config)


def _yaml(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{file.name}: must be valid YAML, got {error}; correct it") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{file.name}: must be a YAML mapping, got {type(loaded).__name__}; correct it")
    return loaded
