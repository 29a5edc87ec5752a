"""Reading a Storage request as strictly as Azurite reads it loosely: what is not plainly one operation is refused.

The door decides by what it reads here and Azurite acts on what *it* reads, so nothing may pass that two readers could
read differently: dot segments, encoded separators in front of a blob's name, a query parameter given twice or in
another case, a signature beside the token.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from localcloud.emulators.door import Refusal
from localcloud.emulators.entra_gate import Needs
from localcloud.emulators.refusals import storage_reply
from localcloud.emulators.storage_needs import Level, Operation, needs_of, operation_of

_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}")
_ITEM: Final = re.compile(r"\$(root|logs|web)|[a-z0-9](?:-?[a-z0-9]){2,62}")
"""A container or a queue: *Naming and referencing containers, blobs, and metadata*, *Naming queues and metadata*."""
_PARAMETER: Final = re.compile(r"[a-z][a-z0-9_-]*")
_SAS: Final = frozenset({"sig", "se", "sp", "sr", "srt", "ss", "sv", "st", "sip", "spr", "si", "skoid", "sktid"})
_COPY: Final = ("x-ms-copy-source", "x-ms-requires-sync", "x-ms-rename-source")


@dataclass(frozen=True, slots=True)
class StorageRequest:
    """What is asked of which account; `item` is the container or queue ("" for the account itself)."""

    account: str
    item: str
    operation: Operation
    needs: Needs
    raw_rest: str
    """The path below the account as it came, which Azurite gets."""
    twice: bool = False
    """GetMessages: what is handed out is visible again after a second, whatever the caller asked for."""


def read_request(service: str, request: web.BaseRequest) -> StorageRequest:
    """The request of a caller who has a token; Refusal (400, 403, 409 or 501) for one that is not plainly one operation
    of this cloud.
    """
    raw_path, _, _ = request.raw_path.partition("?")
    if not raw_path.startswith("/") or "#" in request.raw_path:
        raise _refusal(400, "InvalidUri", "The requested URI does not represent any resource on the server.")
    _, account, item, rest = (*raw_path.split("/", 3), "", "", "")[:4]
    item = unquote(item)
    if not _ACCOUNT.fullmatch(account):
        raise _refusal(400, "InvalidUri", f"The path must be /ACCOUNT/…, got the account {account[:40]!r}.")
    if item and not _ITEM.fullmatch(item):
        raise _refusal(400, "InvalidResourceName", "The specified resource name contains invalid characters.")
    if any(part in {".", ".."} for part in re.split(r"[/\\]", unquote(rest))):
        raise _refusal(400, "InvalidUri", "A path segment must not be . or .. (Azure's front end removes them).")
    query = _query(request)
    level = _level(service, item, rest, query)
    operation = operation_of(service, level, request.method, query) if level else None
    if operation is None:
        asked = f"{request.method} of a {level or 'path like this'}, restype={query.get('restype', '')!r}, "
        asked += f"comp={query.get('comp', '')!r}"
        words = f"The local cloud has the operations of storage_needs.py; it has no {asked}."
        raise _refusal(501, "NotImplemented", words)
    _check_headers(request)
    needs = needs_of(operation, query, tagged="x-ms-tags" in request.headers)
    return StorageRequest(account, item, operation, needs, raw_path[len(account) + 1 :])


def _level(service: str, item: str, rest: str, query: dict[str, str]) -> Level | None:
    if not item:
        return "service" if not rest else None
    if service == "blob":
        if rest:
            return "blob"
        return "container" if query.get("restype") == "container" else None
    parts = rest.rstrip("/").split("/")
    if "%2f" in rest.lower() or len(parts) > 2 or parts[0] not in {"", "messages"}:
        return None
    return "message" if len(parts) == 2 else "messages" if parts[0] else "queue"


def _query(request: web.BaseRequest) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if name in _SAS:
            words = "A shared access signature is not permitted here: accounts are declared without shared keys."
            raise _refusal(403, "KeyBasedAuthenticationNotPermitted", words)
        if not _PARAMETER.fullmatch(name) or name in query:
            words = f"Query parameters are lower case and given once, got {name[:40]!r}."
            raise _refusal(400, "InvalidQueryParameterValue", words)
        query[name] = value
    return query


def _check_headers(request: web.BaseRequest) -> None:
    copying = [name for name in _COPY if name in request.headers]
    if copying:
        words = f"The local cloud copies no blobs ({copying[0]}): a source would be read with rights of its own."
        raise _refusal(501, "NotImplemented", words)
    if request.headers.get("x-ms-blob-public-access"):
        raise _refusal(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.")


def _refusal(status: int, code: str, message: str) -> Refusal:
    return Refusal(storage_reply(status, code, message), code)
