"""A blob container over REST with the worker's token: put, get, delete, list, with preconditions.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
Written out: azure-storage-blob would double the worker's cold start.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from core.clients.faults import Changed, Denied, Gone, Refused, Transient
from core.clients.http import Answer, Http, failure

AUDIENCE = "https://storage.azure.com"
_VERSION = "2023-11-03"
_TRANSIENT = frozenset({401, 408, 429})


class Identity(Protocol):
    """Where tokens come from."""

    def bearer(self, audience: str) -> dict[str, str]:
        """The Authorization header."""

    def forget(self, audience: str) -> None:
        """Drops a refused token."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob's content and the ETag it had."""

    body: bytes
    etag: str


class BlobContainer:
    """One container. Thread-safe. Methods raise Transient, Denied or Refused besides what they say."""

    def __init__(self, http: Http, identity: Identity, *, url: str) -> None:
        """`url`: https://account.blob.core.windows.net/container, or path-style."""
        self._http = http
        self._identity = identity
        self._url = url.rstrip("/")

    def get(self, name: str) -> Blob | None:
        """The blob, None when there is none."""
        answer = self._call("GET", self._path(name))
        if answer.status == 404:
            return None
        self._check(answer, f"get {name}", {200})
        if answer.headers.get("Content-MD5") not in {None, _md5(answer.body)}:
            raise Transient(f"blob get {name}: what arrived is not what is stored (its MD5 differs)")
        return Blob(answer.body, answer.headers.get("ETag", ""))

    def put(self, name: str, body: bytes, *, etag: str | None = None, kind: str = "application/json") -> str:
        """Writes the blob whole, returns its new ETag. `etag`: only over that version; "" only where none exists;
        None: whatever is there. Raises Changed when that does not hold.
        """
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": kind}
        if etag is not None:
            headers |= {"If-Match": etag} if etag else {"If-None-Match": "*"}
        answer = self._call("PUT", self._path(name), headers, body)
        self._check(answer, f"put {name}", {201})
        return answer.headers.get("ETag", "")

    def delete(self, name: str) -> None:
        """Removes the blob; fine when there is none."""
        self._check(self._call("DELETE", self._path(name)), f"delete {name}", {202, 404})

    def names(self, prefix: str = "") -> Iterator[str]:
        """Names that begin with `prefix`, sorted by the service."""
        marker = ""
        while True:
            query = urlencode({"restype": "container", "comp": "list", "prefix": prefix, "marker": marker})
            answer = self._call("GET", f"{self._url}?{query}")
            self._check(answer, "list", {200})
            tree = ET.fromstring(answer.body)  # noqa: S314 - the storage service's own answer
            yield from (str(node.text) for node in tree.iter("Name"))
            marker = tree.findtext("NextMarker") or ""
            if not marker:
                return

    def _path(self, name: str) -> str:
        return f"{self._url}/{quote(name, safe='/')}"

    def _call(self, verb: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        return self._http.call(
            verb, url, body=body, renew=lambda: self._identity.forget(AUDIENCE),
            headers=lambda: {
                "x-ms-version": _VERSION, "x-ms-date": formatdate(usegmt=True),
                **self._identity.bearer(AUDIENCE), **(headers or {}),
            },
        )  # fmt: skip

    @staticmethod
    def _check(answer: Answer, what: str, wanted: set[int]) -> None:
        if answer.status in wanted:
            return
        text = failure(answer, f"blob {what}")
        if answer.status in {409, 412}:
            raise Changed(text)
        if answer.status == 403:
            raise Denied(text)
        if answer.status == 404:
            raise Gone(text)
        if answer.status in _TRANSIENT or answer.status >= 500:
            raise Transient(text)
        raise Refused(text)


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
