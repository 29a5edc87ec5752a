"""What the stacks of one tree declare, as one JSON document: run by path, in a process of its own for each tree.

The tree under review may be older than this file, so it must not import anything that came with it: only the preview
itself (`localcloud.offline.previewing`) and the packages' rules, both the tree's own. Request on stdin:
`{"root", "stacks": [NAME, …], "secret": HEX, "out": FILE}`; `stacks` null means every settings file of the tree.
"""

import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

MASK = "[secret]"
PACKAGE_TYPE = "pulumi-python:dynamic/millrace:Package"


def snapshot(root: Path, stacks: list[str] | None, secret: bytes) -> dict[str, Any]:
    """Each stack's name → what it declares; a stack without settings file in this tree is absent."""
    known = sorted(file.name.split(".")[1] for file in root.glob("Pulumi.*.yaml"))
    return {stack: _stack(root, stack, secret) for stack in known if stacks is None or stack in stacks}


def _stack(root: Path, stack: str, secret: bytes) -> dict[str, Any]:
    from localcloud.offline.previewing import preview_stack, roles
    from localcloud.session.messages import EXPECTED

    try:
        found = preview_stack(root, stack)
        if found.result.failures:
            return {"refused": _without_secrets(found.result.failures, found.result.shown)}
        packages = [_package(root, record) for record in found.result.records if record.type == PACKAGE_TYPE]
    except EXPECTED as error:
        return {"refused": [str(error)]}
    shown = {resource["urn"]: resource["inputs"] for resource in found.document["resources"]}
    return {
        "refused": [],
        "parts": [_part(record, shown[record.urn], secret) for record in found.result.records],
        "packages": packages,
        "roles": roles(found),
        "settings": _settings(root / f"Pulumi.{stack}.yaml"),
        "outputs": sorted(_names(found.result.outputs)),
    }


def _without_secrets(failures: list[str], shown: dict[str, dict[str, Any]]) -> list[str]:
    """Refusals quote the value they refuse; those of resources that were given secrets must not."""
    secretive = set()
    for urn, inputs in shown.items():
        if MASK in json.dumps(inputs):
            chain, name = urn.split("::", 3)[2:]
            secretive.add(f"{chain.rsplit('$', 1)[-1]} {name}: ")
    told = []
    for failure in failures:
        who = next((prefix for prefix in secretive if failure.startswith(prefix)), None)
        where = failure[len(who) :].partition(": ")[0] if who else ""
        why = "refused; the reason may quote a secret, so it is shown by ./millrace preview only"
        told.append(f"{who}{where}: {why}" if who else failure)
    return told


def _part(record: Any, shown: dict[str, Any], secret: bytes) -> dict[str, Any]:
    return {
        "urn": record.urn,
        "type": record.type,
        "name": record.name,
        "parent": record.parent,
        "custom": record.custom,
        "protect": record.protect,
        "retain": record.retain_on_delete,
        "dependencies": record.dependencies,
        "inputs": _marked(shown, record.inputs, secret),
        "replace_on_changes": getattr(record, "replace_on_changes", []),  # an older tree's record has none
    }


def _package(root: Path, record: Any) -> dict[str, Any]:
    from components.packaging.builder import plan
    from components.packaging.declaration import load
    from components.packaging.target import Target

    target = Target(record.inputs["python"], record.inputs["platform"])
    one = plan(load(record.inputs["declaration"]), root=root, target=target)
    return {
        "app": one.app,
        "digest": one.digest,
        "target": f"Python {target.python}, {target.platform}",
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(one.contents.items())},
        "distributions": [str(distribution) for distribution in one.distributions],
    }


def _marked(shown: Any, raw: Any, secret: bytes) -> Any:
    """Masked values, each mask with a keyed digest: a secret that changes is seen to change, and nothing more.

    The key is random and lives as long as the review, so that no digest can be tried against guesses later.
    """
    if shown == MASK:
        digest = hmac.new(secret, json.dumps(raw, sort_keys=True).encode(), hashlib.sha256).hexdigest()
        return f"[secret {digest[:16]}]"
    if isinstance(shown, dict):
        below = raw if isinstance(raw, dict) else {}
        return {key: _marked(value, below.get(key), secret) for key, value in shown.items()}
    if isinstance(shown, list):
        items = raw if isinstance(raw, list) and len(raw) == len(shown) else [None] * len(shown)
        return [_marked(value, item, secret) for value, item in zip(shown, items, strict=True)]
    return shown


def _settings(file: Path) -> dict[str, str]:
    """Dotted key → text. An encrypted value stays out of sight; its ciphertext's digest tells whether it changed."""
    import yaml

    flat: dict[str, str] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict) and set(value) == {"secure"}:
            flat[path] = f"[secret {hashlib.sha256(str(value['secure']).encode()).hexdigest()[:16]}]"
        elif isinstance(value, dict):
            for key, below in value.items():
                walk(f"{path}.{key}" if path else str(key), below)
        else:
            flat[path] = value if isinstance(value, str) else json.dumps(value)

    walk("", (yaml.safe_load(file.read_text()) or {}).get("config") or {})
    return flat


def _names(outputs: dict[str, Any], above: str = "") -> list[str]:
    names: list[str] = []
    for key, value in outputs.items():
        names += _names(value, f"{above}{key}.") if isinstance(value, dict) else [f"{above}{key}"]
    return names


def main() -> None:
    """Answer the request on stdin with a file; what the programs print goes to stderr."""
    request = json.load(sys.stdin)
    sys.stdout = sys.stderr
    root = Path(request["root"])
    sys.path.insert(0, str(root))
    document = snapshot(root, request["stacks"], bytes.fromhex(request["secret"]))
    Path(request["out"]).write_text(json.dumps(document))


if __name__ == "__main__":
    main()
