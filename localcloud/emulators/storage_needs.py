"""Which permissions a Storage request asks for: one table of this cloud's operations. What is not in it is refused.

Source: "Permissions for calling data operations" in *Authorize with Microsoft Entra ID*. Properties of containers and
queues are control-plane actions even on the data plane. Deliberately absent: batches (their parts would pass the door
unseen), copies (Azurite fetches a source with its own rights), access policies (they serve signatures, which are off)
and what needs hierarchical namespaces.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from localcloud.emulators.entra_gate import Need, Needs

Level = Literal["service", "container", "blob", "queue", "messages", "message"]
_BLOB: Final = "Microsoft.Storage/storageAccounts/blobServices/"
_BLOBS: Final = _BLOB + "containers/blobs/"
_QUEUE: Final = "Microsoft.Storage/storageAccounts/queueServices/"
_MESSAGES: Final = _QUEUE + "queues/messages/"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service: how it is asked for, and what its caller needs. `restype` and `comp` are the query's,
    "" where it has none; `peek` tells PeekMessages from GetMessages.
    """

    name: str
    level: Level
    methods: tuple[str, ...]
    needs: Needs
    restype: str = ""
    comp: str = ""
    peek: bool = False


def _data(*actions: str) -> Needs:
    return tuple((Need(action),) for action in actions)


def _control(action: str) -> Needs:
    return ((Need(action, data=False),),)


def _service(prefix: str) -> Iterator[Operation]:
    kind = "Blob" if prefix == _BLOB else "Queue"
    read, write = _control(f"{prefix}read"), _control(f"{prefix}write")
    yield Operation(f"Get{kind}ServiceProperties", "service", ("GET",), read, "service", "properties")
    yield Operation(f"Set{kind}ServiceProperties", "service", ("PUT",), write, "service", "properties")
    yield Operation(f"Get{kind}ServiceStats", "service", ("GET",), read, "service", "stats")


def _container() -> Iterator[Operation]:
    read, write = _control(_BLOB + "containers/read"), _control(_BLOB + "containers/write")
    yield Operation("CreateContainer", "container", ("PUT",), write, "container")
    yield Operation("GetContainerProperties", "container", ("GET", "HEAD"), read, "container")
    yield Operation("GetContainerMetadata", "container", ("GET", "HEAD"), read, "container", "metadata")
    yield Operation("SetContainerMetadata", "container", ("PUT",), write, "container", "metadata")
    yield Operation("LeaseContainer", "container", ("PUT",), write, "container", "lease")
    remove = _control(_BLOB + "containers/delete")
    yield Operation("DeleteContainer", "container", ("DELETE",), remove, "container")
    yield Operation("ListBlobs", "container", ("GET",), _data(_BLOBS + "read"), "container", "list")
    find = _data(_BLOBS + "filter/action")
    yield Operation("FindBlobsByTagsInContainer", "container", ("GET",), find, "container", "blobs")


def _blob() -> Iterator[Operation]:
    read, write = _data(_BLOBS + "read"), _data(_BLOBS + "write")
    create = _data(_BLOBS + "write", _BLOBS + "add/action")
    yield Operation("GetBlob", "blob", ("GET",), read)
    yield Operation("GetBlobProperties", "blob", ("HEAD",), read)
    yield Operation("PutBlob", "blob", ("PUT",), create)
    yield Operation("DeleteBlob", "blob", ("DELETE",), _data(_BLOBS + "delete"))
    yield Operation("GetBlobMetadata", "blob", ("GET", "HEAD"), read, comp="metadata")
    yield Operation("GetBlockList", "blob", ("GET",), read, comp="blocklist")
    yield Operation("GetPageRanges", "blob", ("GET",), read, comp="pagelist")
    yield Operation("QueryBlobContents", "blob", ("POST",), read, comp="query")
    yield Operation("AppendBlock", "blob", ("PUT",), create, comp="appendblock")
    changes = {"SetBlobMetadata": "metadata", "SetBlobProperties": "properties", "LeaseBlob": "lease"}
    changes |= {"SnapshotBlob": "snapshot", "PutBlock": "block", "PutBlockList": "blocklist", "PutPage": "page"}
    changes |= {"SetBlobTier": "tier", "UndeleteBlob": "undelete", "SetBlobExpiry": "expiry", "SealBlob": "seal"}
    yield from (Operation(name, "blob", ("PUT",), write, comp=comp) for name, comp in changes.items())
    yield Operation("GetBlobTags", "blob", ("GET",), _data(_BLOBS + "tags/read"), comp="tags")
    yield Operation("SetBlobTags", "blob", ("PUT",), _data(_BLOBS + "tags/write"), comp="tags")


def _queue() -> Iterator[Operation]:
    read, write = _control(_QUEUE + "queues/read"), _control(_QUEUE + "queues/write")
    yield Operation("ListQueues", "service", ("GET",), read, comp="list")
    yield Operation("CreateQueue", "queue", ("PUT",), write)
    yield Operation("DeleteQueue", "queue", ("DELETE",), _control(_QUEUE + "queues/delete"))
    yield Operation("GetQueueMetadata", "queue", ("GET", "HEAD"), read, comp="metadata")
    yield Operation("SetQueueMetadata", "queue", ("PUT",), write, comp="metadata")
    read_one, remove = Need(_MESSAGES + "read"), Need(_MESSAGES + "delete")
    process = Need(_MESSAGES + "process/action")
    yield Operation("PutMessage", "messages", ("POST",), _data(_MESSAGES + "add/action", _MESSAGES + "write"))
    yield Operation("GetMessages", "messages", ("GET",), ((process,), (remove, read_one)))
    yield Operation("PeekMessages", "messages", ("GET",), ((read_one,),), peek=True)
    yield Operation("ClearMessages", "messages", ("DELETE",), ((remove,),))
    yield Operation("UpdateMessage", "message", ("PUT",), _data(_MESSAGES + "write"))
    yield Operation("DeleteMessage", "message", ("DELETE",), ((process,), (remove,)))


OPERATIONS: Final[dict[str, tuple[Operation, ...]]] = {
    "blob": (
        *_service(_BLOB),
        Operation("ListContainers", "service", ("GET",), _control(_BLOB + "containers/read"), comp="list"),
        Operation("FindBlobsByTags", "service", ("GET",), _data(_BLOBS + "filter/action"), comp="blobs"),
        *_container(),
        *_blob(),
    ),
    "queue": (*_service(_QUEUE), *_queue()),
}
"""Every operation of the blob and the queue service that this cloud has."""
_FOUND: Final = {
    (service, one.level, method, one.restype, one.comp, one.peek): one
    for service, operations in OPERATIONS.items()
    for one in operations
    for method in one.methods
}


def operation_of(service: str, level: Level, method: str, query: Mapping[str, str]) -> Operation | None:
    """The operation of a request; None for one that this cloud has not. `query` has lower-case names."""
    peek = level == "messages" and query.get("peekonly", "").lower() == "true"
    return _FOUND.get((service, level, method, query.get("restype", ""), query.get("comp", ""), peek))


def needs_of(operation: Operation, query: Mapping[str, str], *, tagged: bool) -> Needs:
    """What the caller needs. Removing one version and setting tags while writing ask for a permission of their own."""
    if operation.name == "DeleteBlob" and "versionid" in query:
        return _data(_BLOBS + "deleteBlobVersion/action")
    if tagged:
        return tuple((*alternative, Need(_BLOBS + "tags/write")) for alternative in operation.needs)
    return operation.needs
