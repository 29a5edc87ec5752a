"""A function app: everything is derived from its steps and from what they use, on both plans."""

from pathlib import Path

from components.roles import ROLES
from tests.components.function_workers import timed, worker
from tests.components.program import SUBSCRIPTION

ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo-test/providers"
FORBIDDEN_ON_FLEX = {
    "AzureWebJobsStorage",
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID",
    "WEBSITE_VNET_ROUTE_ALL",
}
"""learn.microsoft.com/azure/azure-functions/functions-app-settings: Flex Consumption refuses or ignores these."""


def test_from_a_worker_come_plan_app_identity_host_storage_package_and_deployment(tmp_path: Path) -> None:
    found = timed(tmp_path)
    own = sorted(one.type.split(":")[-1] for one in found.custom if "FunctionWorker" in one.urn)
    assert own == [
        "AppServicePlan",
        "BlobContainer",
        "Deployment",
        "Package",
        *["RoleAssignment"] * 4,
        "StorageAccount",
        "UserAssignedIdentity",
        "WebApp",
        "WebAppFtpAllowed",
        "WebAppScmAllowed",
    ]


def test_an_app_is_closed_by_default(tmp_path: Path) -> None:
    site = timed(tmp_path).one("WebApp").inputs
    assert site["httpsOnly"] is True
    config = {key: value for key, value in site["siteConfig"].items() if key != "appSettings"}
    assert config == {
        "ftpsState": "Disabled",
        "http20Enabled": True,
        "minTlsVersion": "1.2",
        "scmMinTlsVersion": "1.2",
    }


def test_nobody_publishes_by_password(tmp_path: Path) -> None:
    found = timed(tmp_path)
    for policy in (found.one("WebAppFtpAllowed"), found.one("WebAppScmAllowed")):
        assert policy.inputs["allow"] is False
        assert policy.inputs["name"] == found.one("WebApp").inputs["name"]


def test_an_app_is_its_own_identity_everywhere(tmp_path: Path) -> None:
    found = timed(tmp_path)
    identity, site = found.one("UserAssignedIdentity"), found.one("WebApp").inputs
    assert site["identity"] == {"type": "UserAssigned", "userAssignedIdentities": [identity.id]}
    assert site["keyVaultReferenceIdentity"] == identity.id
    settings = found.app_settings()
    clients = [name for name, value in settings.items() if name.lower().endswith(("client_id", "__clientid"))]
    assert sorted(clients) == ["AZURE_CLIENT_ID", "AzureWebJobsStorage__clientId"]
    assert {settings[name] for name in clients} == {settings["AZURE_CLIENT_ID"]}
    assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == (
        f"ClientId={settings['AZURE_CLIENT_ID']};Authorization=AAD"
    )


def test_the_host_needs_its_own_account_its_table_and_telemetry(tmp_path: Path) -> None:
    found = timed(tmp_path)
    (host,) = [one for one in found.all("StorageAccount") if "host" in one.name]
    container = f"{host.id}/blobServices/default/containers/packages"
    assert found.grants() == {
        (ROLES["blob.own"].id, host.id),
        (ROLES["table.write"].id, host.id),
        (ROLES["telemetry.write"].id, found.one("applicationinsights:Component").id),
        (ROLES["blob.write"].id, container),  # the deployer's
    }


def test_a_role_goes_to_the_app_or_to_the_deployer_and_each_says_what_for(tmp_path: Path) -> None:
    found = timed(tmp_path)
    principal = found.one("UserAssignedIdentity").outputs["principalId"]
    holders = {one.inputs["description"]: one.inputs["principalId"] for one in found.all("RoleAssignment")}
    deployer = "blob.write on demo-packages: Storage Blob Data Contributor"
    assert holders.pop(deployer) != principal
    assert set(holders.values()) == {principal}
    assert {one.inputs["principalType"] for one in found.all("RoleAssignment")} == {"ServicePrincipal"}


def test_a_person_may_deploy(tmp_path: Path) -> None:
    found = worker(tmp_path, deployer_type="User")
    types = {one.name: one.inputs["principalType"] for one in found.all("RoleAssignment")}
    assert types.pop("demo-deployer") == "User"
    assert set(types.values()) == {"ServicePrincipal"}


def test_no_app_starts_before_its_roles(tmp_path: Path) -> None:
    found = worker(tmp_path)
    site = found.one("WebApp")
    granted = {one.urn for one in found.all("RoleAssignment") if one.name != "demo-deployer"}
    assert granted <= set(site.dependencies)
    assert {one.urn for one in found.all("storage:Queue") if one.name != "next"} <= set(site.dependencies)
    deployer = found.one("RoleAssignment", "demo-deployer")
    assert deployer.urn in found.one("Package").dependencies
    assert {found.one("Package").urn, site.urn} <= set(found.one("Deployment").dependencies)


