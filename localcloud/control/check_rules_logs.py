"""Rules of Azure Monitor's log side that no schema carries: custom tables, data collection rules, diagnostics.

Sources: Microsoft's pages "Add or delete tables and columns in Azure Monitor Logs", "Structure of a data collection
rule" and "Tutorial: send data to Azure Monitor Logs with the Logs ingestion API".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localcloud.control.check_view import Failure, View

Siblings = Callable[[str], Mapping[str, Any] | None]

COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,44}\Z")
RESERVED_COLUMNS = {"_resourceid", "id", "_subscriptionid", "tenantid", "type", "uniqueid", "title"}
SINKS = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId")


def table_schema(view: View, _: Siblings) -> Iterator[Failure]:
    """A custom table ends in ``_CL``, repeats its name in its schema and has a dateTime column TimeGenerated.

    Column names: a letter, then up to 44 letters, digits and underscores; a few are the service's own.
    """
    columns = list(view.items("schema.columns"))
    if not columns:
        return
    table, named = view.text("tableName"), view.text("schema.name")
    if table and not table.endswith("_CL"):
        yield Failure("tableName", f'must end in "_CL" for a custom table, got "{table}"; write "{table}_CL"')
    if table and named and named != table:
        yield Failure("schema.name", f'must equal tableName "{table}", got "{named}"; write "{table}"')
    names = [column.text("name") for _, column in columns]
    for (path, column), name in zip(columns, names, strict=True):
        if not name:
            continue
        if not COLUMN.match(name) or name.lower() in RESERVED_COLUMNS:
            rule = "a letter, then up to 44 letters, digits or _, and no reserved name"
            yield Failure(f"{path}.name", f'must be {rule}, got "{name}"; rename the column')
        if name == "TimeGenerated" and column.text("type").lower() not in ("", "datetime"):
            yield Failure(
                f"{path}.type", f'must be "dateTime" for TimeGenerated, got "{column.text("type")}"; change it'
            )
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        yield Failure("schema.columns", f"must name each column once, got {', '.join(repeated)} twice; remove one")
    complete = len(columns) == len(view.get("schema.columns")) and all(names)  # no column is unknown yet
    if complete and "TimeGenerated" not in names:
        yield Failure("schema.columns", "must hold TimeGenerated of type dateTime, it is absent; add the column")


def table_retention(view: View, _: Siblings) -> Iterator[Failure]:
    """Interactive retention 4–730 days, total retention 4–4383, -1 for the default, total not the shorter one."""
    for name, high in (("retentionInDays", 730), ("totalRetentionInDays", 4383)):
        days = view.get(name)
        if isinstance(days, int | float) and days != -1 and not 4 <= days <= high:
            yield Failure(name, f"must be -1 or 4 to {high} days, got {days}; write 30")
    inner, total = view.get("retentionInDays"), view.get("totalRetentionInDays")
    known = isinstance(inner, int | float) and isinstance(total, int | float) and total != -1
    if known and total < inner:
        yield Failure("totalRetentionInDays", f"must be at least retentionInDays {inner}, got {total}; raise it")


def rule_streams(view: View, _: Siblings) -> Iterator[Failure]:
    """Streams that a rule declares are its own: their names start with ``Custom-``."""
    for name, declared in view.entries("streamDeclarations"):
        path = f'streamDeclarations["{name}"]'
        if not name.startswith("Custom-"):
            yield Failure(path, f'must start with "Custom-", got "{name}"; write "Custom-{name}"')
        columns = declared.get("columns") if isinstance(declared, Mapping) else None
        if columns == []:
            yield Failure(f"{path}.columns", "must hold at least one column, got none; add the table's columns")


def _destinations(view: View) -> set[str] | None:
    """Names of a rule's destinations; None when some are not known yet."""
    found: set[str] = set()
    for _, value in view.entries("destinations"):
        for item in value if isinstance(value, list) else [value]:
            name = item.get("name") if isinstance(item, Mapping) else None
            if not isinstance(name, str) or view.is_unknown(name):
                return None
            found.add(name)
    return found if isinstance(view.get("destinations"), Mapping) else None


def rule_flows(view: View, _: Siblings) -> Iterator[Failure]:
    """A flow joins declared streams with declared destinations; a custom stream needs an ``outputStream``.

    What reaches a table must hold TimeGenerated: a flow whose transformation is absent or ``source`` passes the
    declared columns on as they are, and Azure answers InvalidTransformOutput without it.
    """
    declared, destinations = dict(view.entries("streamDeclarations")), _destinations(view)
    for path, flow in view.items("dataFlows"):
        streams = [name for name in flow.get("streams") or [] if isinstance(name, str) and not view.is_unknown(name)]
        for name in streams:
            foreign = not name.startswith("Microsoft-") and name not in declared
            if foreign and not view.is_unknown(view.inputs.get("streamDeclarations")):
                yield Failure(f"{path}.streams", f'must name declared streams, got "{name}"; declare it')
        for name in flow.get("destinations") or []:
            if destinations is not None and not view.is_unknown(name) and name not in destinations:
                known = ", ".join(sorted(destinations)) or "none"
                yield Failure(
                    f"{path}.destinations", f'must name a destination of the rule, got "{name}"; known: {known}'
                )
        yield from _output(path, flow, {name: declared[name] for name in streams if name in declared})


def _output(path: str, flow: View, custom: Mapping[str, Any]) -> Iterator[Failure]:
    output = flow.text("outputStream")
    if output and not output.startswith(("Custom-", "Microsoft-")):
        yield Failure(f"{path}.outputStream", f'must start with "Custom-", got "{output}"; write "Custom-{output}"')
    if custom and not flow.has("outputStream"):
        yield Failure(f"{path}.outputStream", "must name the table for a custom stream, it is absent; add Custom-…_CL")
    if flow.has("transformKql") and flow.text("transformKql").strip() != "source":
        return
    for name, declared in custom.items():
        if isinstance(declared, Mapping) and _lacks_time(View(declared, flow.unknown)):
            yield Failure(f"{path}.transformKql", f'must give TimeGenerated, stream "{name}" has none; add the column')


def _lacks_time(view: View) -> bool:
    """Whether a declared stream surely has no TimeGenerated: every column's name is known and another."""
    names = [column.text("name") for _, column in view.items("columns")]
    return bool(names) and all(names) and len(names) == len(view.get("columns")) and "TimeGenerated" not in names


def diagnostic_sink(view: View, _: Siblings) -> Iterator[Failure]:
    """A diagnostic setting sends something somewhere, and a log entry names a category or a group, not both."""
    if not any(view.has(sink) for sink in SINKS):
        yield Failure(
            "workspaceId", f"must be set, or another of {', '.join(SINKS)}; none is, so give the workspace's id"
        )
    if not view.has("logs") and not view.has("metrics"):
        yield Failure("logs", "must be set, or metrics; neither is: say what to send")
    for path, log in view.items("logs"):
        if log.has("category") == log.has("categoryGroup"):
            yield Failure(path, "must have either category or categoryGroup, got both or neither; keep one")
