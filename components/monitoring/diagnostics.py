"""Diagnostic settings: a resource's own audit log, sent to the workspace."""

import pulumi
from pulumi_azure_native import monitor


def keep_audit_log(
    name: str, resource_id: pulumi.Input[str], workspace_id: pulumi.Input[str], *, parent: pulumi.Resource
) -> monitor.DiagnosticSetting:
    """Every audit event of the resource goes to the workspace; how long it stays there is the workspace's to say."""
    return monitor.DiagnosticSetting(
        name,
        name="audit",
        resource_uri=resource_id,
        workspace_id=workspace_id,
        logs=[{"category_group": "audit", "enabled": True}],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def keep_blob_writes(
    name: str, account_id: pulumi.Input[str], workspace_id: pulumi.Input[str], *, parent: pulumi.Resource
) -> monitor.DiagnosticSetting:
    """Every write to the account's blobs, one log record each, goes to the workspace."""
    return monitor.DiagnosticSetting(
        name,
        name="writes",
        resource_uri=pulumi.Output.concat(account_id, "/blobServices/default"),
        workspace_id=workspace_id,
        logs=[{"category": "StorageWrite", "enabled": True}],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def keep_queue_changes(
    name: str, account_id: pulumi.Input[str], workspace_id: pulumi.Input[str], *, parent: pulumi.Resource
) -> monitor.DiagnosticSetting:
    """Every message put into the account's queues or deleted there, one log record each; no looks (reads)."""
    return monitor.DiagnosticSetting(
        name,
        name="changes",
        resource_uri=pulumi.Output.concat(account_id, "/queueServices/default"),
        workspace_id=workspace_id,
        logs=[{"category": "StorageWrite", "enabled": True}, {"category": "StorageDelete", "enabled": True}],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def keep_bus_operations(
    name: str, namespace_id: pulumi.Input[str], workspace_id: pulumi.Input[str], *, parent: pulumi.Resource
) -> monitor.DiagnosticSetting:
    """Who changed what in a Service Bus namespace; what is sent and received is logged on tier Premium only."""
    return monitor.DiagnosticSetting(
        name,
        name="operations",
        resource_uri=namespace_id,
        workspace_id=workspace_id,
        logs=[{"category": "OperationalLogs", "enabled": True}],
        opts=pulumi.ResourceOptions(parent=parent),
    )
