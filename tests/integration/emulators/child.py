"""A process that holds a LocalCloud and replays the same puts at each start, as the control plane does."""

import asyncio
import json
import os
import sys
from pathlib import Path

from localcloud.emulators.cloud import LocalCloud
from tests.integration.emulators.local import (
    AWS_ACCOUNT,
    BLOB_CONTRIBUTOR,
    GROUP,
    METRICS_PUBLISHER,
    QUEUE_CONTRIBUTOR,
    REGION,
    SUBSCRIPTION,
    TENANT,
)

ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stkill"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log"
BUS = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/buskill"
BUS_OWNER = "090c5cfd-751d-490a-894a-3ce6f1109419"
RULE = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/dcr"
STREAM = "Custom-Events_CL"
COLUMNS = [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Name", "type": "string"}]
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{AWS_ACCOUNT}:events"
ALLOW_S3 = {
    "Effect": "Allow",
    "Principal": {"Service": "s3.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": QUEUE_ARN,
}


async def declare(cloud: LocalCloud) -> None:
    """The puts."""
    await cloud.storage.put_account(ACCOUNT, "stkill")
    await cloud.storage.put_container(f"{ACCOUNT}/blobServices/default/containers/pages", "stkill", "pages")
    await cloud.storage.put_queue(f"{ACCOUNT}/queueServices/default/queues/work", "stkill", "work")
    await cloud.vault.put_vault(VAULT, "kv")
    who = cloud.identity.deployer.principal_id
    for number, (role, scope) in enumerate(
        [(BLOB_CONTRIBUTOR, ACCOUNT), (QUEUE_CONTRIBUTOR, ACCOUNT), (METRICS_PUBLISHER, RULE)]
    ):
        cloud.access.assign(str(number), who, role, scope)
    cloud.logs.put_workspace(WORKSPACE, "customer", "log")
    cloud.logs.put_table(WORKSPACE, "Events_CL", COLUMNS)
    flows = [{"streams": [STREAM], "destinations": ["log"]}]
    target = {"logAnalytics": [{"name": "log", "workspaceResourceId": WORKSPACE}]}
    cloud.logs.put_rule(RULE, "dcr-1", {STREAM: {"columns": COLUMNS}}, flows, target)
    await cloud.buses.put("buskill", BUS)
    await cloud.buses.put_queue("buskill", "jobs", {"queueName": "jobs", "lockDuration": "PT1M"})
    await cloud.buses.put_topic("buskill", "news", {"topicName": "news"})
    await cloud.buses.put_subscription("buskill", "news", "desk", {})
    cloud.access.assign("bus", who, BUS_OWNER, BUS)
    cloud.aws.put_queue("events", {"VisibilityTimeout": "360"})
    cloud.aws.put_queue_policy("events", json.dumps({"Version": "2012-10-17", "Statement": [ALLOW_S3]}))
    cloud.aws.put_bucket("logs")
    cloud.aws.put_bucket_versioning("logs", "Enabled")
    cloud.aws.put_bucket_notification("logs", [{"id": "n", "queue_arn": QUEUE_ARN, "events": ["s3:ObjectCreated:*"]}])


async def main(home: Path) -> None:
    """Starts, declares, says so on stdout, stays."""
    cloud = LocalCloud(home, tenant_id=TENANT, subscription_id=SUBSCRIPTION, aws_account=AWS_ACCOUNT, region=REGION)
    await cloud.start()
    await declare(cloud)
    audiences = ("https://storage.azure.com", "https://monitor.azure.com", "https://servicebus.azure.net")
    token = {a: cloud.identity.token("deployer", a) for a in audiences}
    if cloud.vault.get_secret("kv", "s") is None:
        cloud.vault.set_secret("kv", "s", "kept")
    keys = cloud.aws.vendor_keys()
    said = {
        "pid": os.getpid(),
        "endpoints": {**cloud.endpoints, **cloud.buses.endpoints()},
        "tokens": token,
        "keys": keys,
        "secrets": len(cloud.vault.bundles("kv", "s")),
        "rows": cloud.logs.query("select count(*) from Events_CL")[1][0][0],
        "azurite": int((home / "azurite" / "azurite.pid").read_text()),
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
