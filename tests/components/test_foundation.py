"""The foundation: what it declares, and that each part is closed by default."""

from typing import Any

import pytest

from components.foundation.foundation import Foundation
from components.foundation.resource_group import ResourceGroup
from components.link import Link
from localcloud.engine.embedded import ProgramError
from tests.components.program import TENANT, Base, Declared, declare, environment


def foundation(**changes: Any) -> Declared:
    shared_keys = changes.pop("shared_keys", False)
    return declare(lambda: Foundation(environment(**changes), shared_keys=shared_keys))


def test_it_declares_one_group_with_logs_telemetry_and_an_audited_vault() -> None:
    found = foundation()
    assert found.types() == [
        "applicationinsights:Component",
        "keyvault:Vault",
        "monitor:DiagnosticSetting",
        "operationalinsights:Workspace",
        "resources:ResourceGroup",
    ]
    groups = {one.inputs.get("resourceGroupName") for one in found.custom if "monitor" not in one.type}
    assert groups == {"core-test"}
    assert {one.inputs["location"] for one in found.custom if "location" in one.inputs} == {"westeurope"}
    setting = found.one("DiagnosticSetting").inputs
    assert setting["resourceUri"] == found.one("Vault").id
    assert setting["workspaceId"] == found.one("Workspace").id
    assert setting["logs"] == [{"categoryGroup": "audit", "enabled": True}]


def test_everything_that_takes_tags_says_who_declared_it() -> None:
    found = foundation(tags={"cost-center": "platform"})
    tagged = [one for one in found.custom if "monitor" not in one.type]
    for one in tagged:
        assert one.inputs["tags"] == {"managed-by": "millrace", "stack": "test", "cost-center": "platform"}, one.type


def test_the_vault_takes_roles_only_and_keeps_what_is_deleted() -> None:
    properties = foundation().one("Vault").inputs["properties"]
    assert properties["enableRbacAuthorization"] is True
    assert properties["enableSoftDelete"] is True
    assert properties["tenantId"] == TENANT
    assert "enablePurgeProtection" not in properties
    assert "accessPolicies" not in properties


def test_where_data_is_kept_the_vault_cannot_be_purged_and_nothing_is_removed_by_accident() -> None:
    found = foundation(keeps_data=True, retention_days=90)
    properties = found.one("Vault").inputs["properties"]
    assert properties["enablePurgeProtection"] is True
    assert properties["softDeleteRetentionInDays"] == 90
    assert {one.type.split(":")[-1] for one in found.custom if one.protect} == {"Vault", "Workspace", "ResourceGroup"}
    assert found.one("Workspace").inputs["retentionInDays"] == 90


def test_no_resource_is_protected_or_locked_where_data_is_not_kept() -> None:
    found = foundation()
    assert [one.name for one in found.custom if one.protect] == []
    assert found.all("ManagementLockByScope") == []


def test_where_data_is_kept_azure_itself_refuses_to_delete_it() -> None:
    found = foundation(keeps_data=True)
    locks = {one.inputs["scope"]: one.inputs["level"] for one in found.all("ManagementLockByScope")}
    assert locks == {found.one(kind).id: "CanNotDelete" for kind in ("Vault", "Workspace")}
    # Not the group: its lock would hold every app, role and plan in it as well, and theirs hold the group already.
    assert found.one("ResourceGroup").id not in locks
    assert foundation(keeps_data=True, locks=False).all("ManagementLockByScope") == []


def test_logs_and_telemetry_take_identities_only() -> None:
    found = foundation()
    assert found.one("Workspace").inputs["features"]["disableLocalAuth"] is True
    assert found.one("Component").inputs["disableLocalAuth"] is True
    assert found.one("Component").inputs["workspaceResourceId"] == found.one("Workspace").id


def test_the_workspace_keeps_its_keys_only_for_the_legacy_collector() -> None:
    assert foundation(shared_keys=True).one("Workspace").inputs["features"]["disableLocalAuth"] is False


@pytest.mark.parametrize(("days", "kept"), [(1, 30), (30, 30), (400, 400)])
def test_logs_are_kept_as_long_as_the_plan_allows(days: int, kept: int) -> None:
    assert foundation(retention_days=days).one("Workspace").inputs["retentionInDays"] == kept


def test_a_secret_reaches_an_app_as_a_reference_and_its_role_covers_that_secret_alone() -> None:
    links: list[Link] = []
    found = declare(lambda: links.append(Foundation(environment()).vault.secret("outside-key", setting="OUTSIDE_KEY")))
    assert set(links[0].settings) == {"OUTSIDE_KEY"}
    (grant,) = links[0].grants
    assert (grant.verb, grant.role.name) == ("secret.read", "Key Vault Secrets User")
    assert found.one("Vault").inputs["vaultName"].startswith("vault-test-")


def test_a_stack_name_that_leaves_no_room_is_refused_with_the_change_to_make() -> None:
    with pytest.raises(ProgramError, match=r"choose a shorter stack name"):
        foundation(stack="a-stack-name-far-too-long")


def test_a_system_lives_in_one_region() -> None:
    def main() -> None:
        base = Base()
        ResourceGroup("elsewhere", environment(location="northeurope"), opts=base.system.child)

    with pytest.raises(ProgramError, match="everything of a system must be in one region, westeurope, got northeurope"):
        declare(main)
