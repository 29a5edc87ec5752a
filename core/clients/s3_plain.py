"""GetObject in the plain case, at a third of the processor time that botocore's general machinery takes.

The credentials are botocore's, and so is the address: seen in its own request for the bucket's first object. One try;
whatever is not an object's content at once (a fault, a redirect, a wait, an unusual key) is botocore's to ask again and
explain.
"""

from __future__ import annotations

import re
import threading
from typing import Any
from urllib.parse import quote

from botocore.awsrequest import AWSPreparedRequest
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from core.clients.aws_session import AwsSession
from core.clients.reply import Reply
from core.clients.wire import Wire

_FIRST_S = 0.25
"""What others wait for the bucket's first request to be built: together they would take longer, one after another."""
_ORDINARY = re.compile(r"(?:(?!\.)[\w.~=-]+/)*(?!\.)[\w.~=-]+", re.ASCII)
"""Keys and versions that every URL library leaves as they are written."""


class PlainGet:
    """Reads objects of any bucket. Thread-safe."""

    def __init__(self, session: AwsSession, client: Any, *, connections: int) -> None:
        self._session = session
        self._bases: dict[str, str] = {}
        """By bucket: the address up to the key; empty: this way is not for it."""
        self._asked = threading.local()
        self._shown: dict[str, threading.Event] = {}
        """By bucket whose first request was begun: set once its address is known."""
        client.meta.events.register("before-send.s3.GetObject", self._learn)
        ca_file = session.verify if isinstance(session.verify, str) else None
        self._wire = Wire(connections=connections, ca_file=ca_file)

    def get(self, bucket: str, key: str, version: str) -> Reply | None:
        """The answer with its body still to be read; None: ask botocore. Raises what getting credentials raises."""
        self._asked.names = (bucket, key)
        base = self._base(bucket)
        if not (base and _ORDINARY.fullmatch(key) and (not version or _ORDINARY.fullmatch(version))):
            return None
        url = base + quote(key, safe="/~") + (f"?versionId={quote(version)}" if version else "")
        headers = self._session.headers("s3", "GET", url)
        try:
            answer = self._wire.request("GET", url, headers=headers)
        except HTTPError:
            return None
        if answer.status == 200:
            return answer
        answer.close()
        return None

    def _base(self, bucket: str) -> str | None:
        """The address up to the key; the bucket's first caller gets None and leads the way, the others wait for it."""
        if (base := self._bases.get(bucket)) is not None:
            return base
        shown = threading.Event()
        if (first := self._shown.setdefault(bucket, shown)) is not shown:
            first.wait(_FIRST_S)
        return self._bases.get(bucket)

    def _learn(self, request: AWSPreparedRequest, **_: Any) -> None:
        """Sees each of botocore's own requests before it is sent: its address without the key is the bucket's."""
        bucket, key = getattr(self._asked, "names", ("", ""))
        url = str(request.url).partition("?")[0]
        path = quote(key, safe="/~")
        if bucket and url.endswith(f"/{path}") and self._bases.get(bucket) != (base := url.removesuffix(path)):
            self._bases[bucket] = "" if get_environ_proxies(url) else base
            self._shown.setdefault(bucket, threading.Event()).set()
