"""Writes constraint data: applies the reviewed corrections, formats files for a readable diff, compares on demand."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parent / "constraints"
LINE = 116


def write(files: dict[str, dict[str, Any]], *, check: bool) -> list[str]:
    """Write ``files`` (path below ``constraints/`` -> content), or with ``check`` only compare them.

    Returns the diff lines of every file whose committed text differs; empty means nothing changed. A correction that
    finds nothing to correct is an error: it outlived its reason.
    """
    changed: list[str] = []
    for name, content in sorted(files.items()):
        correct(name, content)
        path = CONSTRAINTS / name
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        after = render(content) + "\n"
        if before != after:
            changed += difflib.unified_diff(before.splitlines(), after.splitlines(), f"committed/{name}", f"now/{name}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(after, encoding="utf-8")
    return changed


def correct(name: str, content: dict[str, Any]) -> None:
    """Apply the entries of ``corrections.json`` that belong to the file ``name``; each carries its reason.

    An entry: ``file``, ``at`` (the keys down to a dict), ``set`` (merged in), ``drop`` (keys removed), ``reason``.
    """
    entries = json.loads((CONSTRAINTS / "corrections.json").read_text(encoding="utf-8"))
    for entry in entries:
        if entry["file"] != name:
            continue
        place = content
        for key in entry["at"]:
            if key not in place:
                raise LookupError(f"corrections.json: {entry['at']} must exist in {name}, {key!r} does not; remove it")
            place = place[key]
        for key in entry.get("drop", []):
            if key not in place:
                raise LookupError(f"corrections.json: {entry['at']} of {name} has no {key!r} to drop; remove the entry")
            del place[key]
        place.update(entry.get("set", {}))


def render(value: Any, depth: int = 0) -> str:
    """JSON with sorted keys and indent 1, but a branch that fits on one line stays on one: one property, one line."""
    flat = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if len(flat) + depth <= LINE or not isinstance(value, (dict, list)):
        return flat
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        rows = [f"{pad}{json.dumps(k, ensure_ascii=False)}: {render(value[k], depth + 1)}" for k in sorted(value)]
        return "{\n" + ",\n".join(rows) + "\n" + " " * depth + "}"
    return "[\n" + ",\n".join(pad + render(item, depth + 1) for item in value) + "\n" + " " * depth + "]"
