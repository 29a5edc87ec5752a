"""Extracts what Azure accepts, once, into ``constraints/azure-native/<module>.json``.

    python -m localcloud.control.extract_azure            write the files
    python -m localcloud.control.extract_azure --check    compare with the committed ones; a diff and exit 1

Two descriptions are combined. The installed pulumi-azure-native's input classes say which properties the provider
takes (camelCase, ARM's ``properties`` envelope flattened), which are required, their types and enums. The last
AutoRest-generated ``azure-mgmt-*`` wheels say what ARM adds: the path of the PUT request, the alphabet and length of
each name in it, bounds, patterns and enums of properties. The wheels are unpacked with uv into the user's cache.
To add a resource type: one line in ``TYPES`` (and a wheel in ``WHEELS`` for a new service), then run the command.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from localcloud.control.extract_arm import Wheel
from localcloud.control.extract_output import write
from localcloud.control.extract_sdk import Schema, Sdk, snake

# The newest versions that still carry `_attribute_map` and `_validation`.
WHEELS = {
    "applicationinsights": "4.1.0",
    "authorization": "4.0.0",
    "keyvault": "12.1.1",
    "loganalytics": "13.1.1",
    "monitor": "7.0.0",
    "monitor/6": "6.0.2",  # 7.0 dropped diagnostic settings
    "msi": "7.1.0",
    "postgresqlflexibleservers": "2.0.0",
    "resource": "24.0.0",
    "servicebus": "9.0.0",
    "storage": "24.0.1",
    "web": "10.1.0",
}


class Arm(NamedTuple):
    """Where a wheel describes a resource type."""

    token: str
    wheel: str
    operations: str
    """The file in ``operations/`` without ``.py``; ``<version folder>/<file>`` in wheels with several versions."""
    builder: str
    """``build_<builder>_request`` is its PUT request."""
    model: str
    """The model of the request's body."""
    fixed: tuple[str, str] = ("", "")
    """A name of the path and what the provider, which takes no input for it, always writes there."""


