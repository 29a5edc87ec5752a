"""Diagnostic settings: a resource's own logs, sent to the workspace; how long they stay is the workspace's to say."""

import pulumi
from pulumi_azure_native import monitor


def keep_audit_log(
    name: str, resource_id: pulumi.Input[str], workspace_id: pulumi.Input[str], *, parent: pulumi.Resource
) -> monitor.DiagnosticSetting:
    """Every audit event of the resource."""
    return _keep(name, "audit", resource_id, workspace_id, [{"category_group": "audit", "enabled": True}], parent)


def keep_blob_writes(
    name: str, account_id: pulumi.Input[str], workspace_id: pulumi.Input[str], *, parent: pulumi.Resource
) -> monitor.DiagnosticSetting:
    """Every write to the account's blobs, one log record each."""
    blobs = pulumi.Output.concat(account_id, "/blobServices/default")
    return _keep(name, "writes", blobs, workspace_id, [{"category": "StorageWrite", "enabled": True}], parent)


def keep_queue_changes(
    name: str, account_id: pulumi.Input[str], workspace_id: pulumi.Input[str], *, parent: pulumi.Resource
) -> monitor.DiagnosticSetting:
    """Every message put into the account's queues or deleted there, one log record each; no looks (reads)."""
    queues = pulumi.Output.concat(account_id, "/queueServices/default")
    logs: list[monitor.DiagnosticsLogSettingsArgsDict] = [
        {"category": "StorageWrite", "enabled": True},
        {"category": "StorageDelete", "enabled": True},
    ]
    return _keep(name, "changes", queues, workspace_id, logs, parent)


def keep_bus_operations(
    name: str, namespace_id: pulumi.Input[str], workspace_id: pulumi.Input[str], *, parent: pulumi.Resource
) -> monitor.DiagnosticSetting:
    """Who changed what in a Service Bus namespace; what is sent and received is logged on tier Premium only."""
    logs: list[monitor.DiagnosticsLogSettingsArgsDict] = [{"category": "OperationalLogs", "enabled": True}]
    return _keep(name, "operations", namespace_id, workspace_id, logs, parent)


def _keep(
    name: str,
    called: str,
    resource_id: pulumi.Input[str],
    workspace_id: pulumi.Input[str],
    logs: list[monitor.DiagnosticsLogSettingsArgsDict],
    parent: pulumi.Resource,
) -> monitor.DiagnosticSetting:
    return monitor.DiagnosticSetting(
        name,
        name=called,
        resource_uri=resource_id,
        workspace_id=workspace_id,
        logs=logs,
        opts=pulumi.ResourceOptions(parent=parent),
    )