def test_a_queue_trigger_gets_its_address_by_identity_and_may_put_poison_aside(tmp_path: Path) -> None:
    found = worker(tmp_path)
    settings = found.app_settings()
    assert settings["JOBS__queueServiceUri"] == "https://queue.test/demotesteefa8/"
    assert settings["JOBS__credential"] == "managedidentity"
    assert settings["JOBS__clientId"] == settings["AZURE_CLIENT_ID"]
    queues = f"{ID}/Microsoft.Storage/storageAccounts/demotesteefa8/queueServices/default/queues"
    on_queues = {(role, scope) for role, scope in found.grants() if "/queues/" in scope}
    assert on_queues == {
        (ROLES["queue.receive"].id, f"{queues}/jobs"),
        (ROLES["queue.send"].id, f"{queues}/jobs"),
        (ROLES["queue.send"].id, f"{queues}/jobs-poison"),
    }


def test_one_link_used_twice_is_one_grant(tmp_path: Path) -> None:
    found = worker(
        tmp_path,
        lambda parts: {"uses": [parts.jobs.send(), parts.jobs.send(), parts.out.write(), parts.out.read()]},
    )
    on_out = [role for role, scope in found.grants() if scope.endswith("containers/out")]
    assert sorted(on_out) == sorted([ROLES["blob.write"].id, ROLES["blob.read"].id])


def test_a_schedule_is_a_setting_so_that_one_package_serves_every_environment(tmp_path: Path) -> None:
    often, seldom = timed(tmp_path, "*/2 * * * * *"), timed(tmp_path, "0 0 3 * * *")
    assert often.app_settings()["TICK_SCHEDULE"] == "*/2 * * * * *"
    assert seldom.app_settings()["TICK_SCHEDULE"] == "0 0 3 * * *"
    assert '"schedule": "%TICK_SCHEDULE%"' in often.one("Package").inputs["declaration"]
    assert often.one("Package").inputs["digest"] == seldom.one("Package").inputs["digest"]


def test_flex_says_runtime_scale_and_package_in_its_own_section(tmp_path: Path) -> None:
    found = timed(tmp_path, memory_mb=512, max_instances=60)
    assert found.one("AppServicePlan").inputs["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    identity = found.one("UserAssignedIdentity").id
    host = "demohosttesteefa8"
    assert found.one("WebApp").inputs["functionAppConfig"] == {
        "deployment": {
            "storage": {
                "type": "blobContainer",
                "value": f"https://blob.test/{host}/packages",
                "authentication": {"type": "UserAssignedIdentity", "userAssignedIdentityResourceId": identity},
            }
        },
        "runtime": {"name": "python", "version": "3.12"},
        "scaleAndConcurrency": {"instanceMemoryMB": 512, "maximumInstanceCount": 60},
    }
    assert FORBIDDEN_ON_FLEX.isdisjoint(found.app_settings())
    deployment = found.one("Deployment").inputs
    assert deployment["publish_url"] == "https://scm.test/demo-test-eefa8"
    assert deployment["package_url"].startswith(f"https://blob.test/{host}/packages/demo-")


def test_consumption_runs_the_package_that_a_setting_names_fetched_by_identity(tmp_path: Path) -> None:
    found = timed(tmp_path, plan="consumption", max_instances=5)
    assert found.one("AppServicePlan").inputs["sku"] == {"name": "Y1", "tier": "Dynamic"}
    site = found.one("WebApp").inputs
    assert "functionAppConfig" not in site
    assert site["siteConfig"]["linuxFxVersion"] == "Python|3.12"
    assert site["siteConfig"]["functionAppScaleLimit"] == 5
    settings = found.app_settings()
    url = settings["WEBSITE_RUN_FROM_PACKAGE"]
    assert url.startswith("https://blob.test/demohosttesteefa8/packages/demo-")
    assert found.one("Package").inputs["digest"][:12] in url
    assert settings["WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID"] == found.one("UserAssignedIdentity").id
    assert (settings["FUNCTIONS_EXTENSION_VERSION"], settings["FUNCTIONS_WORKER_RUNTIME"]) == ("~4", "python")
    assert found.one("Package").urn in found.one("WebApp").dependencies
    assert found.one("Deployment").inputs["management_url"] == "https://management.azure.com"


def test_settings_are_what_is_supplied_and_nothing_else(tmp_path: Path) -> None:
    found = worker(tmp_path, lambda _parts: {"environment": {"LIMIT": "7"}})
    own = {name for name in found.app_settings() if not name.startswith(("AzureWebJobs", "APPLICATIONINSIGHTS_"))}
    assert own == {
        "AZURE_CLIENT_ID",
        "JOBS_QUEUE_ENDPOINT",
        "JOBS_QUEUE_NAME",
        "JOBS__clientId",
        "JOBS__credential",
        "JOBS__queueServiceUri",
        "LIMIT",
        "OUT_URL",
    }


def test_each_kind_of_plan_has_its_own_name_and_moving_between_them_replaces_the_app(tmp_path: Path) -> None:
    """Azure changes no plan's tier between these two, and moves no app between such plans."""
    flex, y1 = timed(tmp_path), timed(tmp_path, plan="consumption")
    assert [one.one("AppServicePlan").inputs["name"] for one in (flex, y1)] == ["demo-test", "demo-consumption-test"]
    for found in (flex, y1):
        assert found.one("WebApp").inputs["serverFarmId"] == found.one("AppServicePlan").id
        assert found.one("WebApp").replace_on_changes == ["serverFarmId"]