TYPES = [
    Arm("azure-native:resources:ResourceGroup", "resource", "resources/v2024_11_01/_operations",
        "resource_groups_create_or_update", "ResourceGroup"),
    Arm("azure-native:operationalinsights:Workspace", "loganalytics", "_workspaces_operations", "create_or_update",
        "Workspace"),
    Arm("azure-native:operationalinsights:Table", "loganalytics", "_tables_operations", "create_or_update", "Table"),
    Arm("azure-native:operationalinsights:SavedSearch", "loganalytics", "_saved_searches_operations",
        "create_or_update", "SavedSearch"),
    Arm("azure-native:applicationinsights:Component", "applicationinsights", "v2020_02_02/_components_operations",
        "create_or_update", "ApplicationInsightsComponent"),
    Arm("azure-native:keyvault:Vault", "keyvault", "_vaults_operations", "create_or_update",
        "VaultCreateOrUpdateParameters"),
    Arm("azure-native:keyvault:Secret", "keyvault", "_secrets_operations", "create_or_update",
        "SecretCreateOrUpdateParameters"),
    Arm("azure-native:storage:StorageAccount", "storage", "_storage_accounts_operations", "create",
        "StorageAccountCreateParameters"),
    Arm("azure-native:storage:BlobContainer", "storage", "_blob_containers_operations", "create", "BlobContainer"),
    Arm("azure-native:storage:Queue", "storage", "_queue_operations", "create", "StorageQueue"),
    Arm("azure-native:storage:BlobServiceProperties", "storage", "_blob_services_operations",
        "set_service_properties", "BlobServiceProperties"),
    Arm("azure-native:storage:QueueServiceProperties", "storage", "_queue_services_operations",
        "set_service_properties", "QueueServiceProperties"),
    Arm("azure-native:storage:ManagementPolicy", "storage", "_management_policies_operations", "create_or_update",
        "ManagementPolicy"),
    Arm("azure-native:managedidentity:UserAssignedIdentity", "msi",
        "v2024_11_30/_user_assigned_identities_operations", "create_or_update", "Identity"),
    Arm("azure-native:authorization:RoleAssignment", "authorization", "v2022_04_01/_role_assignments_operations",
        "create", "RoleAssignmentCreateParameters"),
    Arm("azure-native:authorization:RoleDefinition", "authorization", "v2022_04_01/_role_definitions_operations",
        "create_or_update", "RoleDefinition"),
    Arm("azure-native:authorization:ManagementLockByScope", "resource", "locks/v2016_09_01/_operations",
        "management_locks_create_or_update_by_scope", "ManagementLockObject"),
    Arm("azure-native:web:AppServicePlan", "web", "_app_service_plans_operations", "create_or_update",
        "AppServicePlan"),
    Arm("azure-native:web:WebApp", "web", "_web_apps_operations", "create_or_update", "Site"),
    Arm("azure-native:web:WebAppApplicationSettings", "web", "_web_apps_operations", "update_application_settings",
        "StringDictionary"),
    Arm("azure-native:web:WebAppScmAllowed", "web", "_web_apps_operations", "update_scm_allowed",
        "CsmPublishingCredentialsPoliciesEntity"),
    Arm("azure-native:web:WebAppFtpAllowed", "web", "_web_apps_operations", "update_ftp_allowed",
        "CsmPublishingCredentialsPoliciesEntity"),
    Arm("azure-native:monitor:DataCollectionEndpoint", "monitor", "_data_collection_endpoints_operations", "create",
        "DataCollectionEndpointResource"),
    Arm("azure-native:monitor:DataCollectionRule", "monitor", "_data_collection_rules_operations", "create",
        "DataCollectionRuleResource"),
    Arm("azure-native:monitor:DiagnosticSetting", "monitor/6", "v2021_05_01_preview/_diagnostic_settings_operations",
        "create_or_update", "DiagnosticSettingsResource"),
    Arm("azure-native:monitor:MetricAlert", "monitor", "_metric_alerts_operations", "create_or_update",
        "MetricAlertResource"),
    Arm("azure-native:monitor:ScheduledQueryRule", "monitor", "_scheduled_query_rules_operations",
        "create_or_update", "ScheduledQueryRuleResource"),
    Arm("azure-native:monitor:ActionGroup", "monitor", "_action_groups_operations", "create_or_update",
        "ActionGroupResource"),
    Arm("azure-native:dbforpostgresql:Server", "postgresqlflexibleservers", "_servers_operations", "create_or_update",
        "Server"),
    Arm("azure-native:dbforpostgresql:Database", "postgresqlflexibleservers", "_databases_operations", "create",
        "Database"),
    Arm("azure-native:dbforpostgresql:AdministratorsMicrosoftEntra", "postgresqlflexibleservers",
        "_administrators_microsoft_entra_operations", "create_or_update", "AdministratorMicrosoftEntraAdd"),
    Arm("azure-native:dbforpostgresql:Configuration", "postgresqlflexibleservers", "_configurations_operations", "put",
        "ConfigurationForUpdate"),
    Arm("azure-native:dbforpostgresql:FirewallRule", "postgresqlflexibleservers", "_firewall_rules_operations",
        "create_or_update", "FirewallRule"),
    Arm("azure-native:servicebus:Namespace", "servicebus", "v2022_10_01_preview/_namespaces_operations",
        "create_or_update", "SBNamespace"),
    Arm("azure-native:servicebus:Queue", "servicebus", "v2022_10_01_preview/_queues_operations", "create_or_update",
        "SBQueue"),
    Arm("azure-native:servicebus:Topic", "servicebus", "v2022_10_01_preview/_topics_operations", "create_or_update",
        "SBTopic"),
    Arm("azure-native:servicebus:Subscription", "servicebus", "v2022_10_01_preview/_subscriptions_operations",
        "create_or_update", "SBSubscription"),
    Arm("azure-native:servicebus:Rule", "servicebus", "v2022_10_01_preview/_rules_operations", "create_or_update",
        "Rule"),
    Arm("azure-native:servicebus:DefaultRule", "servicebus", "v2022_10_01_preview/_rules_operations",
        "create_or_update", "Rule", ("ruleName", "$Default")),
]  # fmt: skip


def unpack(name: str, cache: Path) -> Path:
    """The package folder of a wheel of ``WHEELS``, unpacked once per version, without its dependencies."""
    service, version = name.partition("/")[0], WHEELS[name]
    target = cache / f"{service}-{version}"
    if not (target / "done").is_file():
        uv = Path(sys.executable).with_name("uv")
        pin = f"azure-mgmt-{service}=={version}"
        subprocess.run([str(uv), "pip", "install", "--quiet", "--no-deps", "--target", str(target), pin], check=True)
        (target / "done").touch()
    return target / "azure" / "mgmt" / service


