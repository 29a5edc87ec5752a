"""Signature Version 4, written from its specification and not shared with what checks it; every part may be wrong."""

import datetime as dt
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

Headers = list[tuple[str, str]]
UNSIGNED: Final = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key, with its session token if it is a temporary one."""

    access_key: str
    secret: str
    token: str | None = None


def signed(
    keys: Keys,
    service: str,
    method: str,
    base: str,
    target: str,
    *,
    headers: Headers | None = None,
    body: bytes = b"",
    age_s: float = 0,
    region: str = "eu-central-1",
    scope_service: str = "",
    scope_days: int = 0,
    leave_out: str = "",
    payload: str = "",
) -> Headers:
    """The headers of a signed request: those given, what AWS asks for, and Authorization."""
    now = dt.datetime.fromtimestamp(time.time() - age_s, dt.UTC)
    digest = payload or hashlib.sha256(body).hexdigest()
    every = {name.lower(): value for name, value in headers or []}
    every |= {"host": urlsplit(base).netloc, "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ")}
    every |= {"x-amz-content-sha256": digest} if service == "s3" else {}
    every |= {"x-amz-security-token": keys.token} if keys.token else {}
    names = sorted(set(every) - {leave_out})
    path, _, query = target.partition("?")
    pairs = sorted(part if "=" in part else part + "=" for part in query.split("&") if part)
    lines = "".join(f"{name}:{every[name]}\n" for name in names)
    canonical = "\n".join([method, path, "&".join(pairs), lines, ";".join(names), digest])
    date = (now - dt.timedelta(days=scope_days)).strftime("%Y%m%d")
    scope = f"{date}/{region}/{scope_service or service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{every['x-amz-date']}\n{scope}\n{hashed}"
    key = b"AWS4" + keys.secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return [*every.items(), ("authorization", authorization)]
