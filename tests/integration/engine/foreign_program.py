"""A foreign program that uses what Pulumi offers around a resource. Copied as `__main__.py`; `phase` changes it."""

import pulumi
import pulumi_aws as aws
import pulumi_azure_native as azure
from pulumi import ResourceOptions

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
config = pulumi.Config()
phase = config.get_int("phase") or 1
north = azure.Provider("north", subscription_id=SUBSCRIPTION, location="northeurope")
states = aws.Provider("states", region="us-east-1", allowed_account_ids=["123456789012"])
group = azure.resources.ResourceGroup("group", location="westeurope")
elsewhere = azure.resources.ResourceGroup("elsewhere", opts=ResourceOptions(provider=north))
account = azure.storage.StorageAccount(
    "acct",
    resource_group_name=group.name,
    kind="StorageV2",
    sku={"name": "Standard_LRS"},
    tags={"phase": str(phase), "owner": f"owner-{phase}"},
    opts=ResourceOptions(ignore_changes=["tags.owner"]),
)


class Box(pulumi.ComponentResource):
    """A component that is renamed in phase 2."""

    def __init__(self, name: str) -> None:
        super().__init__("foreign:index:Box", name, None, ResourceOptions(aliases=[pulumi.Alias(name="first")]))
        azure.storage.BlobContainer(
            "blobs",
            account_name=account.name,
            resource_group_name=group.name,
            container_name="blobs",
            opts=ResourceOptions(parent=self),
        )


Box("first" if phase == 1 else "renamed")
# No alias: to Pulumi another resource under the same physical name.
azure.storage.Queue(
    "before" if phase == 1 else "after", account_name=account.name, resource_group_name=group.name, queue_name="jobs"
)
queue = aws.sqs.Queue(
    "queue",
    visibility_timeout_seconds=30 + phase,
    opts=ResourceOptions(provider=states, replace_on_changes=["visibilityTimeoutSeconds"], delete_before_replace=True),
)
policy = aws.iam.get_policy_document_output(
    statements=[
        aws.iam.GetPolicyDocumentStatementArgs(
            actions=["sqs:SendMessage"],
            resources=["*"],
            principals=[
                aws.iam.GetPolicyDocumentStatementPrincipalArgs(type="Service", identifiers=["s3.amazonaws.com"])
            ],
        )
    ]
)
aws.sqs.QueuePolicy("policy", queue_url=queue.url, policy=policy.json, opts=ResourceOptions(provider=states))
tagged = azure.managedidentity.UserAssignedIdentity(
    "tagged",
    resource_group_name=group.name,
    tags={"key": config.require_secret("key")},
    opts=ResourceOptions(deleted_with=group),
)
seen = azure.storage.get_storage_account_output(account_name=account.name, resource_group_name=group.name)
known = azure.resources.ResourceGroup.get("known", group.id)
pulumi.export("where", [aws.get_region().region, elsewhere.location, account.location, known.location])
pulumi.export("arn", queue.arn)
pulumi.export("url", queue.url)
pulumi.export("sameAccount", pulumi.Output.all(seen.id, account.id).apply(lambda ids: ids[0] == ids[1]))
pulumi.export("tags", tagged.tags)
