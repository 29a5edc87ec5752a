"""A custom table with its way in by identity, and the legacy collector's way by a key that only the vault holds."""

from typing import Any

import pytest

from components.link import Link
from components.monitoring.collector import data_collector
from components.monitoring.log_table import LogTable, LogTableArgs
from localcloud.engine.embedded import ProgramError
from tests.components.program import SUBSCRIPTION, Base, Declared, declare, links_of

COLUMNS: dict[str, Any] = {"TimeGenerated": "datetime", "Raw": "string", "Size": "long"}
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/core-test"
RULE = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/table-test"


def table(**changes: Any) -> Declared:
    def main() -> None:
        base = Base(keeps_data=changes.pop("keeps_data", False), retention_days=60)
        fields: dict[str, Any] = {"workspace": base.foundation.workspace, "table": "Demo_CL", "columns": COLUMNS}
        LogTable("table", LogTableArgs(**(fields | changes)))

    return declare(main)


def test_a_table_comes_with_an_endpoint_and_a_rule_that_waits_for_it() -> None:
    found = table()
    rule = found.one("DataCollectionRule")
    assert found.one("operationalinsights:Table").urn in rule.dependencies
    assert rule.inputs["dataCollectionEndpointId"] == found.one("DataCollectionEndpoint").id
    assert rule.inputs["destinations"]["logAnalytics"] == [
        {"name": "workspace", "workspaceResourceId": found.one("Workspace").id}
    ]
    assert rule.inputs["dataFlows"] == [
        {
            "streams": ["Custom-Demo_CL"],
            "destinations": ["workspace"],
            "transformKql": "source",
            "outputStream": "Custom-Demo_CL",
        }
    ]
    assert found.all("SavedSearch") == []


def test_the_rule_and_the_table_have_the_same_columns_each_in_its_own_spelling() -> None:
    found = table()
    (stream,) = found.one("DataCollectionRule").inputs["streamDeclarations"].values()
    declared = found.one("operationalinsights:Table").inputs
    in_rule = {column["name"]: column["type"] for column in stream["columns"]}
    in_table = {column["name"]: column["type"] for column in declared["schema"]["columns"]}
    assert in_rule == COLUMNS
    assert in_table == COLUMNS | {"TimeGenerated": "dateTime"}
    assert declared["retentionInDays"] == 60


def test_rows_that_came_twice_have_a_saved_query() -> None:
    query = table(unique_by=("Raw", "Size")).one("SavedSearch").inputs["query"]
    assert query == "Demo_CL | summarize arg_min(TimeGenerated, *) by Raw, Size"


def test_a_table_is_protected_where_data_is_kept() -> None:
    assert table(keeps_data=True).one("operationalinsights:Table").protect
    assert not table().one("operationalinsights:Table").protect


def test_writing_needs_one_role_on_the_rule_alone() -> None:
    def make(base: Base) -> dict[str, Link]:
        args = LogTableArgs(workspace=base.foundation.workspace, table="Demo_CL", columns=COLUMNS)
        return {"write": LogTable("table", args).write()}

    link = links_of(make)["write"]
    assert link["grants"] == [["logs.write", RULE]]
    assert link["settings"].pop("TABLE_RULE_ID").startswith("dcr-")
    assert link["settings"] == {"TABLE_ENDPOINT": "https://logs.test", "TABLE_STREAM": "Custom-Demo_CL"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "Demo"}, "LogTable \"Demo\": a custom table's name must be .* got 'Demo'; name it Demo_CL"),
        ({"columns": {"Raw": "string"}}, r"LogTable \"Demo_CL\": columns must hold TimeGenerated .* \['Raw'\]; add it"),
    ],
)
def test_a_wrong_table_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        table(**changes)


def test_the_legacy_collector_gets_its_key_from_the_vault_and_no_role_on_any_rule() -> None:
    link = links_of(lambda base: {"write": data_collector(base.foundation, log_type="Demo")})["write"]
    customer = link["settings"]["COLLECTOR_WORKSPACE_ID"]
    vault = link["settings"]["COLLECTOR_KEY"]
    assert vault.startswith("@Microsoft.KeyVault(SecretUri=https://vault-test-eefa8.test/secrets/log-collector-key")
    assert link["settings"]["COLLECTOR_ENDPOINT"] == f"https://{customer}.ods.opinsights.azure.com"
    assert link["settings"]["COLLECTOR_LOG_TYPE"] == "Demo"
    assert [(verb, scope.rsplit("/", 2)[-2:]) for verb, scope in link["grants"]] == [
        ("secret.read", ["secrets", "log-collector-key"])
    ]
