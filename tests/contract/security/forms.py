"""What production declares, in the two forms that security scanners read: an ARM template and a Terraform plan.

Nothing is added and nothing left out: a property stands under the name and at the place that ARM, or the Terraform
provider for AWS, gives it. Values that only a deployment knows become a parameter (ARM) or null (Terraform, as a plan
has them). A type without a form here is an error, so a new kind of resource cannot slip past the scan.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from localcloud.engine.state import Record
from localcloud.engine.values import UNKNOWN

ARM: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "applicationinsights:Component": ("Microsoft.Insights/components", "2020-02-02", ("resourceName",)),
    "authorization:ManagementLockByScope": ("Microsoft.Authorization/locks", "2020-05-01", ("@",)),
    "authorization:RoleAssignment": (
        "Microsoft.Authorization/roleAssignments",
        "2022-04-01",
        ("roleAssignmentName",),
    ),
    "dbforpostgresql:AdministratorsMicrosoftEntra": (
        "Microsoft.DBforPostgreSQL/flexibleServers/administrators",
        "2024-08-01",
        ("serverName", "objectId"),
    ),
    "dbforpostgresql:Configuration": (
        "Microsoft.DBforPostgreSQL/flexibleServers/configurations",
        "2024-08-01",
        ("serverName", "configurationName"),
    ),
    "dbforpostgresql:Database": (
        "Microsoft.DBforPostgreSQL/flexibleServers/databases",
        "2024-08-01",
        ("serverName", "databaseName"),
    ),
    "dbforpostgresql:FirewallRule": (
        "Microsoft.DBforPostgreSQL/flexibleServers/firewallRules",
        "2024-08-01",
        ("serverName", "firewallRuleName"),
    ),
    "dbforpostgresql:Server": ("Microsoft.DBforPostgreSQL/flexibleServers", "2024-08-01", ("serverName",)),
    "keyvault:Vault": ("Microsoft.KeyVault/vaults", "2023-07-01", ("vaultName",)),
    "managedidentity:UserAssignedIdentity": (
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        "2023-01-31",
        ("resourceName",),
    ),
    "monitor:ActionGroup": ("Microsoft.Insights/actionGroups", "2023-01-01", ("actionGroupName",)),
    "monitor:DataCollectionEndpoint": (
        "Microsoft.Insights/dataCollectionEndpoints",
        "2023-03-11",
        ("dataCollectionEndpointName",),
    ),
    "monitor:DataCollectionRule": (
        "Microsoft.Insights/dataCollectionRules",
        "2023-03-11",
        ("dataCollectionRuleName",),
    ),
    "monitor:DiagnosticSetting": ("Microsoft.Insights/diagnosticSettings", "2021-05-01-preview", ("name",)),
    "monitor:ScheduledQueryRule": ("Microsoft.Insights/scheduledQueryRules", "2023-12-01", ("ruleName",)),
    "monitor:MetricAlert": ("Microsoft.Insights/metricAlerts", "2018-03-01", ("ruleName",)),
    "operationalinsights:SavedSearch": (
        "Microsoft.OperationalInsights/workspaces/savedSearches",
        "2020-08-01",
        ("workspaceName", "savedSearchId"),
    ),
    "operationalinsights:Table": (
        "Microsoft.OperationalInsights/workspaces/tables",
        "2022-10-01",
        ("workspaceName", "tableName"),
    ),
    "operationalinsights:Workspace": ("Microsoft.OperationalInsights/workspaces", "2023-09-01", ("workspaceName",)),
    "resources:ResourceGroup": ("Microsoft.Resources/resourceGroups", "2024-03-01", ("resourceGroupName",)),
    "servicebus:DefaultRule": (
        "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules",
        "2024-01-01",
        ("namespaceName", "topicName", "subscriptionName", "=$Default"),
    ),
    "servicebus:Namespace": ("Microsoft.ServiceBus/namespaces", "2024-01-01", ("namespaceName",)),
    "servicebus:Queue": ("Microsoft.ServiceBus/namespaces/queues", "2024-01-01", ("namespaceName", "queueName")),
    "servicebus:Rule": (
        "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules",
        "2024-01-01",
        ("namespaceName", "topicName", "subscriptionName", "ruleName"),
    ),
    "servicebus:Subscription": (
        "Microsoft.ServiceBus/namespaces/topics/subscriptions",
        "2024-01-01",
        ("namespaceName", "topicName", "subscriptionName"),
    ),
    "servicebus:Topic": ("Microsoft.ServiceBus/namespaces/topics", "2024-01-01", ("namespaceName", "topicName")),
    "storage:BlobContainer": (
        "Microsoft.Storage/storageAccounts/blobServices/containers",
        "2024-01-01",
        ("accountName", "=default", "containerName"),
    ),
    "storage:BlobServiceProperties": (
        "Microsoft.Storage/storageAccounts/blobServices",
        "2024-01-01",
        ("accountName", "blobServicesName"),
    ),
    "storage:Queue": (
        "Microsoft.Storage/storageAccounts/queueServices/queues",
        "2024-01-01",
        ("accountName", "=default", "queueName"),
    ),
    "storage:StorageAccount": ("Microsoft.Storage/storageAccounts", "2024-01-01", ("accountName",)),
    "web:AppServicePlan": ("Microsoft.Web/serverfarms", "2024-04-01", ("name",)),
    "web:WebApp": ("Microsoft.Web/sites", "2024-04-01", ("name",)),
    "web:WebAppFtpAllowed": (
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
        "2024-04-01",
        ("name", "=ftp"),
    ),
    "web:WebAppScmAllowed": (
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
        "2024-04-01",
        ("name", "=scm"),
    ),
}
"""Pulumi's type → ARM's type, API version, and the inputs that make its name (`=x` is the text x, `@` the name that the
program gives: locks share theirs)."""
_ARM_NAMES: Final = {"networkRuleSet": "networkAcls", "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly"}
"""Properties of storage accounts that Pulumi's SDK calls otherwise."""
_ENVELOPE: Final = {"location", "tags", "sku", "kind", "identity", "zones", "scope", "extendedLocation", "managedBy"}
_NOT_A_DECLARATION: Final = "pulumi-python:dynamic"
"""Packages and their deployment: files, not resources of a cloud."""
_SINGULAR: Final = {"rules": "rule", "queues": "queue", "clientIdLists": "client_id_list"}
_MAPS: Final = {"tags", "dimensions"}
_REFERENCES: Final = {"bucket": "aws_s3_bucket", "queue_url": "aws_sqs_queue", "role": "aws_iam_role"}


