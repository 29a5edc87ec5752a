"""The strict check: what the clouds accept passes, what they refuse is refused at the right place."""

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.control import extract_aws, extract_azure
from localcloud.control.check import UNKNOWN, arm_id, check, describe, diff_kind
from localcloud.control.extract_output import CONSTRAINTS
from tests.unit.control.accepted import ACCEPTED, GROUP, PRINCIPAL, SUBSCRIPTION
from tests.unit.control.refused import REMOVE, RULES, SHAPES, A, M, S, W


def changed(token: str, path: list[str | int], value: Any) -> dict[str, Any]:
    inputs = copy.deepcopy(ACCEPTED[token])
    place: Any = inputs
    for key in path[:-1]:
        place = place[key]
    if value is REMOVE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return inputs


@pytest.mark.parametrize("token", sorted(ACCEPTED))
def test_accepted_inputs_pass(token: str) -> None:
    assert check(token, ACCEPTED[token]).failures == []


def test_every_extracted_type_has_an_accepted_example() -> None:
    assert set(ACCEPTED) == {arm.token for arm in extract_azure.TYPES} | set(extract_aws.TYPES)


@pytest.mark.parametrize("token", sorted(ACCEPTED))
def test_unknown_values_pass_at_the_top(token: str) -> None:
    inputs = dict.fromkeys(ACCEPTED[token], UNKNOWN)
    assert check(token, inputs).failures == []


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    below = [leaf for key, item in children for leaf in _leaves(item, (*path, key))]
    return [path, *below] if path else below


@pytest.mark.parametrize("token", sorted(ACCEPTED))
def test_an_unknown_value_passes_anywhere(token: str) -> None:
    for path in _leaves(ACCEPTED[token]):
        assert check(token, changed(token, list(path), UNKNOWN)).failures == [], path


@pytest.mark.parametrize(("token", "path", "value", "where", "says"), [*SHAPES, *RULES])
def test_wrong_inputs_are_refused_at_their_place(
    token: str, path: list[str | int], value: Any, where: str, says: str
) -> None:
    failures = check(token, changed(token, path, value)).failures
    assert [failure.property_path for failure in failures if says in failure.reason] == [where], failures


def test_azure_reads_enums_without_regard_to_case_and_aws_does_not() -> None:
    assert check(f"{S}StorageAccount", changed(f"{S}StorageAccount", ["accessTier"], "hot")).failures == []
    token = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    assert check(token, changed(token, ["rule", "objectOwnership"], "bucketownerenforced")).failures != []


def test_a_plan_decides_what_its_app_may_say() -> None:
    app = ACCEPTED[f"{W}WebApp"]
    y1 = {**app, "functionAppConfig": None, "siteConfig": {"linuxFxVersion": "Python|3.13"}}

    def paths(inputs: dict[str, Any], sku: str) -> list[str]:
        result = check(f"{W}WebApp", inputs, siblings=lambda _: {"sku": {"name": sku}})
        return [failure.property_path for failure in result.failures]

    assert paths(app, "FC1") == []
    assert paths(app, "Y1") == ["functionAppConfig"]
    assert paths(y1, "FC1") == ["functionAppConfig"]
    assert paths(y1, "Y1") == ["siteConfig.linuxFxVersion"]
    assert paths(y1, "EP1") == []


def test_a_type_without_data_names_the_list_to_extend() -> None:
    [failure] = check("azure-native:eventhub:Namespace", {}).failures
    assert "constraints/azure-native/eventhub.json" in failure.reason
    assert "extract_azure.py" in failure.reason
    [misspelt] = check("azure-native:storage:StorageAcount", {}).failures
    assert '"azure-native:storage:StorageAccount"' in misspelt.reason
    assert describe("azure-native:eventhub:Namespace") == {}


def test_nulls_are_absent_and_the_engines_marks_are_ignored() -> None:
    inputs = {**ACCEPTED[f"{S}Queue"], "metadata": None, "__defaults": ["queueName"]}
    result = check(f"{S}Queue", inputs)
    assert result.failures == []
    assert "metadata" not in result.inputs


def test_a_wrong_shape_is_one_failure_and_asks_no_rule() -> None:
    failures = check(f"{M}DataCollectionRule", changed(f"{M}DataCollectionRule", ["dataFlows"], 7)).failures
    assert [failure.property_path for failure in failures] == ["dataFlows"]


