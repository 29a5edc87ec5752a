"""A custom table in Log Analytics and the way into it: endpoint, rule, role.

Rows come through the Logs Ingestion API (learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview), by
identity. Deliberately absent: the HTTP Data Collector, whose support ended 2026-09-14; see collector.py for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_azure_native import monitor, operationalinsights

from components.errors import require
from components.foundation.observability import Workspace
from components.link import Link, setting_prefix
from components.roles import Grant

ColumnType = Literal["string", "int", "long", "real", "boolean", "datetime", "dynamic"]
DESTINATION = "workspace"


@dataclass(frozen=True, kw_only=True, slots=True)
class LogTableArgs:
    """A table's place and columns."""

    workspace: Workspace
    table: str
    """The table's name in queries; custom ones end in `_CL`."""
    columns: Mapping[str, ColumnType]
    """Column → type, `TimeGenerated` among them."""
    unique_by: tuple[str, ...] = ()
    """Columns by which a saved query removes rows that came twice (Logs Ingestion has no idempotency key)."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(
            re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,58}_CL", self.table),
            f'LogTable "{self.table}"',
            must="a custom table's name must be letters, digits and _, and end in _CL",
            got=repr(self.table),
            change=f"name it {self.table}_CL",
        )
        require(
            self.columns.get("TimeGenerated") == "datetime",
            f'LogTable "{self.table}"',
            must="columns must hold TimeGenerated of type datetime",
            got=sorted(self.columns),
            change="add it",
        )


class LogTable(pulumi.ComponentResource):
    """Endpoint + custom table + collection rule; `write()` is the right to send rows."""

    table: str
    endpoint: pulumi.Output[str]
    rule_id: pulumi.Output[str]

    def __init__(self, name: str, args: LogTableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name` becomes the prefix of the settings: `table` → `TABLE_ENDPOINT`."""
        super().__init__("millrace:monitoring:LogTable", name, None, opts)
        self._name, self._args = name, args
        self._group = args.workspace.group
        self._child = pulumi.ResourceOptions(parent=self)
        self.table, self.stream = args.table, f"Custom-{args.table}"
        self.columns = self._create_table()
        self.collection_endpoint = self._create_endpoint()
        self.rule = self._create_rule()
        if args.unique_by:
            self._create_unique_query(args.unique_by)
        self.endpoint = self.collection_endpoint.logs_ingestion.apply(_endpoint)
        self.rule_id = self.rule.immutable_id
        self.register_outputs({"table": self.table, "rule_id": self.rule_id})

    def write(self) -> Link:
        """Send rows."""
        prefix = setting_prefix(self._name)
        return Link(
            name=f"{self._name}.write",
            settings={
                f"{prefix}_ENDPOINT": self.endpoint,
                f"{prefix}_RULE_ID": self.rule_id,
                f"{prefix}_STREAM": self.stream,
            },
            grants=[Grant("logs.write", self._name, self.rule.id)],
            needs=[self.rule],
        )

    def _create_table(self) -> operationalinsights.Table:
        environment = self._group.environment
        # The table says dateTime where the rule says datetime: two services, two spellings.
        columns = [
            {"name": name, "type": "dateTime" if type_ == "datetime" else type_}
            for name, type_ in self._args.columns.items()
        ]
        return operationalinsights.Table(
            self._name,
            table_name=self.table,
            workspace_name=self._args.workspace.name,
            resource_group_name=self._group.name,
            plan=operationalinsights.TablePlanEnum.ANALYTICS,
            retention_in_days=max(environment.retention_days, 30),
            schema=operationalinsights.SchemaArgs(
                name=self.table,
                columns=[
                    operationalinsights.ColumnArgs(name=column["name"], type=column["type"]) for column in columns
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=environment.keeps_data or None),
        )

    def _create_endpoint(self) -> monitor.DataCollectionEndpoint:
        environment = self._group.environment
        return monitor.DataCollectionEndpoint(
            self._name,
            data_collection_endpoint_name=environment.claim("collection_endpoint", self._name),
            resource_group_name=self._group.name,
            location=environment.location,
            network_acls={"public_network_access": monitor.KnownPublicNetworkAccessOptions.ENABLED},
            tags=environment.all_tags(),
            opts=self._child,
        )

    def _create_rule(self) -> monitor.DataCollectionRule:
        environment = self._group.environment
        return monitor.DataCollectionRule(
            self._name,
            data_collection_rule_name=environment.claim("collection_rule", self._name),
            resource_group_name=self._group.name,
            location=environment.location,
            data_collection_endpoint_id=self.collection_endpoint.id,
            stream_declarations={
                self.stream: {"columns": [{"name": name, "type": type_} for name, type_ in self._args.columns.items()]}
            },
            destinations={
                "log_analytics": [{"name": DESTINATION, "workspace_resource_id": self._args.workspace.id}],
            },
            data_flows=[
                {
                    "streams": [self.stream],
                    "destinations": [DESTINATION],
                    "transform_kql": "source",
                    "output_stream": self.stream,
                }
            ],
            tags=environment.all_tags(),
            # Azure refuses a rule whose table does not exist yet.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.columns]),
        )

    def _create_unique_query(self, columns: tuple[str, ...]) -> operationalinsights.SavedSearch:
        return operationalinsights.SavedSearch(
            f"{self._name}-unique",
            saved_search_id=f"{self.table.lower().replace('_', '-')}-unique",
            workspace_name=self._args.workspace.name,
            resource_group_name=self._group.name,
            category="Millrace",
            display_name=f"{self.table} without rows that came twice",
            query=f"{self.table} | summarize arg_min(TimeGenerated, *) by {', '.join(columns)}",
            opts=self._child,
        )


def _endpoint(ingestion: object) -> str:
    return str(getattr(ingestion, "endpoint", "") or "")
