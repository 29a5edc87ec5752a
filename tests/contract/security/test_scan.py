"""Every finding of the last scan is explained, every explanation has its finding, the scan saw all of production."""

import json
import re
from typing import Any

import pytest

from localcloud.engine.state import Record
from tests.contract.previews import ROOT, STACKS, preview
from tests.contract.security.forms import arm_template, terraform_plan
from tests.contract.security.scan import FINDINGS, STACK

CHECK = re.compile(r"CKV2?_(?:AZURE|AWS)_\d+")


def explained() -> set[str]:
    """The checks that the table of docs/security.md names."""
    page = (ROOT / "docs" / "security.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| CKV")]
    return {check for row in rows for check in CHECK.findall(row.split("|")[1])}


def found() -> dict[str, Any]:
    return json.loads(FINDINGS.read_text())  # type: ignore[no-any-return]


def test_findings_and_explanations_are_the_same() -> None:
    assert explained() == set(found()["findings"]), "run python -m tests.contract.security.scan, explain what is new"


def test_the_scan_saw_what_is_declared_now() -> None:
    records = preview(STACK).result.records
    counts = {
        # Settings of two resources may have one name: Checkov counts them once.
        "arm": len({(one["type"], one["name"]) for one in arm_template(records)["resources"]}),
        "terraform_plan": len(terraform_plan(records)["planned_values"]["root_module"]["resources"]),
    }
    assert counts == found()["resources"], "production declares something else now: scan again"


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_of_every_stack_has_a_form(stack: str) -> None:
    records = preview(stack).result.records
    clouds = [one for one in records if one.type.startswith(("azure-native:", "aws:"))]
    template, plan = arm_template(records), terraform_plan(records)
    assert len(template["resources"]) + len(plan["resource_changes"]) == len(clouds)
    others = {one.type for one in records if one.custom} - {one.type for one in clouds}
    assert all(kind.startswith("pulumi-python:dynamic") for kind in others), others
    addresses = [one["address"] for one in plan["resource_changes"]]
    assert len(set(addresses)) == len(addresses)
    for one in template["resources"]:
        assert one["name"].count("/") == one["type"].count("/") - 1, one["type"]


def test_a_new_kind_of_resource_cannot_slip_past() -> None:
    new = Record(urn="u", type="azure-native:sql:Server", name="s", custom=True, order=1)
    with pytest.raises(LookupError, match="azure-native:sql:Server"):
        arm_template([new])
