"""A storage queue to send to, over REST with the worker's token.

https://learn.microsoft.com/rest/api/storageservices/put-message
Written out: azure-storage-queue takes half a second to import at every cold start and brings cryptography along.
"""

from __future__ import annotations

import base64
import re
from email.utils import formatdate
from typing import Protocol
from xml.sax.saxutils import escape

from core.clients.faults import Denied, Gone, Refused, Transient
from core.clients.http import Answer, Http, failure

AUDIENCE = "https://storage.azure.com"
MAX_BYTES = 65_536
"""Of a message as it stands in the queue (64 KiB)."""
MAX_DELAY_S = 604_800
"""Seven days."""
_VERSION = "2023-11-03"
_TRANSIENT = frozenset({401, 408, 429})
_CONNECTIONS = 16
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Identity(Protocol):
    """Where tokens come from."""

    def bearer(self, audience: str) -> dict[str, str]:
        """The Authorization header."""

    def forget(self, audience: str) -> None:
        """Drops a refused token."""


class StorageQueue:
    """One queue. Thread-safe."""

    def __init__(
        self,
        identity: Identity,
        *,
        endpoint: str,
        name: str,
        ca_file: str | None,
        encoded: bool = False,
        http: Http | None = None,
    ) -> None:
        """`endpoint`: https://account.queue.core.windows.net, or path-style; `encoded`: for a queue whose bodies are
        base64; `http`: a pool to share with other clients.
        """
        self._http = http or Http(ca_file=ca_file, connections=_CONNECTIONS)
        self._identity = identity
        self._name = name
        self._encoded = encoded
        self._url = f"{endpoint.rstrip('/')}/{name}/messages"

    def send(self, body: bytes, *, delay_s: int = 0) -> None:
        """Puts `body` (UTF-8 text) into the queue, to be seen after `delay_s` and kept until it is taken.

        An answer that never came counts as Transient: the message may be there, a second send doubles it.
        Raises Transient, Denied, Gone (no such queue) or Refused.
        """
        if not 0 <= delay_s <= MAX_DELAY_S:
            raise Refused(f"queue {self._name}: delay_s must be 0 to {MAX_DELAY_S} (7 days), got {delay_s}")
        document = f"<QueueMessage><MessageText>{self._text(body)}</MessageText></QueueMessage>"
        answer = self._http.call(
            "POST", f"{self._url}?messagettl=-1&visibilitytimeout={delay_s}", headers=self._headers,
            body=document.encode(), renew=lambda: self._identity.forget(AUDIENCE),
        )  # fmt: skip
        _check(answer, f"queue {self._name}: send")

    def _text(self, body: bytes) -> str:
        if self._encoded:
            body = base64.b64encode(body)
        if len(body) > MAX_BYTES:
            raise Refused(
                f"queue {self._name}: a message must have at most {MAX_BYTES} bytes, got {len(body)}; "
                "keep what is large in a blob and send its name"
            )
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise Refused(f"queue {self._name}: a message must be UTF-8 text, got {error}") from error
        if wrong := _NOT_XML.search(text):
            raise Refused(
                f"queue {self._name}: a message must hold only characters that XML knows, got {wrong[0]!r} at "
                f"{wrong.start()}; send JSON, which escapes it"
            )
        return escape(text, {"\r": "&#13;"})

    def _headers(self) -> dict[str, str]:
        return {
            "x-ms-version": _VERSION,
            "x-ms-date": formatdate(usegmt=True),
            "Content-Type": "application/xml",
            **self._identity.bearer(AUDIENCE),
        }


def _check(answer: Answer, what: str) -> None:
    if answer.status == 201:
        return
    text = failure(answer, what)
    if answer.status == 403:
        raise Denied(text)
    if answer.status == 404:
        raise Gone(text)
    if answer.status in _TRANSIENT or answer.status >= 500:
        raise Transient(text)
    raise Refused(text)
