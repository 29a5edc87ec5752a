"""GetObject in the plain case, at a third of the processor time that botocore's general machinery takes.

The signature and the credentials are botocore's, and so is the address: seen in its own request for the bucket's first
object. One try; whatever is not an object's content at once (a fault, a redirect, a wait, an unusual key) is botocore's
to ask again and explain.
"""

from __future__ import annotations

import re
import threading
from typing import Any
from urllib.parse import quote

import urllib3
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from core.clients.aws_session import AwsSession

_ORDINARY = re.compile(r"(?:(?!\.)[\w.~=-]+/)*(?!\.)[\w.~=-]+", re.ASCII)
"""Keys and versions that every URL library leaves as they are written."""


class PlainGet:
    """Reads objects of any bucket. Thread-safe."""

    def __init__(self, session: AwsSession, client: Any, *, connections: int) -> None:
        self._session = session
        self._bases: dict[str, str] = {}
        """By bucket: the address up to the key; empty: this way is not for it."""
        self._asked = threading.local()
        client.meta.events.register("before-send.s3.GetObject", self._learn)
        self._pool = urllib3.PoolManager(
            num_pools=8, maxsize=connections, cert_reqs="CERT_REQUIRED", retries=False,
            timeout=Timeout(connect=5, read=60), ca_certs=session.verify if isinstance(session.verify, str) else None,
        )  # fmt: skip

    def get(self, bucket: str, key: str, version: str) -> urllib3.BaseHTTPResponse | None:
        """The answer with its body still to be read; None: ask botocore. Raises what getting credentials raises."""
        self._asked.names = (bucket, key)
        base = self._bases.get(bucket)
        if not (base and _ORDINARY.fullmatch(key) and (not version or _ORDINARY.fullmatch(version))):
            return None
        url = base + quote(key, safe="/~") + (f"?versionId={quote(version)}" if version else "")
        request = AWSRequest("GET", url)
        self._session.sign("s3", request)
        try:
            answer = self._pool.request(
                "GET", url, headers=dict(request.headers.items()), preload_content=False, decode_content=False
            )
        except HTTPError:
            return None
        if answer.status == 200:
            return answer
        answer.drain_conn()
        return None

    def _learn(self, request: AWSPreparedRequest, **_: Any) -> None:
        """Sees each of botocore's own requests before it is sent: its address without the key is the bucket's."""
        bucket, key = getattr(self._asked, "names", ("", ""))
        url = str(request.url).partition("?")[0]
        path = quote(key, safe="/~")
        if bucket and url.endswith(f"/{path}"):
            self._bases[bucket] = "" if get_environ_proxies(url) else url.removesuffix(path)
