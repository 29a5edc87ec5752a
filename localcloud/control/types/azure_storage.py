"""Storage accounts, containers and queues: made for real in the storage emulator."""

from http import HTTPStatus

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


async def _is_there(here: Locality, it: Subject, service: str, name: str, query: str) -> Values | None:
    storage = here.cloud.storage
    url = storage.target(storage.base(service), it.inputs["accountName"], f"/{name}", query)
    if url is None:
        return None
    async with storage.session.get(url, headers={"x-ms-version": "2024-11-04"}) as response:
        return None if response.status == HTTPStatus.NOT_FOUND else it.inputs


async def _look_for_container(here: Locality, it: Subject) -> Values | None:
    return await _is_there(here, it, "blob", it.inputs["containerName"], "restype=container")


async def _look_for_queue(here: Locality, it: Subject) -> Values | None:
    return await _is_there(here, it, "queue", it.inputs["queueName"], "comp=metadata")


KINDS = {
    "azure-native:storage:StorageAccount": Kind(outputs=_account, apply=_put_account, remove=_remove_account),
    "azure-native:storage:BlobContainer": Kind(
        apply=_put_container, remove=_remove_container, look=_look_for_container
    ),
    "azure-native:storage:Queue": Kind(apply=_put_queue, remove=_remove_queue, look=_look_for_queue),
}