def extract(cache: Path) -> dict[str, dict[str, Any]]:
    """File name -> content for every module of ``TYPES``."""
    spec = importlib.util.find_spec("pulumi_azure_native")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("pulumi-azure-native must be installed, it is not; install requirements.txt")
    wheels = {name: unpack(name, cache) for name in WHEELS}
    root = Path(spec.submodule_search_locations[0])
    sdk_version = importlib.metadata.version("pulumi-azure-native")
    files: dict[str, dict[str, Any]] = {}
    for module in sorted({arm.token.split(":")[1] for arm in TYPES}):
        sdk = Sdk(root, module)
        chosen = [arm for arm in TYPES if arm.token.split(":")[1] == module]
        resources = {arm.token: _resource(sdk, arm, wheels[arm.wheel]) for arm in chosen}
        used = sorted({f"azure-mgmt-{arm.wheel.partition('/')[0]} {WHEELS[arm.wheel]}" for arm in chosen})
        files[f"azure-native/{module}.json"] = {
            "sources": [f"pulumi-azure-native {sdk_version}", *used],
            "resources": resources,
            "types": sdk.types,
        }
    return files


def _resource(sdk: Sdk, arm: Arm, package: Path) -> dict[str, Any]:
    folder, _, operations = arm.operations.rpartition("/")
    wheel = Wheel(package / folder)
    inputs, outputs, version = sdk.resource(arm.token, f"{snake(arm.token.rpartition(':')[2])}.py")
    template, names, described = wheel.path(operations, arm.builder)
    if arm.fixed[0]:
        template = template.replace("{" + arm.fixed[0] + "}", arm.fixed[1])
        del names[arm.fixed[0]]
    by_lower = {name.lower(): name for name in inputs}
    keys = {key: by_lower.get(key.lower(), key) for key in names}
    for key, ours in keys.items():
        template = template.replace("{" + key + "}", "{" + ours + "}")
        if ours not in inputs and ours != "subscriptionId":
            raise LookupError(f"{arm.token}: path parameter {key!r} is no input of the provider's class")
    merge(sdk, inputs, wheel, arm.model, set())
    own = keys[re.findall(r"\{(\w+)\}", _original(template, keys))[-1]]
    for key, limit in names.items():
        if keys[key] in inputs:
            inputs[keys[key]].update(limit)
            inputs[keys[key]]["replace"] = True  # a name in the path is the resource's identity
    if "location" in inputs:
        inputs["location"]["replace"] = True  # ARM moves no resource between regions
    return {
        "api_version": version,
        "described_by": described,
        "id": template.replace("/resourcegroups/", "/resourceGroups/"),
        "inputs": inputs,
        "name_property": "" if arm.fixed[0] else own,
        "outputs": outputs,
    }


def _original(template: str, keys: dict[str, str]) -> str:
    for key, ours in keys.items():
        template = template.replace("{" + ours + "}", "{" + key + "}")
    return template


def merge(sdk: Sdk, properties: dict[str, Schema], wheel: Wheel, model: str, seen: set[tuple[str, str]]) -> None:
    """Add ARM's limits and enums to an SDK type's properties, and to the nested types they name."""
    attributes = wheel.attributes(model)
    for name, schema in properties.items():
        if name not in attributes:
            continue
        expression, limit = attributes[name]
        target = schema
        enum = limit.get("enum")
        schema.update({key: value for key, value in limit.items() if key not in {"enum", "readonly"}})
        while target.get("type") in {"array", "map"}:
            target = target["items"]
        # The SDK's enum is that of the API version which is sent, so it counts, unless it has no value in common with
        # the wheel's: then two enums of one name were mixed up in the SDK (monitor's ConditionOperator, measured).
        if (
            enum
            and target.get("type") == "string"
            and "const" not in target
            and not set(enum) & set(target.get("enum", ()))
        ):
            target["enum"] = enum
        inner = expression.strip("[]{}")
        for ref in [target["ref"]] if "ref" in target else target.get("one_of", []):
            value = sdk.types[ref].get(target.get("by", ""), {}).get("const", "")
            actual = wheel.subtypes(inner).get(value, inner)
            if (ref, actual) not in seen:
                seen.add((ref, actual))
                merge(sdk, sdk.types[ref], wheel, actual, seen)


def main() -> int:
    """Run the command; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Extract Azure's constraints into localcloud/control/constraints.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when the committed data differ")
    check = parser.parse_args().check
    cache = Path.home() / ".cache" / "millrace" / "azure-mgmt"
    changed = write(extract(cache), check=check)
    sys.stdout.write("\n".join(changed) + "\n" if check and changed else "")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
