"""What the control plane knows without an emulator: ids, names, differences, and what a preview may tell."""

from typing import Any

import pytest

from localcloud.control import rules
from localcloud.control.kinds import Place
from localcloud.control.table import KINDS
from localcloud.engine.provider import Refused
from tests.components.program import ACCOUNT, ENDPOINTS, SUBSCRIPTION, TENANCY

HERE = Place(TENANCY, ENDPOINTS)
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g"
IDS: list[tuple[str, dict[str, Any], str]] = [
    ("azure-native:resources:ResourceGroup", {"resourceGroupName": "g"}, GROUP),
    (
        "azure-native:storage:StorageAccount",
        {"resourceGroupName": "g", "accountName": "acc"},
        f"{GROUP}/providers/Microsoft.Storage/storageAccounts/acc",
    ),
    (
        "azure-native:storage:Queue",
        {"resourceGroupName": "g", "accountName": "acc", "queueName": "q"},
        f"{GROUP}/providers/Microsoft.Storage/storageAccounts/acc/queueServices/default/queues/q",
    ),
    (
        "azure-native:operationalinsights:Table",
        {"resourceGroupName": "g", "workspaceName": "w", "tableName": "T_CL"},
        f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/w/tables/T_CL",
    ),
    (
        "azure-native:authorization:RoleAssignment",
        {"scope": f"{GROUP}/providers/X/y/z", "roleAssignmentName": "guid"},
        f"{GROUP}/providers/X/y/z/providers/Microsoft.Authorization/roleAssignments/guid",
    ),
    ("aws:s3/bucket:Bucket", {"bucket": "b"}, "b"),
    ("aws:sqs/queue:Queue", {"name": "q"}, f"https://sqs.test/{ACCOUNT}/q"),
    ("aws:iam/role:Role", {"name": "r", "assumeRolePolicy": "{}"}, "r"),
    ("aws:iam/rolePolicy:RolePolicy", {"role": "r", "name": "least"}, "r:least"),
    (
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {"url": "https://sts.windows.net/t/"},
        f"arn:aws:iam::{ACCOUNT}:oidc-provider/sts.windows.net/t/",
    ),
]


@pytest.mark.parametrize(("type_", "inputs", "id_"), IDS)
def test_an_id_is_the_clouds_own(type_: str, inputs: dict[str, Any], id_: str) -> None:
    assert rules.made(HERE, type_, "name", inputs, preview=False).id == id_


@pytest.mark.parametrize(("type_", "inputs", "id_"), IDS)
def test_a_preview_never_knows_an_id(type_: str, inputs: dict[str, Any], id_: str) -> None:
    assert rules.made(HERE, type_, "name", inputs, preview=True).id == ""


def test_a_type_that_no_constraint_describes_has_no_id() -> None:
    with pytest.raises(Refused, match="azure-native:x:Y: the constraints give no id for it"):
        rules.made(HERE, "azure-native:x:Y", "name", {}, preview=False)


def test_ids_that_a_cloud_makes_up_are_made_from_names_and_stay() -> None:
    type_ = "azure-native:managedidentity:UserAssignedIdentity"

    def made(name: str) -> Any:
        return rules.made(HERE, type_, "i", {"resourceGroupName": "g", "resourceName": name}, preview=False).outputs

    assert made("one") == made("one")
    ids = {made(name)[key] for name in ("one", "other") for key in ("principalId", "clientId")}
    assert len(ids) == 4


ASSIGNMENT = {
    "scope": GROUP,
    "principalId": "11111111-2222-4333-8444-555555555555",
    "principalType": "ServicePrincipal",
    "roleDefinitionId": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/"
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
}
ASSIGNMENTS = "azure-native:authorization:RoleAssignment"


def test_a_name_left_to_the_engine_is_kept_and_equal_in_two_previews() -> None:
    first = rules.check(ASSIGNMENTS, "grant", None, ASSIGNMENT)
    again = rules.check(ASSIGNMENTS, "grant", None, dict(ASSIGNMENT))
    assert first.failures == []
    assert first.inputs == again.inputs
    later = rules.check(ASSIGNMENTS, "grant", first.inputs, {**ASSIGNMENT, "description": "said later"})
    assert later.inputs["roleAssignmentName"] == first.inputs["roleAssignmentName"]
    other = rules.check(ASSIGNMENTS, "another", None, ASSIGNMENT)
    assert other.inputs["roleAssignmentName"] != first.inputs["roleAssignmentName"]


@pytest.mark.parametrize(
    ("type_", "old", "new", "changed", "replaced"),
    [
        ("azure-native:storage:StorageAccount", {"accountName": "a"}, {"accountName": "b"}, True, True),
        ("azure-native:storage:StorageAccount", {"tags": {"a": "1"}}, {"tags": {"a": "2"}}, True, False),
        ("azure-native:storage:StorageAccount", {"tags": {"a": "1"}}, {"tags": {"a": "1"}}, False, False),
        (ASSIGNMENTS, {"principalId": "a"}, {"principalId": "b"}, True, True),
        ("aws:s3/bucket:Bucket", {"bucket": "a"}, {"bucket": "b"}, True, True),
        ("aws:sqs/queue:Queue", {"visibilityTimeoutSeconds": 1}, {"visibilityTimeoutSeconds": 2}, True, False),
    ],
)
def test_a_difference_says_whether_the_cloud_would_replace(
    type_: str, old: dict[str, Any], new: dict[str, Any], changed: bool, replaced: bool
) -> None:
    difference = rules.diff(type_, old, new)
    assert (bool(difference.changed), bool(difference.replaces)) == (changed, replaced)


def test_every_kind_is_a_type_that_the_check_knows() -> None:
    unknown = rules.check("azure-native:no:Such", "name", None, {}).failures
    assert [one.reason[:31] for one in unknown] == ["must be a type described in loc"]
    for type_ in KINDS:
        failures = rules.check(type_, "name", None, {}).failures
        assert not [one for one in failures if one.reason.startswith("must be a type described in")], type_
