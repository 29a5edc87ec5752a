"""The files that describe settings, as they must read."""

from pathlib import Path

from localcloud.offline.settings_schema import in_page, in_project, json_schema
from tests.contract.previews import ROOT


def written() -> dict[Path, str]:
    project, page, schema = ROOT / "Pulumi.yaml", ROOT / "docs" / "deploy.md", ROOT / "docs" / "settings.schema.json"
    return {project: in_project(project.read_text()), page: in_page(page.read_text()), schema: json_schema()}
