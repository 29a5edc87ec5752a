"""The packages of a stack's apps: found by an offline run, built on demand, explained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.packaging.builder import PackagePlan, build, plan
from components.packaging.declaration import load
from components.packaging.explain import explain
from components.packaging.target import Target
from localcloud.offline.previewing import preview_stack
from localcloud.session.local import LocalCloudError

PACKAGE_TYPE = "pulumi-python:dynamic/millrace:Package"


def package_plans(root: Path, stack: str) -> list[PackagePlan]:
    """The plan of every package that a stack declares, by app."""
    found = preview_stack(root, stack)
    if found.result.failures:
        raise LocalCloudError("the program declares something wrong:\n  " + "\n  ".join(found.result.failures))
    plans = []
    for record in found.result.records:
        if record.type == PACKAGE_TYPE:
            target = Target(record.inputs["python"], record.inputs["platform"])
            plans.append(plan(load(record.inputs["declaration"]), root=root, target=target))
    return sorted(plans, key=lambda one: one.app)


def build_packages(root: Path, stack: str, apps: list[str], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Build the packages of these apps (all by default); answers what `./millrace package --json` shows."""
    plans = package_plans(root, stack)
    unknown = sorted(set(apps) - {one.app for one in plans})
    if unknown:
        known = ", ".join(one.app for one in plans) or "none"
        raise LocalCloudError(f"package: apps must be among {known}, got {', '.join(unknown)}")
    chosen = [one for one in plans if not apps or one.app in apps]
    return [explain(one, build(one, root / ".millrace" / "packages", progress=tell)) for one in chosen]
