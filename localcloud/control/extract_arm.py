"""Reads what an AutoRest-generated ``azure-mgmt-*`` wheel says about a resource: its path and its constraints.

Like the SDK reader this parses the files and imports nothing, so a wheel needs neither its dependencies nor an
environment that can run it. Three things are read: the PUT request's path with the limits of its names
(``build_…_request`` in ``operations/``), each model's ``_attribute_map`` and ``_validation``, and the enums that the
models' constructors are annotated with. The newest, TypeSpec-generated wheels carry none of this.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from localcloud.control.extract_sdk import Schema, camel, classes_in, enum_values

# `_validation` and the path serialiser use msrest's words; the right side is what our data calls them.
LIMITS = {
    "max_length": "max_length",
    "min_length": "min_length",
    "pattern": "pattern",
    "maximum": "max",
    "minimum": "min",
    "maximum_ex": "below",
    "minimum_ex": "above",
    "multiple": "multiple",
    "max_items": "max_items",
    "min_items": "min_items",
    "unique": "unique",
}


def limits(values: dict[str, Any]) -> Schema:
    """The bounds among ``values`` under our names; a pattern that Python cannot compile is left out."""
    found = {ours: values[theirs] for theirs, ours in LIMITS.items() if theirs in values}
    if "pattern" in found:
        try:
            re.compile(found["pattern"])
        except re.error:
            del found["pattern"]
    return found


class Wheel:
    """One unpacked wheel; ``root`` holds ``models/`` and ``operations/`` (a version's folder, if there are several)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        models = root / "models"
        self.models: dict[str, ast.ClassDef] = {}
        self.enums: dict[str, ast.ClassDef] = {}
        for path in sorted(models.glob("_*.py")):
            (self.enums if path.name.endswith("_enums.py") else self.models).update(classes_in(path))

    def path(self, operations: str, builder: str) -> tuple[str, dict[str, Schema], str]:
        """(path template, limits of each name in it, the wheel's API version) of a PUT request."""
        node = _functions(self.root / "operations" / f"{operations}.py").get(f"build_{builder}_request")
        if node is None:
            raise LookupError(f"{self.root}/operations/{operations}.py: no build_{builder}_request; correct the list")
        template, version, names = "", "", {}
        for part in ast.walk(node):
            if not isinstance(part, ast.Call):
                continue
            texts = [item.value for item in part.args if isinstance(item, ast.Constant)]
            if texts[:1] == ["template_url"]:
                template = str(texts[1])
            elif texts[:1] == ["api-version"] and len(texts) > 1:
                version = str(texts[1])
        for key, value in _path_arguments(node):
            names[key] = limits(dict(pair for pair in map(_plain, value.keywords) if pair))
        for item in node.body:  # blob_services_name: Literal["default"] = …
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                _literal(item, names)
        return template, {key: names.get(key, {}) for key in re.findall(r"\{(\w+)\}", template)}, version

    @lru_cache(maxsize=4096)  # noqa: B019 (one short-lived process reads a few wheels)
    def attributes(self, model: str) -> dict[str, tuple[str, Schema]]:
        """Wire path -> (type expression, limits with ``readonly`` and ``enum``) of a model, its bases included.

        The key is the attribute's Python name as camelCase and the last part of its path on the wire as well, since
        azure-native follows the one or the other; a body's ``properties`` envelope is opened.
        """
        node = self.models.get(model)
        if node is None:
            return {}
        found: dict[str, tuple[str, Schema]] = {}
        for base in node.bases:
            if isinstance(base, ast.Name):
                found.update(self.attributes(base.id))
        validation = _literal_of(node, "_validation")
        annotations = _init_annotations(node)
        for name, entry in _literal_of(node, "_attribute_map").items():
            rule = validation.get(name, {})
            schema = limits(rule)
            if rule.get("readonly"):
                schema["readonly"] = True
            values = self._enum(annotations.get(name, ""))
            if values:
                schema["enum"] = values
            wire = re.split(r"(?<!\\)\.", entry["key"])[-1].replace("\\.", ".")
            for key in {wire, camel(name)}:
                found[key] = (entry["type"], schema)
        envelope = found.get("properties")
        if envelope and envelope[0] in self.models:
            found = {**self.attributes(envelope[0]), **found}
        return found

    def _enum(self, annotation: str) -> list[Any]:
        for name in re.findall(r"_models\.(\w+)", annotation):
            if name in self.enums:
                return enum_values(self.enums[name])
        return []

    def subtypes(self, model: str) -> dict[str, str]:
        """Discriminator value -> model of a polymorphic model, or {}."""
        node = self.models.get(model)
        maps = _literal_of(node, "_subtype_map") if node else {}
        return next(iter(maps.values()), {})


@lru_cache(maxsize=64)
def _functions(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _plain(keyword: ast.keyword) -> tuple[str, Any] | None:
    if keyword.arg is not None and isinstance(keyword.value, ast.Constant):
        return keyword.arg, keyword.value.value
    return None


def _path_arguments(node: ast.FunctionDef) -> list[tuple[str, ast.Call]]:
    for item in node.body:
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Dict):
            target = item.targets[0]
            if isinstance(target, ast.Name) and target.id == "path_format_arguments":
                pairs = zip(item.value.keys, item.value.values, strict=True)
                return [(str(k.value), v) for k, v in pairs if isinstance(k, ast.Constant) and isinstance(v, ast.Call)]
    return []


def _literal(item: ast.AnnAssign, names: dict[str, Schema]) -> None:
    """Note the values of a path parameter that may only be one of a few constants."""
    texts = re.findall(r"'([^']*)'", ast.unparse(item.annotation)) if "Literal" in ast.unparse(item.annotation) else []
    wanted = camel(item.target.id).lower() if isinstance(item.target, ast.Name) else ""
    for key, schema in names.items():
        if texts and key.lower() == wanted:
            schema["enum"] = texts


def _literal_of(node: ast.ClassDef, name: str) -> dict[str, Any]:
    for item in node.body:
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name) and item.targets[0].id == name:
            value = ast.literal_eval(item.value)
            return value if isinstance(value, dict) else {}
    return {}


def _init_annotations(node: ast.ClassDef) -> dict[str, str]:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return {a.arg: ast.unparse(a.annotation) for a in item.args.kwonlyargs if a.annotation is not None}
    return {}
