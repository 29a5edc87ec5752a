"""A small program of another project: what it declares follows its stack's settings. Copied as `__main__.py`."""

from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_azure_native as azure
from wallclock import Mark  # type: ignore[import-not-found]  # lies beside the copy

config = pulumi.Config()
suffix = pulumi.get_stack()
color = config.get("color") or "blue"
shape = config.get_object("shape") or {}


def paint(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    """A stack transform: every group carries the color, and ignores what others do to its owner tag."""
    if args.type_ != "azure-native:resources:ResourceGroup":
        return None
    props: dict[str, Any] = dict(args.props)
    props["tags"] = {**props["tags"], "color": color}
    options = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(ignore_changes=["tags.owner"]))
    return pulumi.ResourceTransformResult(props, options)


pulumi.runtime.register_resource_transform(paint)
group = azure.resources.ResourceGroup(
    "tiny", resource_group_name=f"tiny-{suffix}", location="westeurope", tags={"owner": config.get("owner") or "us"}
)
account = azure.storage.StorageAccount(
    "tiny",
    account_name=f"tiny{suffix}",
    resource_group_name=group.name,
    location=config.get("region") or "westeurope",
    kind="StorageV2",
    sku={"name": "Standard_LRS"},
    opts=pulumi.ResourceOptions(protect=bool(shape.get("protect"))),
)
identity = azure.managedidentity.UserAssignedIdentity(
    "tiny",
    resource_name_=f"tiny-{suffix}",
    resource_group_name=group.name,
    location="westeurope",
    tags={"color": color},
)
reader = azure.authorization.RoleAssignment(
    "reader",
    scope=account.id,
    principal_id=identity.principal_id,
    principal_type="ServicePrincipal",
    role_definition_id=(
        "/subscriptions/11111111-1111-4111-8111-111111111111/providers/Microsoft.Authorization/roleDefinitions/"
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    ),
)
plan = azure.web.AppServicePlan(
    "tiny",
    name=f"tiny-{suffix}",
    resource_group_name=group.name,
    location="westeurope",
    kind="functionapp",
    reserved=True,
    sku={"name": "Y1", "tier": "Dynamic"},
)
app = azure.web.WebApp(
    "tiny",
    name=f"tiny-{suffix}",
    resource_group_name=group.name,
    location="westeurope",
    kind="functionapp,linux",
    server_farm_id=plan.id,
    https_only=True,
    site_config={
        "linux_fx_version": "Python|3.12",
        "app_settings": [
            {"name": "FUNCTIONS_WORKER_RUNTIME", "value": "python"},
            {"name": "FUNCTIONS_EXTENSION_VERSION", "value": "~4"},
            {"name": "PRINCIPAL", "value": identity.principal_id},
            {"name": "KEY", "value": config.require_secret("key")},
        ],
    },
)
queue = aws.sqs.Queue("tiny", name=f"tiny-{suffix}", visibility_timeout_seconds=config.get_int("visibilityS") or 30)
if shape.get("old_queue"):
    aws.sqs.Queue("old", name=f"old-{suffix}", opts=pulumi.ResourceOptions(retain_on_delete=True))
mark = Mark("mark", app.name, pulumi.ResourceOptions(depends_on=[reader]))
pulumi.export("principal", identity.principal_id)
pulumi.export("queueUrl", queue.url)
pulumi.export("mark", mark.text)
pulumi.export("app", app.name)
