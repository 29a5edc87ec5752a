"""AWS: the trust, the bucket, the queue and what binds them, made for real in the AWS emulators."""

import json
import uuid

from localcloud.control.kinds import Kind, Locality, Place, Subject, Values


def _policy(document: object) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _provider_arn(here: Place, it: Subject) -> str:
    return f"arn:aws:iam::{here.tenancy.aws_account}:oidc-provider/{str(it.inputs['url']).removeprefix('https://')}"


def _provider(here: Place, it: Subject) -> Values:
    return {"arn": it.id, "url": str(it.inputs["url"]).removeprefix("https://")}


async def _put_provider(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_oidc_provider(
        it.id, it.inputs["url"], it.inputs["clientIdLists"], it.inputs.get("thumbprintLists") or []
    )
    for audience in it.inputs["clientIdLists"]:
        # The application registration that a person makes on Azure: here, naming it is enough.
        here.cloud.identity.put_audience(audience)


async def _remove_provider(here: Locality, it: Subject) -> None:
    here.cloud.aws.remove_oidc_provider(it.id)


def _role(here: Place, it: Subject) -> Values:
    path = it.inputs.get("path", "/")
    return {
        "arn": f"arn:aws:iam::{here.tenancy.aws_account}:role{path}{it.id}",
        "uniqueId": f"AROA{uuid.uuid5(uuid.NAMESPACE_OID, it.id).hex[:17].upper()}",
    }


async def _put_role(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_role(
        it.id, _policy(it.inputs["assumeRolePolicy"]), int(it.inputs.get("maxSessionDuration", 3600))
    )


async def _remove_role(here: Locality, it: Subject) -> None:
    here.cloud.aws.remove_role(it.id)


async def _put_role_policy(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_role_policy(it.inputs["role"], it.id.split(":", 1)[1], _policy(it.inputs["policy"]))


async def _remove_role_policy(here: Locality, it: Subject) -> None:
    here.cloud.aws.remove_role_policy(it.inputs["role"], it.id.split(":", 1)[1])


def _bucket(here: Place, it: Subject) -> Values:
    region = it.inputs.get("region", here.tenancy.aws_region)
    return {
        "arn": f"arn:aws:s3:::{it.id}",
        "region": region,
        "bucketDomainName": f"{it.id}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{it.id}.s3.{region}.amazonaws.com",
    }


async def _put_bucket(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_bucket(it.id)


async def _remove_bucket(here: Locality, it: Subject) -> None:
    here.cloud.aws.remove_bucket(it.id, force=bool(it.inputs.get("forceDestroy")))


async def _put_versioning(here: Locality, it: Subject) -> None:
    status = it.inputs["versioningConfiguration"]["status"]
    here.cloud.aws.put_bucket_versioning(it.id, status)


async def _put_bucket_policy(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_bucket_policy(it.id, _policy(it.inputs["policy"]))


async def _remove_bucket_policy(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_bucket_policy(it.id, "")


async def _put_notification(here: Locality, it: Subject) -> None:
    queues = [
        {
            "id": queue.get("id", f"queue-{position}"),
            "queue_arn": queue["queueArn"],
            "events": queue["events"],
            "filter_prefix": queue.get("filterPrefix", ""),
            "filter_suffix": queue.get("filterSuffix", ""),
        }
        for position, queue in enumerate(it.inputs.get("queues") or [])
    ]
    here.cloud.aws.put_bucket_notification(it.id, queues)


async def _remove_notification(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_bucket_notification(it.id, [])


def _queue_outputs(here: Place, it: Subject) -> Values:
    region = it.inputs.get("region", here.tenancy.aws_region)
    return {"arn": f"arn:aws:sqs:{region}:{here.tenancy.aws_account}:{it.inputs['name']}", "url": it.id}


QUEUE_ATTRIBUTES = {
    "delaySeconds": "DelaySeconds",
    "policy": "Policy",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "redrivePolicy": "RedrivePolicy",
    "redriveAllowPolicy": "RedriveAllowPolicy",
}
"""Inputs of `aws:sqs/queue:Queue` → attribute names of the SQS API."""


async def _put_queue(here: Locality, it: Subject) -> None:
    attributes = {
        api: str(it.inputs[ours]) for ours, api in QUEUE_ATTRIBUTES.items() if it.inputs.get(ours) is not None
    }
    here.cloud.aws.put_queue(it.inputs["name"], attributes)


async def _remove_queue(here: Locality, it: Subject) -> None:
    here.cloud.aws.remove_queue(it.inputs["name"])


async def _look_at_queue(here: Locality, it: Subject) -> Values | None:
    """The queue's attributes as SQS has them, in the program's own words: only what the program set can differ."""
    attributes = here.cloud.aws.queue_attributes(it.inputs["name"])
    if attributes is None:
        return None
    inputs = dict(it.inputs)
    for ours, api in QUEUE_ATTRIBUTES.items():
        if ours in inputs and api in attributes and str(inputs[ours]) != attributes[api]:
            inputs[ours] = int(attributes[api]) if isinstance(inputs[ours], int) else attributes[api]
    return inputs


async def _look_for_bucket(here: Locality, it: Subject) -> Values | None:
    """Also for a bucket's settings of which nothing can change but with the bucket itself."""
    return it.inputs if here.cloud.aws.bucket(it.inputs["bucket"]) else None


async def _look_at_versioning(here: Locality, it: Subject) -> Values | None:
    bucket, wanted = here.cloud.aws.bucket(it.id), it.inputs["versioningConfiguration"]
    if bucket is None:
        return None
    return {**it.inputs, "versioningConfiguration": {**wanted, "status": bucket.versioning or "Suspended"}}


async def _look_at_bucket_policy(here: Locality, it: Subject) -> Values | None:
    bucket = here.cloud.aws.bucket(it.id)
    return _with_policy(it, bucket.policy if bucket else "")


async def _look_at_notification(here: Locality, it: Subject) -> Values | None:
    bucket = here.cloud.aws.bucket(it.id)
    return it.inputs if bucket and (bucket.notifications or not it.inputs.get("queues")) else None


async def _look_at_queue_policy(here: Locality, it: Subject) -> Values | None:
    return _with_policy(it, (here.cloud.aws.queue_attributes(it.last) or {}).get("Policy", ""))


def _with_policy(it: Subject, found: str) -> Values | None:
    """The inputs with the policy that is really there; a policy that says the same stays as the program wrote it."""
    if not found:
        return None
    ours = it.inputs["policy"]
    same = json.loads(found) == (json.loads(ours) if isinstance(ours, str) else ours)
    return it.inputs if same else {**it.inputs, "policy": found}


async def _look_for_role(here: Locality, it: Subject) -> Values | None:
    return it.inputs if it.id in here.cloud.aws.account.roles else None


async def _look_for_role_policy(here: Locality, it: Subject) -> Values | None:
    role = here.cloud.aws.account.roles.get(it.inputs["role"])
    return it.inputs if role and it.id.split(":", 1)[1] in role.policies else None


async def _look_for_provider(here: Locality, it: Subject) -> Values | None:
    return it.inputs if it.id in here.cloud.aws.account.providers else None


async def _put_queue_policy(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_queue_policy(it.last, _policy(it.inputs["policy"]))


async def _remove_queue_policy(here: Locality, it: Subject) -> None:
    here.cloud.aws.put_queue_policy(it.last, "")


def _by_bucket(here: Place, it: Subject) -> str:
    return str(it.inputs["bucket"])


def _named(here: Place, it: Subject) -> str:
    return str(it.inputs.get("name") or it.name)


def _queue_url(here: Place, it: Subject) -> str:
    return f"{here.endpoints.get('sqs', '')}/{here.tenancy.aws_account}/{it.inputs.get('name') or it.name}"


OF_A_BUCKET = (
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketNotification:BucketNotification",
)
SETTINGS_OF_A_BUCKET = (
    "aws:s3/bucketLogging:BucketLogging",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
)
"""Recorded only: nothing here acts on them."""

KINDS = {
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Kind(
        id_of=_provider_arn, outputs=_provider, apply=_put_provider, remove=_remove_provider, look=_look_for_provider
    ),
    "aws:iam/role:Role": Kind(
        id_of=_named,
        outputs=_role,
        apply=_put_role,
        remove=_remove_role,
        look=_look_for_role,
        parts=("aws:iam/rolePolicy:RolePolicy",),
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        id_of=lambda _here, it: f"{it.inputs['role']}:{it.inputs.get('name') or it.name}",
        apply=_put_role_policy,
        remove=_remove_role_policy,
        look=_look_for_role_policy,
    ),
    "aws:s3/bucket:Bucket": Kind(
        id_of=_by_bucket,
        outputs=_bucket,
        apply=_put_bucket,
        remove=_remove_bucket,
        look=_look_for_bucket,
        parts=(*OF_A_BUCKET, *SETTINGS_OF_A_BUCKET),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Kind(id_of=_by_bucket, apply=_put_versioning, look=_look_at_versioning),
    "aws:s3/bucketPolicy:BucketPolicy": Kind(
        id_of=_by_bucket, apply=_put_bucket_policy, remove=_remove_bucket_policy, look=_look_at_bucket_policy
    ),
    "aws:s3/bucketNotification:BucketNotification": Kind(
        id_of=_by_bucket, apply=_put_notification, remove=_remove_notification, look=_look_at_notification
    ),
    **{type_: Kind(id_of=_by_bucket, look=_look_for_bucket) for type_ in SETTINGS_OF_A_BUCKET},
    "aws:sqs/queue:Queue": Kind(
        id_of=_queue_url,
        outputs=_queue_outputs,
        apply=_put_queue,
        remove=_remove_queue,
        look=_look_at_queue,
        parts=("aws:sqs/queuePolicy:QueuePolicy", "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Kind(
        id_of=lambda _here, it: str(it.inputs["queueUrl"]),
        apply=_put_queue_policy,
        remove=_remove_queue_policy,
        look=_look_at_queue_policy,
    ),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": Kind(id_of=lambda _here, it: str(it.inputs["queueUrl"])),
}
