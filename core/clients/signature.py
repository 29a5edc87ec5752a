"""AWS's signature version 4 for the requests that are sent the plain way.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
A test holds every header against botocore's own, which takes ten times the processor time.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from functools import lru_cache

from botocore.credentials import ReadOnlyCredentials

from core.clients.wire import parts


def signed(
    keys: ReadOnlyCredentials, method: str, url: str, *, service: str, region: str, now: datetime, body: bytes = b""
) -> dict[str, str]:
    """The headers that vouch for a request whose URL is written as it will be sent; `now`: in UTC."""
    origin, target = parts(url)
    path, _, query = target.partition("?")
    time = now.strftime("%Y%m%dT%H%M%SZ")
    hashed = hashlib.sha256(body).hexdigest()
    headers = {"X-Amz-Date": time}
    if service == "s3":
        headers["X-Amz-Content-SHA256"] = hashed
    if keys.token:
        headers["X-Amz-Security-Token"] = keys.token
    lines = sorted([f"host:{origin.name}", *(f"{name.lower()}:{value}" for name, value in headers.items())])
    names = ";".join(line.partition(":")[0] for line in lines)
    asked = "\n".join((method, path, query, *lines, "", names, hashed))
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    mac = hmac.digest(_key(str(keys.secret_key), scope), text.encode(), "sha256").hex()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={mac}"
    )
    return headers


@lru_cache(8)
def _key(secret: str, scope: str) -> bytes:
    """The same for a day."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