def arm_template(records: Iterable[Record]) -> dict[str, Any]:
    """One template with every azure-native resource."""
    resources = [_arm(record) for record in records if record.type.startswith("azure-native:")]
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"knownAfterDeployment": {"type": "string"}},
        "resources": resources,
    }


def _arm(record: Record) -> dict[str, Any]:
    kind = record.type.removeprefix("azure-native:")
    if kind not in ARM:
        raise LookupError(f"{record.type}: must have a form in {__name__}.ARM; add its ARM type and name.")
    type_, version, names = ARM[kind]
    inputs = _known(record.inputs, "[parameters('knownAfterDeployment')]")
    if "odataType" in inputs.get("criteria", {}):
        inputs["criteria"]["odata.type"] = inputs["criteria"].pop("odataType")
    said = {**inputs, "@": record.name}
    name = "/".join(part[1:] if part.startswith("=") else str(said[part]) for part in names)
    rest = {key: value for key, value in inputs.items() if key not in {*names, "resourceGroupName"}}
    own = {_ARM_NAMES.get(key, key): value for key, value in rest.items() if key not in {*_ENVELOPE, "properties"}}
    properties = {**rest.get("properties", {}), **own}
    envelope = {key: value for key, value in rest.items() if key in _ENVELOPE}
    if isinstance(envelope.get("identity"), dict):
        listed = envelope["identity"].get("userAssignedIdentities", [])
        envelope["identity"]["userAssignedIdentities"] = {one: {} for one in listed}
    return {"type": type_, "apiVersion": version, "name": name, **envelope, "properties": properties}


def terraform_plan(records: Iterable[Record]) -> dict[str, Any]:
    """`terraform show -json` of a plan that creates every AWS resource."""
    every = {record.urn: record for record in records if record.type.startswith("aws:")}
    planned, changes, configured = [], [], []
    for record in every.values():
        values = _blocks(_known(record.inputs, None))
        type_, address = _terraform_type(record), _address(record)
        base = {"address": address, "mode": "managed", "type": type_, "name": _label(record)}
        planned.append({**base, "provider_name": "registry.terraform.io/hashicorp/aws", "values": values})
        changes.append({**base, "change": {"actions": ["create"], "before": None, "after": values}})
        references = _references(values, [every[urn] for urn in record.dependencies if urn in every])
        configured.append({**base, "provider_config_key": "aws", "expressions": references})
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": planned}},
        "resource_changes": changes,
        "configuration": {
            "provider_config": {"aws": {"name": "aws", "full_name": "registry.terraform.io/hashicorp/aws"}},
            "root_module": {"resources": configured},
        },
    }


def _references(values: dict[str, Any], dependencies: list[Record]) -> dict[str, Any]:
    found: dict[str, Any] = {name: {"constant_value": value} for name, value in values.items()}
    for name, wanted in _REFERENCES.items():
        targets = [one for one in dependencies if _terraform_type(one) == wanted]
        if name in values and targets:
            found[name] = {"references": [f"{_address(targets[0])}.id", _address(targets[0])]}
    return found


def _terraform_type(record: Record) -> str:
    """`aws:s3/bucketPolicy:BucketPolicy` → `aws_s3_bucket_policy`."""
    module, _, name = record.type.removeprefix("aws:").partition("/")
    return f"aws_{module}_{_snake(name.partition(':')[0])}".replace("open_id_connect", "openid_connect")


def _label(record: Record) -> str:
    return re.sub(r"\W", "_", record.name)


def _address(record: Record) -> str:
    return f"{_terraform_type(record)}.{_label(record)}"


def _blocks(inputs: dict[str, Any]) -> dict[str, Any]:
    """Terraform's names; an object that is a block there stands in a list."""
    found: dict[str, Any] = {}
    for name, value in inputs.items():
        key = _SINGULAR.get(name, _snake(name))
        if name in _MAPS:
            found[key] = value
        elif isinstance(value, dict):
            found[key] = [_blocks(value)]
        elif isinstance(value, list):
            found[key] = [_blocks(item) if isinstance(item, dict) else item for item in value]
        else:
            found[key] = value
    return found


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _known(value: Any, instead: Any) -> Any:
    if value == UNKNOWN:
        return instead
    if isinstance(value, dict):
        return {key: _known(item, instead) for key, item in value.items()}
    return [_known(item, instead) for item in value] if isinstance(value, list) else value
