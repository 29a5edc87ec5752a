"""Azure Storage through the door, with Microsoft's own SDKs."""

import uuid
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient

from tests.integration.emulators.local import (
    BLOB_CONTRIBUTOR,
    BLOB_READER,
    GROUP,
    QUEUE_CONTRIBUTOR,
    QUEUE_SENDER,
    Local,
    TokenOf,
)

ACCOUNT = "stmillrace"
ARM_ID = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"


@pytest.fixture(scope="module", autouse=True)
def account(local: Local) -> None:
    local.run(local.cloud.storage.put_account(ARM_ID, ACCOUNT))


def container(local: Local, credential: Any) -> tuple[str, ContainerClient]:
    name = f"c{uuid.uuid4().hex[:8]}"
    scope = f"{ARM_ID}/blobServices/default/containers/{name}"
    local.run(local.cloud.storage.put_container(scope, ACCOUNT, name))
    url = f"{local.cloud.endpoints['blob']}/{ACCOUNT}/{name}"
    return scope, ContainerClient.from_container_url(
        url, credential=credential, connection_verify=local.ca, retry_total=0
    )


def queue(local: Local, principal: str) -> tuple[str, QueueClient]:
    name = f"q{uuid.uuid4().hex[:8]}"
    scope = f"{ARM_ID}/queueServices/default/queues/{name}"
    local.run(local.cloud.storage.put_queue(scope, ACCOUNT, name))
    url = f"{local.cloud.endpoints['queue']}/{ACCOUNT}/{name}"
    return scope, QueueClient.from_queue_url(
        url, credential=TokenOf(local, principal), connection_verify=local.ca, retry_total=0
    )


def code(error: HttpResponseError) -> str:
    response: Any = error.response
    return str(response.headers["x-ms-error-code"])


def test_a_contributor_of_one_container_reads_and_writes_odd_names_there(local: Local) -> None:
    who = local.identity("writer")
    scope, client = container(local, TokenOf(local, who))
    local.assign(who, BLOB_CONTRIBUTOR, scope.upper())
    data = bytes(range(256)) * 40_000  # more than one chunk on every hop
    for name in ("plain.txt", "a b/ü+%25 (1)&=.json", "deep/er/x"):
        client.upload_blob(name, data, overwrite=True)
        assert client.download_blob(name).readall() == data
    assert {blob.name for blob in client.list_blobs()} == {"plain.txt", "a b/ü+%25 (1)&=.json", "deep/er/x"}
    with pytest.raises(ResourceExistsError):
        client.upload_blob("plain.txt", b"second")
    client.delete_blob("plain.txt")


def test_a_role_on_another_container_is_refused_and_named(local: Local) -> None:
    who = local.identity("reader")
    _, mine = container(local, TokenOf(local, who))
    scope, _ = container(local, TokenOf(local, who))
    local.assign(who, BLOB_CONTRIBUTOR, scope)
    with pytest.raises(HttpResponseError) as refused:
        mine.upload_blob("x", b"x")
    assert refused.value.status_code == 403
    assert code(refused.value) == "AuthorizationPermissionMismatch"
    assert "blobs/write" in str(refused.value)


def test_a_reader_inherits_from_the_account_and_cannot_write(local: Local) -> None:
    who = local.identity("reader")
    _, client = container(local, TokenOf(local, who))
    local.assign(who, BLOB_READER, ARM_ID)
    assert list(client.list_blobs()) == []
    with pytest.raises(HttpResponseError, match="not authorized"):
        client.upload_blob("x", b"x")


def test_a_shared_key_is_refused(local: Local) -> None:
    _, some = container(local, None)
    key = "Zm9v"
    service = BlobServiceClient(
        f"{local.cloud.endpoints['blob']}/{ACCOUNT}",
        credential={"account_name": ACCOUNT, "account_key": key},
        connection_verify=local.ca,
        retry_total=0,
    )
    with pytest.raises(HttpResponseError) as refused:
        service.get_container_client(some.container_name).upload_blob("x", b"x")
    assert code(refused.value) == "KeyBasedAuthenticationNotPermitted"


