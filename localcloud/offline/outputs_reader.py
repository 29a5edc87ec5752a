"""The reader that other teams depend on, kept in step with stacks/outputs.py.

`python -m localcloud.offline.outputs_reader` asks whether the reader, as other teams have it, still reads what the
program exports: a key that was removed, renamed or retyped fails, one that was added passes. `--write` writes its
Structs anew; it refuses a breaking change until the first number of the reader's version has been raised.
"""

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from stacks.outputs import StackOutputs

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "stacks" / "outputs.py"
READER = ROOT / "stacks" / "outputs-reader"
SHAPES = READER / "millrace_outputs" / "shapes.py"
_HEADER = '''"""What a Millrace stack exports (stacks/outputs.py).

Written by: python -m localcloud.offline.outputs_reader --write
"""

import msgspec

CONTRACT = {version}
"""Raised with every breaking change."""'''

Schema = dict[str, Any]


def version(project: Path = READER / "pyproject.toml") -> int:
    """The contract's version: the first number of the reader's own."""
    return int(str(tomllib.loads(project.read_text())["project"]["version"]).split(".")[0])


def known_to_reader(shapes: Path = SHAPES) -> tuple[Schema, int]:
    """What the reader, as it is committed, takes; and the contract's version it was written for."""
    spec = importlib.util.spec_from_file_location("millrace_outputs_as_committed", shapes)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(
            f"{shapes}: must be a Python file; run: python -m localcloud.offline.outputs_reader --write"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # msgspec looks annotations up there
    spec.loader.exec_module(module)
    return msgspec.json.schema(module.StackOutputs), module.CONTRACT


def shapes_text(version: int) -> str:
    """The reader's module: the Structs of stacks/outputs.py, and nothing of what exports them.

    Word for word, but for one thing: Pulumi leaves a null out, so whoever reads must take its absence for null.
    """
    text = SOURCE.read_text()
    structs = [
        re.sub(r"^( +\w+: .+ \| None)$", r"\1 = None", ast.get_source_segment(text, node) or "", flags=re.MULTILINE)
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and any("Struct" in ast.unparse(base) for base in node.bases)
    ]
    return "\n\n\n".join([_HEADER.format(version=version), *structs]).rstrip() + "\n"


def keys(document: Schema) -> dict[str, str]:
    """Every output by its dotted name → its type; `?` behind it: may be null or absent."""
    found: dict[str, str] = {}

    def walk(above: str, node: Schema, *, optional: bool) -> None:
        node, nullable = _plain(document, node)
        if above:
            found[above] = _type(node) + ("?" if optional or nullable else "")
        for name, below in node.get("properties", {}).items():
            walk(f"{above}.{name}" if above else name, below, optional=name not in node.get("required", ()))

    walk("", document, optional=False)
    return found


def breaking(old: Schema, new: Schema) -> list[str]:
    """What a program that reads the old outputs would trip over in the new ones, in words."""
    before, after = keys(old), keys(new)
    found = []
    for name, type_ in before.items():
        if name not in after:
            found.append(f"{name} ({type_}) is removed")
        elif after[name] not in (type_, type_.removesuffix("?")):
            found.append(f"{name} is {after[name]}, was {type_}")
    return found


def added(old: Schema, new: Schema) -> list[str]:
    """Names that only the new outputs have."""
    return sorted(keys(new).keys() - keys(old).keys())


def complaint(broken: list[str]) -> str:
    """What to do about a breaking change."""
    found = "\n  ".join(broken)
    return (
        f"other teams' programs read these outputs, and they would break:\n  {found}\n"
        "Keep the old key and add the new one beside it under another name. Only when nobody reads the old one any "
        "more, version it: raise the first number of the version in stacks/outputs-reader/pyproject.toml, say so in "
        "CHANGELOG.md, and run: python -m localcloud.offline.outputs_reader --write"
    )


def _plain(document: Schema, node: Schema) -> tuple[Schema, bool]:
    """A node without references and without the null beside it; and whether there was one."""
    if "$ref" in node:
        return _plain(document, document["$defs"][node["$ref"].rpartition("/")[2]])
    choices = [choice for choice in node.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return _plain(document, choices[0])[0], len(node["anyOf"]) > 1
    return node, False


def _type(node: Schema) -> str:
    if node.get("type") == "object" and "properties" in node:
        return "object"
    meaningful = {key: value for key, value in node.items() if key not in ("title", "description", "default")}
    return (
        str(node["type"]) if meaningful.keys() == {"type"} else msgspec.json.encode(meaningful, order="sorted").decode()
    )


def main() -> int:
    """Compare, or write; 1 with what to do when the contract is broken."""
    new = msgspec.json.schema(StackOutputs)
    old, written_for = known_to_reader() if SHAPES.exists() else (new, version())
    broken = breaking(old, new) if version() <= written_for else []
    if broken:
        sys.stdout.write(complaint(broken) + "\n")
        return 1
    wanted = shapes_text(version())
    if "--write" in sys.argv:
        SHAPES.write_text(wanted)
    elif SHAPES.read_text() != wanted:
        news = ", ".join(added(old, new)) or "words or version"
        sys.stdout.write(f"not in the reader yet: {news}; run: python -m localcloud.offline.outputs_reader --write\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
