"""Reads the input classes of an installed Pulumi SDK into property schemas.

The SDK's files are parsed, never imported: importing one module of pulumi-azure-native takes half a second, and a
class's own text holds all that is needed (names on the wire, types, what is required, discriminators, what forces
a new resource). Only the files of the types asked for are opened, with the module's ``_inputs.py`` and ``_enums.py``.

A property's schema is a dict with these keys, all but ``type`` optional:
``type`` string | integer | number | boolean | array | map | object | any; ``ref`` the name of a nested type;
``items`` the schema of an array's or a map's values; ``one_of`` names of nested types told apart by ``by``;
``any_of`` alternative schemas; ``enum``, ``const``; ``required``; ``replace`` (documented to force a new resource).
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

BUILTINS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
EXPECTED = re.compile(r"Expected value is '([^']+)'")
# pulumi-aws says so in three ways ("Forces new resource", "Forces replacement", "…forces re-creation…").
FORCES_NEW = re.compile(r"forces? (?:a )?(?:new resource|replacement|re-?creation|creation of a new)", re.IGNORECASE)
API_VERSION = re.compile(r"Uses Azure REST API version ([0-9a-z-]+)")


def snake(name: str) -> str:
    """The file name Pulumi gives to a class: ``BlobServiceProperties`` -> ``blob_service_properties``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def camel(name: str) -> str:
    """``network_rule_set`` -> ``networkRuleSet``."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


@lru_cache(maxsize=64)
def classes_in(path: Path) -> dict[str, ast.ClassDef]:
    """Every top-level class of a Python file by name; an absent file has none."""
    if not path.is_file():
        return {}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def enum_values(node: ast.ClassDef) -> list[Any]:
    """The values of an enum class, as written."""
    values = [
        item.value.value for item in node.body if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
    ]
    return sorted(set(values), key=str)


def getters(node: ast.ClassDef) -> dict[str, tuple[str, ast.expr, str]]:
    """Python name -> (name on the wire, annotation, docstring) of a class's ``@pulumi.getter`` properties."""
    found: dict[str, tuple[str, ast.expr, str]] = {}
    for item in node.body:
        if not isinstance(item, ast.FunctionDef) or item.returns is None:
            continue
        for decorator in item.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            target = call.func if call else decorator
            if isinstance(target, ast.Attribute) and target.attr == "getter":
                wire = item.name
                for keyword in call.keywords if call else []:
                    if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                        wire = str(keyword.value.value)
                found[item.name] = (wire, item.returns, ast.get_docstring(item) or "")
    return found


def required_arguments(node: ast.ClassDef) -> set[str]:
    """Python names of the keyword arguments of ``__init__`` that have no default."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            pairs = zip(item.args.kwonlyargs, item.args.kw_defaults, strict=True)
            return {argument.arg for argument, default in pairs if default is None}
    return set()


class Sdk:
    """One installed Pulumi SDK (``root`` is its package folder); ``types`` collects the nested types met."""

    def __init__(self, root: Path, module: str, *, prefix: str = "", types: dict[str, dict[str, Schema]] | None = None):
        self.root = root
        self.module = module
        self.prefix = prefix
        self.inputs = classes_in(root / module / "_inputs.py")
        self.enums = classes_in(root / module / "_enums.py")
        self.types: dict[str, dict[str, Schema]] = {} if types is None else types

    def resource(self, token: str, file: str) -> tuple[dict[str, Schema], list[str], str]:
        """(input schemas by wire name, names of outputs that are no inputs, API version or "") of a resource type."""
        path = self.root / self.module / file
        name = token.rpartition(":")[2]
        found = classes_in(path)
        # `ActionGroupInitArgs`: Pulumi's way out when a nested type already owns the name `ActionGroupArgs`.
        arguments = found.get(f"{name}InitArgs") or found.get(f"{name}Args")
        if arguments is None or f'type_token("{token}")' not in path.read_text(encoding="utf-8"):
            raise LookupError(f"{path}: must define {name}Args and the type {token}; correct the list of types")
        inputs = self.properties(arguments)
        outputs = sorted({wire for wire, _, _ in getters(found[name]).values()} - set(inputs))
        version = API_VERSION.search(path.read_text(encoding="utf-8"))
        return inputs, outputs, version.group(1) if version else ""

    def properties(self, node: ast.ClassDef) -> dict[str, Schema]:
        """Wire name -> schema of an ``…Args`` class."""
        required = required_arguments(node)
        result: dict[str, Schema] = {}
        for name, (wire, annotation, doc) in getters(node).items():
            schema = self.schema(annotation)
            if name in required:
                schema["required"] = True
            expected = EXPECTED.search(doc)
            if expected:
                schema["const"] = expected.group(1)
            if FORCES_NEW.search(doc):
                schema["replace"] = True
            result[wire] = schema
        return result

    def schema(self, annotation: ast.expr) -> Schema:
        """The schema of a type annotation; an unknown form is an error, never a guess."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return self.named(annotation.value)
        if isinstance(annotation, ast.Attribute):
            return {"type": BUILTINS[annotation.attr]} if annotation.attr in BUILTINS else {"type": "any"}
        if isinstance(annotation, ast.Name):
            return {"type": "any"}
        if isinstance(annotation, ast.Subscript):
            return self._generic(annotation)
        raise LookupError(f"annotation {ast.unparse(annotation)!r}: this form is not read yet; extend Sdk.schema")

    def _generic(self, annotation: ast.Subscript) -> Schema:
        outer = ast.unparse(annotation.value).rpartition(".")[2]
        inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        if outer in {"Input", "Optional"}:
            return self.schema(inner[0])
        if outer == "Sequence":
            return {"type": "array", "items": self.schema(inner[0])}
        if outer == "Mapping":
            return {"type": "map", "items": self.schema(inner[1])}
        if outer == "Union":
            return self._union([self.schema(part) for part in inner])
        raise LookupError(f"annotation {ast.unparse(annotation)!r}: this form is not read yet; extend Sdk._generic")

    def _union(self, parts: list[Schema]) -> Schema:
        enums = [part for part in parts if "enum" in part]
        if enums and all(set(part) <= {"type", "enum"} for part in parts):
            return enums[0]  # Union[str, 'Enum']: the values the provider knows by name
        refs = [part["ref"] for part in parts if "ref" in part]
        if len(refs) == len(parts):
            by = self._discriminator(refs)
            return {"type": "object", "one_of": sorted(refs), "by": by} if by else {"any_of": parts}
        return {"any_of": parts}

    def _discriminator(self, names: list[str]) -> str:
        shared = set.intersection(*({k for k, v in self.types[name].items() if "const" in v} for name in names))
        return min(shared) if shared else ""

    def named(self, name: str) -> Schema:
        """The schema that a quoted class name stands for: an enum's values, or a reference to a nested type."""
        if "." in name:  # '_iam.PolicyStatementArgs', 'iam.PolicyDocumentVersion': another module of the same SDK
            module, _, rest = name.removeprefix("_").partition(".")
            return Sdk(self.root, module, prefix=f"{module}.", types=self.types).named(rest)
        if name in self.enums:
            values = enum_values(self.enums[name])
            kind = "string" if all(isinstance(value, str) for value in values) else "number"
            return {"type": kind, "enum": values}
        if name not in self.inputs:
            raise LookupError(f"{self.module}: no input class or enum {name!r}; the SDK's layout has changed")
        short = self.prefix + name.removesuffix("Args")
        if short not in self.types:
            self.types[short] = {}  # set first: a type may hold itself
            self.types[short] = self.properties(self.inputs[name])
        return {"type": "object", "ref": short}
