"""What `./millrace package` shows of a plan and its zip; plain values only."""

from __future__ import annotations

from typing import Any

from components.packaging.builder import BuiltPackage, PackagePlan

_GENERATED = {
    "function_app.py": "the root of every package",
    "host.json": "derived from the app's triggers and limits",
    "manifest.json": "derived from the app's functions",
}


def explain(plan: PackagePlan, built: BuiltPackage) -> dict[str, Any]:
    """One element of `packages` of `./millrace package --json`."""
    why = {file.path: " → ".join(file.why) for file in plan.files} | _GENERATED
    return {
        "app": plan.app,
        "path": str(built.path),
        "sha256": built.sha256,
        "contents_sha256": built.contents_sha256,
        "digest": plan.digest,
        "bytes": built.bytes,
        "target": {"python": plan.target.python, "platform": plan.target.platform},
        "files": [
            {"path": path, "bytes": len(content), "why": why[path]} for path, content in sorted(plan.contents.items())
        ],
        "distributions": [{"name": one.name, "version": one.version, "why": one.why} for one in plan.distributions],
        "built": built.built,
        "seconds": built.seconds,
    }
