"""A management lock on what holds data: Azure itself refuses to delete it, whoever asks.

On the resource, not on its group: a lock is inherited by all that lies below, and Azure deletes no group that holds
something locked (never a part of it either), so nothing is gained there, and no app, role or plan of the group could be
replaced any more. What a lock does stop, below an account: deleting its containers, queues and role assignments
through Azure's management; what goes through the data plane (blobs, messages, a container by its own API) it does not.
Source: learn.microsoft.com/azure/azure-resource-manager/management/lock-resources. AWS has no locks.
"""

import pulumi
from pulumi_azure_native import authorization

from components.naming import Environment


def lock(
    name: str, scope: pulumi.Input[str], environment: Environment, *, parent: pulumi.Resource
) -> authorization.ManagementLockByScope | None:
    """Lock `scope` (a resource's id) against deletion where data is kept; None elsewhere.

    It hangs on the resource alone, so it comes after it and goes before it.
    """
    if not (environment.keeps_data and environment.locks):
        return None
    return authorization.ManagementLockByScope(
        f"{name}-lock",
        lock_name="keeps-data",
        level=authorization.LockLevel.CAN_NOT_DELETE,
        scope=scope,
        notes="Holds data. To remove something here, first: pulumi config set millrace:locks false, then pulumi up.",
        opts=pulumi.ResourceOptions(parent=parent),
    )