def test_ids() -> None:
    account = arm_id(f"{S}StorageAccount", ACCEPTED[f"{S}StorageAccount"], SUBSCRIPTION)
    assert account == f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stmillab12c"
    assignment = {**ACCEPTED[f"{A}authorization:RoleAssignment"], "roleAssignmentName": PRINCIPAL}
    expected = f"{account}/providers/Microsoft.Authorization/roleAssignments/{PRINCIPAL}"
    assert arm_id(f"{A}authorization:RoleAssignment", assignment, SUBSCRIPTION) == expected
    with pytest.raises(KeyError, match="accountName"):
        arm_id(f"{S}StorageAccount", {"resourceGroupName": "rg"}, SUBSCRIPTION)
    with pytest.raises(KeyError, match="no Azure id"):
        arm_id("aws:sqs/queue:Queue", {}, SUBSCRIPTION)


@pytest.mark.parametrize(
    ("token", "path", "kind"),
    [
        (f"{S}StorageAccount", "accountName", "replace"),
        (f"{S}StorageAccount", "location", "replace"),
        (f"{S}StorageAccount", "sku.name", "update"),
        (f"{S}StorageAccount", 'tags["a.b"]', "update"),
        (f"{A}authorization:RoleAssignment", "principalId", "replace"),
        (f"{W}WebApp", "siteConfig.appSettings[3].value", "update"),
        ("aws:sqs/queue:Queue", "name", "replace"),
        ("aws:sqs/queue:Queue", "visibilityTimeoutSeconds", "update"),
        ("aws:s3/bucketNotification:BucketNotification", "queues[0].events[0]", "update"),
        ("aws:unknown/thing:Thing", "name", "update"),
    ],
)
def test_what_replaces(token: str, path: str, kind: str) -> None:
    assert diff_kind(token, [path]) == kind


def test_describe_tells_the_name_and_the_outputs() -> None:
    account = describe(f"{S}StorageAccount")
    assert account["name_property"] == "accountName"
    assert "primaryEndpoints" in account["outputs"]
    assert describe(f"{A}authorization:RoleAssignment")["autoname"] == "uuid"


def test_checking_every_example_takes_under_a_millisecond_each() -> None:
    for token, inputs in ACCEPTED.items():  # loads the data
        check(token, inputs)
    best = min(_round() for _ in range(5))
    assert best / len(ACCEPTED) < 0.001


def _round() -> float:
    start = time.process_time()
    for token, inputs in ACCEPTED.items():
        check(token, inputs)
    return time.process_time() - start


def test_the_committed_data_stay_small() -> None:
    assert sum(path.stat().st_size for path in CONSTRAINTS.rglob("*.json")) < 1_500_000


AWKWARD: list[Any] = [
    *(None, True, -1, 3.5, float("inf"), "", UNKNOWN, "{", "[1]", "Python|3.99"),
    *([], {}, [None], [3], [UNKNOWN], [[]], [{}], {"name": 3}, [{"name": 3}], {"type": 3}, {"x": None}),
    *('{"Statement": 3}', '{"Version": [], "Statement": {"Effect": {}, "Action": {}, "Condition": []}}'),
    *('{"deadLetterTargetArn": [], "maxReceiveCount": "x"}', '{"redrivePermission": [], "sourceQueueArns": 3}'),
]


@settings(max_examples=500)
@given(st.data())
def test_no_input_makes_the_check_itself_fail(data: st.DataObject) -> None:
    token = data.draw(st.sampled_from(sorted(ACCEPTED)))
    paths = [*_leaves(ACCEPTED[token]), *((name,) for name in describe(token)["inputs"])]
    path = data.draw(st.sampled_from(paths))
    result = check(token, changed(token, list(path), data.draw(st.sampled_from(AWKWARD))))
    assert all(failure.reason for failure in result.failures)
    assert diff_kind(token, [f"{path[0]}.Statement[0].Action"]) in {"replace", "update"}


def test_what_an_exhaustive_run_of_the_test_above_found() -> None:
    assert check("aws:iam/role:Role", {"assumeRolePolicy": None}).failures[0].property_path == "assumeRolePolicy"
    odd = check("aws:iam/role:Role", {"assumeRolePolicy": '{"Version": [], "Statement": []}'}).failures
    assert [failure.property_path for failure in odd] == ["assumeRolePolicy.Version", "assumeRolePolicy.Statement"]
    assert diff_kind("aws:iam/role:Role", ["assumeRolePolicy.Statement"]) == "update"
