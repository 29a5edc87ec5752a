"""Every stack file of the project, previewed once for all tests of one process."""

from functools import cache
from pathlib import Path
from typing import Any

from localcloud.engine.state import Record
from localcloud.offline.previewing import Preview, preview_stack

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(file.name.split(".")[1] for file in ROOT.glob("Pulumi.*.yaml"))
GOLDEN = Path(__file__).with_name("golden")


@cache
def preview(stack: str) -> Preview:
    return preview_stack(ROOT, stack)


def components(stack: str) -> list[Record]:
    return [one for one in preview(stack).result.records if one.type.startswith("millrace:")]


def workers(stack: str) -> list[Record]:
    """The apps; each worker has one."""
    return [one for one in preview(stack).result.records if one.type == "azure-native:web:WebApp"]


def settings(app: Record) -> dict[str, Any]:
    return {item["name"]: item["value"] for item in app.inputs["siteConfig"]["appSettings"]}
