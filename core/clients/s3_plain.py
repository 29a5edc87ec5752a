"""GetObject in the plain case, at a third of the processor time that botocore's general machinery takes.

The signature and the credentials are botocore's, and so is the address, asked for once a bucket. One try; whatever is
not an object's content at once (a fault, a redirect, a wait, an unusual key) is botocore's to ask again and explain.
"""

from __future__ import annotations

import re
from typing import Any

import urllib3
from botocore.awsrequest import AWSRequest
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from core.clients.aws_session import AwsSession

_ORDINARY = re.compile(r"(?:(?!\.)[\w.~=-]+/)*(?!\.)[\w.~=-]+", re.ASCII)
"""Keys and versions that no URL writes differently."""


class PlainGet:
    """Reads objects of any bucket. Thread-safe."""

    def __init__(self, session: AwsSession, client: Any, *, connections: int) -> None:
        self._session = session
        self._client = client
        self._bases: dict[str, str] = {}
        self._pool = urllib3.PoolManager(
            num_pools=8, maxsize=connections, cert_reqs="CERT_REQUIRED", retries=False,
            timeout=Timeout(connect=5, read=60), ca_certs=session.verify if isinstance(session.verify, str) else None,
        )  # fmt: skip

    def get(self, bucket: str, key: str, version: str) -> urllib3.BaseHTTPResponse | None:
        """The answer with its body still to be read; None: ask botocore. Raises what getting credentials raises."""
        if not (_ORDINARY.fullmatch(key) and (not version or _ORDINARY.fullmatch(version))):
            return None
        base = self._base(bucket)
        if not base:
            return None
        url = f"{base}{key}?versionId={version}" if version else base + key
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

    def _base(self, bucket: str) -> str:
        """The bucket's address up to the key; empty: this way is not for it."""
        known = self._bases.get(bucket)
        if known is None:
            asked = {"Bucket": bucket, "Key": "key"}
            url = str(self._client.generate_presigned_url("get_object", Params=asked)).partition("?")[0]
            proxied = get_environ_proxies(url)
            known = self._bases[bucket] = "" if proxied else url.removesuffix("key")
        return known
