"""Storage accounts, containers and queues: made for real in the storage emulator."""

from localcloud.control.kinds import Kind, Locality, Place, Subject, Values


def _account(here: Place, it: Subject) -> Values:
    name = it.inputs["accountName"]
    endpoints = {kind: f"{here.endpoints[kind]}/{name}/" for kind in ("blob", "queue")}
    # No table service runs here; the host's own diagnostic events are its only user.
    return {"primaryEndpoints": {**endpoints, "table": ""}}


async def _put_account(here: Locality, it: Subject) -> None:
    await here.cloud.storage.put_account(it.id, it.inputs["accountName"])


async def _remove_account(here: Locality, it: Subject) -> None:
    await here.cloud.storage.remove_account(it.inputs["accountName"])


async def _put_container(here: Locality, it: Subject) -> None:
    await here.cloud.storage.put_container(it.id, it.inputs["accountName"], it.inputs["containerName"])


async def _remove_container(here: Locality, it: Subject) -> None:
    await here.cloud.storage.remove_container(it.inputs["accountName"], it.inputs["containerName"])


async def _put_queue(here: Locality, it: Subject) -> None:
    await here.cloud.storage.put_queue(it.id, it.inputs["accountName"], it.inputs["queueName"])


async def _remove_queue(here: Locality, it: Subject) -> None:
    await here.cloud.storage.remove_queue(it.inputs["accountName"], it.inputs["queueName"])


KINDS = {
    "azure-native:storage:StorageAccount": Kind(outputs=_account, apply=_put_account, remove=_remove_account),
    "azure-native:storage:BlobContainer": Kind(apply=_put_container, remove=_remove_container),
    "azure-native:storage:Queue": Kind(apply=_put_queue, remove=_remove_queue),
}
