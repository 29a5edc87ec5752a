"""Inputs that Azure (here) and AWS (`accepted_aws`) accept, per type, as the Pulumi providers serialise them."""

from typing import Any

from tests.unit.control.accepted_aws import AWS, TENANT
from tests.unit.control.accepted_bus import BUS

SUBSCRIPTION = "11111111-2222-4333-8444-555555555555"
PRINCIPAL = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-mill"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-mill"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-ingest"
PLAN = f"{GROUP}/providers/Microsoft.Web/serverfarms/asp-ingest"
ROLES = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
READER = f"{ROLES}/2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
IN_GROUP = {"resourceGroupName": "rg-mill", "location": "westeurope", "tags": {"system": "log_ingest"}}
COLUMNS = [{"name": "TimeGenerated", "type": "dateTime"}, {"name": "RawData", "type": "string"}]

AZURE: dict[str, dict[str, Any]] = {
    "resources:ResourceGroup": IN_GROUP,
    "operationalinsights:Workspace": {
        **IN_GROUP,
        "workspaceName": "log-mill",
        "sku": {"name": "PerGB2018"},
        "retentionInDays": 30,
        "features": {"disableLocalAuth": True, "enableLogAccessUsingOnlyResourcePermissions": True},
    },
    "operationalinsights:Table": {
        "resourceGroupName": "rg-mill",
        "workspaceName": "log-mill",
        "tableName": "Code42Logs_CL",
        "plan": "Analytics",
        "retentionInDays": 30,
        "schema": {"name": "Code42Logs_CL", "columns": COLUMNS},
    },
    "operationalinsights:SavedSearch": {
        "resourceGroupName": "rg-mill",
        "workspaceName": "log-mill",
        "savedSearchId": "code42logs-unique",
        "category": "Millrace",
        "displayName": "without doubles",
        "query": "Code42Logs_CL | take 1",
    },
    "applicationinsights:Component": {
        **IN_GROUP,
        "resourceName": "appi-mill",
        "kind": "web",
        "applicationType": "web",
        "ingestionMode": "LogAnalytics",
        "workspaceResourceId": WORKSPACE,
        "disableLocalAuth": True,
        "retentionInDays": 90,
    },
    "keyvault:Vault": {
        **IN_GROUP,
        "vaultName": "kv-mill-ab12c",
        "properties": {
            "tenantId": TENANT,
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": True,
            "enableSoftDelete": True,
            "softDeleteRetentionInDays": 7,
            "enablePurgeProtection": True,
            "publicNetworkAccess": "Enabled",
        },
    },
    "keyvault:Secret": {
        "resourceGroupName": "rg-mill",
        "vaultName": "kv-mill-ab12c",
        "secretName": "collector-key",
        "properties": {"value": "x", "contentType": "text/plain"},
    },
    "storage:StorageAccount": {
        **IN_GROUP,
        "accountName": "stmillab12c",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "minimumTlsVersion": "TLS1_2",
        "enableHttpsTrafficOnly": True,
        "networkRuleSet": {"defaultAction": "Allow", "bypass": "AzureServices"},
        "accessTier": "Hot",
    },
    "storage:BlobContainer": {
        "resourceGroupName": "rg-mill",
        "accountName": "stmillab12c",
        "containerName": "packages",
        "publicAccess": "None",
        "metadata": {"anything": "goes"},
    },
    "storage:Queue": {"resourceGroupName": "rg-mill", "accountName": "stmillab12c", "queueName": "api-fetch-poison"},
    "storage:BlobServiceProperties": {
        "resourceGroupName": "rg-mill",
        "accountName": "stmillab12c",
        "blobServicesName": "default",
        "isVersioningEnabled": True,
        "deleteRetentionPolicy": {"enabled": True, "days": 7},
    },
    "storage:QueueServiceProperties": {
        "resourceGroupName": "rg-mill",
        "accountName": "stmillab12c",
        "queueServiceName": "default",
    },
    "storage:ManagementPolicy": {
        "resourceGroupName": "rg-mill",
        "accountName": "stmillab12c",
        "managementPolicyName": "default",
        "policy": {
            "rules": [
                {
                    "name": "expire",
                    "enabled": True,
                    "type": "Lifecycle",
                    "definition": {
                        "filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["failed/"]},
                        "actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 90}}},
                    },
                }
            ]
        },
    },
    "managedidentity:UserAssignedIdentity": {**IN_GROUP, "resourceName": "id-ingest"},
    "authorization:RoleAssignment": {
        "scope": f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stmillab12c",
        "principalId": PRINCIPAL,
        "principalType": "ServicePrincipal",
        "roleDefinitionId": READER,
    },
    "authorization:RoleDefinition": {
        "scope": GROUP,
        "roleName": "Mill queue handler",
        "assignableScopes": [GROUP],
        "permissions": [{"dataActions": ["Microsoft.Storage/storageAccounts/queueServices/queues/messages/write"]}],
    },
    "authorization:ManagementLockByScope": {"scope": GROUP, "lockName": "keep", "level": "CanNotDelete"},
    "web:AppServicePlan": {
        **IN_GROUP,
        "name": "asp-ingest",
        "kind": "functionapp",
        "reserved": True,
        "sku": {"name": "FC1", "tier": "FlexConsumption"},
    },
    "web:WebApp": {
        **IN_GROUP,
        "name": "func-ingest-ab12c",
        "kind": "functionapp,linux",
        "serverFarmId": PLAN,
        "httpsOnly": True,
        "identity": {"type": "UserAssigned", "userAssignedIdentities": [IDENTITY]},
        "siteConfig": {
            "minTlsVersion": "1.2",
            "ftpsState": "Disabled",
            "appSettings": [
                {"name": "AzureWebJobsStorage__blobServiceUri", "value": "https://stmillab12c.blob.core.windows.net"},
                {"name": "SOURCE_QUEUE_URL", "value": "https://sqs.eu-central-1.amazonaws.com/123456789012/logs"},
            ],
        },
        "functionAppConfig": {
            "deployment": {
                "storage": {
                    "type": "blobContainer",
                    "value": "https://stmillab12c.blob.core.windows.net/packages",
                    "authentication": {
                        "type": "UserAssignedIdentity",
                        "userAssignedIdentityResourceId": IDENTITY,
                    },
                }
            },
            "runtime": {"name": "python", "version": "3.12"},
            "scaleAndConcurrency": {"instanceMemoryMB": 2048, "maximumInstanceCount": 40},
        },
    },
    "web:WebAppApplicationSettings": {
        "resourceGroupName": "rg-mill",
        "name": "func-ingest-ab12c",
        "properties": {"ANY_NAME": "any value"},
    },
    "web:WebAppScmAllowed": {"resourceGroupName": "rg-mill", "name": "func-ingest-ab12c", "allow": False},
    "web:WebAppFtpAllowed": {"resourceGroupName": "rg-mill", "name": "func-ingest-ab12c", "allow": False},
    "monitor:DataCollectionEndpoint": {
        **IN_GROUP,
        "dataCollectionEndpointName": "dce-code42",
        "networkAcls": {"publicNetworkAccess": "Enabled"},
    },
    "monitor:DataCollectionRule": {
        **IN_GROUP,
        "dataCollectionRuleName": "dcr-code42",
        "dataCollectionEndpointId": f"{GROUP}/providers/Microsoft.Insights/dataCollectionEndpoints/dce-code42",
        "streamDeclarations": {
            "Custom-Code42Logs_CL": {
                "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "RawData", "type": "string"}]
            }
        },
        "destinations": {"logAnalytics": [{"name": "workspace", "workspaceResourceId": WORKSPACE}]},
        "dataFlows": [
            {
                "streams": ["Custom-Code42Logs_CL"],
                "destinations": ["workspace"],
                "transformKql": "source",
                "outputStream": "Custom-Code42Logs_CL",
            }
        ],
    },
    "monitor:DiagnosticSetting": {
        "name": "audit",
        "resourceUri": f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-mill-ab12c",
        "workspaceId": WORKSPACE,
        "logs": [{"categoryGroup": "audit", "enabled": True}],
    },
    "monitor:MetricAlert": {
        "resourceGroupName": "rg-mill",
        "location": "global",
        "ruleName": "poison-depth",
        "enabled": True,
        "severity": 2,
        "evaluationFrequency": "PT5M",
        "windowSize": "PT1H",
        "scopes": [f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stmillab12c"],
        "criteria": {
            "odataType": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            "allOf": [
                {
                    "criterionType": "StaticThresholdCriterion",
                    "name": "depth",
                    "metricName": "QueueMessageCount",
                    "operator": "GreaterThan",
                    "threshold": 0,
                    "timeAggregation": "Average",
                }
            ],
        },
        "actions": [{"actionGroupId": f"{GROUP}/providers/Microsoft.Insights/actionGroups/ag-mill"}],
    },
    "monitor:ScheduledQueryRule": {
        **IN_GROUP,
        "ruleName": "nothing-came",
        "enabled": True,
        "severity": 2,
        "evaluationFrequency": "PT30M",
        "windowSize": "PT1H",
        "scopes": [WORKSPACE],
        "criteria": {
            "allOf": [{"query": "Code42Logs_CL", "timeAggregation": "Count", "operator": "LessThan", "threshold": 1.5}]
        },
    },
    "monitor:ActionGroup": {
        "resourceGroupName": "rg-mill",
        "location": "Global",
        "actionGroupName": "ag-mill",
        "groupShortName": "mill",
        "enabled": True,
        "emailReceivers": [{"name": "ops", "emailAddress": "ops@example.com", "useCommonAlertSchema": True}],
    },
    "dbforpostgresql:Server": {
        **IN_GROUP,
        "serverName": "db-mill",
        "version": "18",
        "sku": {"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"},
        "storage": {"storageSizeGB": 32, "autoGrow": "Enabled"},
        "authConfig": {"activeDirectoryAuth": "Enabled", "passwordAuth": "Disabled", "tenantId": TENANT},
        "backup": {"backupRetentionDays": 7, "geoRedundantBackup": "Disabled"},
        "highAvailability": {"mode": "ZoneRedundant"},
        "network": {"publicNetworkAccess": "Enabled"},
    },
    "dbforpostgresql:Database": {
        "resourceGroupName": "rg-mill",
        "serverName": "db-mill",
        "databaseName": "database",
        "charset": "UTF8",
        "collation": "C",
    },
    "dbforpostgresql:AdministratorsMicrosoftEntra": {
        "resourceGroupName": "rg-mill",
        "serverName": "db-mill",
        "objectId": PRINCIPAL,
        "principalName": "deployer",
        "principalType": "ServicePrincipal",
        "tenantId": TENANT,
    },
    "dbforpostgresql:Configuration": {
        "resourceGroupName": "rg-mill",
        "serverName": "db-mill",
        "configurationName": "require_secure_transport",
        "value": "on",
        "source": "user-override",
    },
    "dbforpostgresql:FirewallRule": {
        "resourceGroupName": "rg-mill",
        "serverName": "db-mill",
        "firewallRuleName": "azure",
        "startIpAddress": "0.0.0.0",
        "endIpAddress": "0.0.0.0",
    },
}

ACCEPTED = {f"azure-native:{token}": inputs for token, inputs in (AZURE | BUS).items()} | {
    f"aws:{token}": inputs for token, inputs in AWS.items()
}