def test_queue_messages_and_depths(local: Local) -> None:
    who = local.identity("worker")
    scope, client = queue(local, who)
    local.assign(who, QUEUE_CONTRIBUTOR, scope)
    for number in range(3):
        client.send_message(f"m{number}")
    first = client.receive_message(visibility_timeout=60)
    assert first is not None
    assert first.content == "m0"
    (depth,) = [d for d in local.run(local.cloud.storage.depths()) if d.name.endswith(client.queue_name)]
    assert (depth.active, depth.in_flight) == (2, 1)
    client.update_message(first, visibility_timeout=0)
    again = client.receive_message(visibility_timeout=60)
    assert again is not None
    client.delete_message(again)
    with pytest.raises(HttpResponseError):
        client.delete_message(first)


def test_the_poison_companion_counts_as_dead_letters(local: Local) -> None:
    who = local.identity("host")
    scope, client = queue(local, who)
    poison = f"{client.queue_name}-poison"
    local.run(local.cloud.storage.put_queue(f"{scope}-poison", ACCOUNT, poison))
    local.assign(who, QUEUE_SENDER, f"{scope}-poison")
    before = local.run(local.cloud.in_flight())
    url = f"{local.cloud.endpoints['queue']}/{ACCOUNT}/{poison}"
    QueueClient.from_queue_url(url, credential=TokenOf(local, who), connection_verify=local.ca).send_message("x")
    (depth,) = [d for d in local.run(local.cloud.storage.depths()) if d.name.endswith(client.queue_name)]
    assert (depth.active, depth.dead) == (0, 1)
    assert local.run(local.cloud.in_flight()) == before


def test_a_sender_cannot_receive(local: Local) -> None:
    who = local.identity("sender")
    scope, client = queue(local, who)
    local.assign(who, QUEUE_SENDER, scope)
    client.send_message("x")
    with pytest.raises(HttpResponseError) as refused:
        client.receive_message()
    assert refused.value.status_code == 403


def test_a_removed_account_comes_back_empty(local: Local) -> None:
    storage, arm_id = local.cloud.storage, ARM_ID + "two"
    local.run(storage.put_account(arm_id, "sttwo"))
    local.run(storage.put_container(arm_id, "sttwo", "kept"))
    local.run(storage.put_container(arm_id, "sttwo", "kept"))
    local.run(storage.remove_account("sttwo"))
    local.run(storage.put_account(arm_id, "sttwo"))
    who = local.identity("reader")
    local.assign(who, BLOB_READER, arm_id)
    service = BlobServiceClient(
        f"{local.cloud.endpoints['blob']}/sttwo",
        credential=TokenOf(local, who),
        connection_verify=local.ca,
        retry_total=0,
    )
    assert [c.name for c in service.list_containers()] == []


def test_release_does_what_time_would_to_every_hidden_message(local: Local) -> None:
    who = local.identity("waiting")
    scope, client = queue(local, who)
    local.assign(who, QUEUE_CONTRIBUTOR, scope)
    local.run(local.cloud.release())  # what other tests left
    client.send_message("later", visibility_timeout=3600)
    client.send_message("taken")
    client.send_message("given back, for an hour")
    client.send_message("gone")
    taken = {one.content: one for one in client.receive_messages(visibility_timeout=3600)}
    client.update_message(taken["given back, for an hour"], visibility_timeout=3599)
    client.delete_message(taken["gone"])
    assert list(client.receive_messages()) == []
    assert local.run(local.cloud.release()) == 3
    assert {one.content for one in client.receive_messages()} == {"later", "taken", "given back, for an hour"}
    with pytest.raises(HttpResponseError):
        client.delete_message(taken["taken"])  # it is somebody else's now
