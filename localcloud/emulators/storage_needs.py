"""Which permissions a Storage request asks for, from its method, path and query.

Source: "Permissions for blob and queue service operations" in Microsoft's article *Authorize with Microsoft Entra ID*.
Container and queue properties are control-plane actions even on the data plane. Batch requests are not supported.
"""

from collections.abc import Mapping
from typing import Final

from localcloud.emulators.entra_gate import Need, Needs

_BLOB: Final = "Microsoft.Storage/storageAccounts/blobServices/"
_QUEUE: Final = "Microsoft.Storage/storageAccounts/queueServices/"
_METHOD_VERB: Final = {
    "GET": "read",
    "HEAD": "read",
    "OPTIONS": "read",
    "PUT": "write",
    "DELETE": "delete",
    "POST": "write",
}


def blob_needs(method: str, container: str, blob: str, query: Mapping[str, str]) -> tuple[str, Needs]:
    """(operation, needs) of a blob request; `container` and `blob` are "" where the path ends before them."""
    comp, verb = query.get("comp", ""), _METHOD_VERB.get(method, "write")
    if not container:
        return _blob_service(comp, query, verb)
    if not blob and query.get("restype") == "container":
        if comp == "list":
            return "ListBlobs", _any(_BLOB + "containers/blobs/read")
        return f"{verb}Container", ((Need(f"{_BLOB}containers/{verb}", data=False),),)
    blobs = _BLOB + "containers/blobs/"
    if comp == "tags":
        return f"{verb}BlobTags", _any(f"{blobs}tags/{verb}")
    return _blob_data(blobs, comp, verb)


def _blob_data(blobs: str, comp: str, verb: str) -> tuple[str, Needs]:
    if verb == "read" or comp == "query":
        return "GetBlob", _any(blobs + "read")
    if verb == "delete":
        return "DeleteBlob", _any(blobs + "delete")
    creating = [blobs + "add/action"] if comp in {"", "appendblock"} else []
    return f"PutBlob{comp.capitalize()}", _any(blobs + "write", *creating)


def _blob_service(comp: str, query: Mapping[str, str], verb: str) -> tuple[str, Needs]:
    if comp == "list":
        return "ListContainers", ((Need(_BLOB + "containers/read", data=False),),)
    if comp == "userdelegationkey":
        return "GetUserDelegationKey", ((Need(_BLOB + "generateUserDelegationKey/action", data=False),),)
    return f"{verb}{query.get('restype', 'service').capitalize()}", ((Need(f"{_BLOB}{verb}", data=False),),)


def queue_needs(method: str, queue: str, rest: str, query: Mapping[str, str]) -> tuple[str, Needs]:
    """(operation, needs) of a queue request; `rest` is what follows the queue's name: "", "messages",
    "messages/{id}".
    """
    verb = _METHOD_VERB.get(method, "write")
    if not queue:
        action = "queues/read" if query.get("comp") == "list" else verb
        return f"{verb}QueueService", ((Need(_QUEUE + action, data=False),),)
    if not rest:
        return f"{verb}Queue", ((Need(f"{_QUEUE}queues/{verb}", data=False),),)
    return _queue_messages(method, rest, query)


def _queue_messages(method: str, rest: str, query: Mapping[str, str]) -> tuple[str, Needs]:
    messages = _QUEUE + "queues/messages/"
    read, delete, process = Need(messages + "read"), Need(messages + "delete"), Need(messages + "process/action")
    if method == "GET":
        peek = query.get("peekonly") == "true"
        return ("PeekMessages", ((read,),)) if peek else ("GetMessages", ((process,), (delete, read)))
    if method == "POST":
        return "PutMessage", _any(messages + "add/action", messages + "write")
    if method == "DELETE":
        return ("DeleteMessage", ((process,), (delete,))) if "/" in rest else ("ClearMessages", ((delete,),))
    return "UpdateMessage", _any(messages + "write")


def _any(*actions: str) -> Needs:
    return tuple((Need(action),) for action in actions)
