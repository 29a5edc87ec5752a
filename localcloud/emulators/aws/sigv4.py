"""Checking AWS Signature Version 4, from the Authorization header or a presigned URL.

Source: *Signature Version 4 signing process*. Unlike clients, a server has the request as it came over the wire: raw
path and raw query are used, so that no re-encoding can differ. Payload hashes are taken as declared in
x-amz-content-sha256; who reads the body compares it (`payload_sha256`). `host` and every x-amz-* header must be signed,
as S3 demands (`HeadersNotSigned`), and the credential scope must be today's, here and for the service called.
"""

import datetime as dt
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote

from aiohttp import web

from localcloud.emulators.aws.errors import AwsError

MAX_SKEW_S: Final = 900
MAX_PRESIGNED_S: Final = 604_800
"""Seven days, S3's longest."""
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_EMPTY: Final = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Signature:
    """The parts of a request's signature. `payload_sha256` is hex, UNSIGNED-PAYLOAD, a STREAMING-… name, or None when
    the body itself must be hashed (services other than S3).
    """

    access_key: str
    scope: str
    signed_headers: list[str]
    value: str
    amz_date: str
    token: str | None
    payload_sha256: str | None
    expires_s: int | None = None

    @property
    def service(self) -> str:
        """The service the key was derived for."""
        return self.scope.split("/")[2]


def read_signature(request: web.BaseRequest) -> Signature | None:
    """The signature a request carries; None for an anonymous request, AwsError for a broken one."""
    headers = request.headers.getall("Authorization", [])
    in_query = "X-Amz-Signature" in request.query
    if len(headers) + in_query > 1:
        raise AwsError("InvalidArgument", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                       "Signature query string parameter or the Authorization header should be specified")  # fmt: skip
    if headers:
        return _from_header(request, headers[0])
    return _from_query(request) if in_query else None


def _from_header(request: web.BaseRequest, header: str) -> Signature:
    algorithm, _, rest = header.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    access_key, _, scope = parts.get("Credential", "").partition("/")
    if algorithm != _ALGORITHM or scope.count("/") != 3 or not parts.get("Signature"):
        raise AwsError(
            "IncompleteSignature", "Authorization header requires 'Credential', 'SignedHeaders', 'Signature'.", 400
        )
    return Signature(
        access_key=access_key,
        scope=scope,
        signed_headers=parts.get("SignedHeaders", "").split(";"),
        value=parts["Signature"],
        amz_date=request.headers.get("X-Amz-Date", ""),
        token=request.headers.get("X-Amz-Security-Token"),
        payload_sha256=request.headers.get("x-amz-content-sha256"),
    )


def _from_query(request: web.BaseRequest) -> Signature:
    query = request.query
    access_key, _, scope = query.get("X-Amz-Credential", "").partition("/")
    if query.get("X-Amz-Algorithm") != _ALGORITHM or scope.count("/") != 3:
        raise AwsError("AuthorizationQueryParametersError", "The query-string signature is incomplete.", 400)
    if not re.fullmatch(r"\d{1,6}", query.get("X-Amz-Expires", "")) or int(query["X-Amz-Expires"]) > MAX_PRESIGNED_S:
        words = f"X-Amz-Expires must be a number of seconds of at most {MAX_PRESIGNED_S}"
        raise AwsError("AuthorizationQueryParametersError", words, 400)
    return Signature(
        access_key=access_key,
        scope=scope,
        signed_headers=query.get("X-Amz-SignedHeaders", "").split(";"),
        value=query["X-Amz-Signature"],
        amz_date=query.get("X-Amz-Date", ""),
        token=query.get("X-Amz-Security-Token"),
        payload_sha256="UNSIGNED-PAYLOAD",
        expires_s=int(query["X-Amz-Expires"]),
    )


def check_signature(
    request: web.BaseRequest, signature: Signature, secret: str, body: bytes, now: float, *, region: str, service: str
) -> None:
    """AwsError unless `secret` made this signature recently, for this service and region, over all that counts."""
    _check_time(signature, now)
    _check_scope(signature, region, service)
    _check_signed_headers(request, signature)
    raw_path, _, raw_query = request.raw_path.partition("?")
    # Only S3 streams its bodies and may declare their hash; elsewhere the body itself counts.
    own = hashlib.sha256(body).hexdigest() if body else _EMPTY
    payload = signature.payload_sha256 or own if service == "s3" else own
    headers = "".join(f"{name}:{_header(request, name)}\n" for name in signature.signed_headers)
    canonical = "\n".join(
        [
            request.method,
            raw_path or "/",
            _canonical_query(raw_query),
            headers,
            ";".join(signature.signed_headers),
            payload,
        ]
    )
    digest = hashlib.sha256(canonical.encode(errors="surrogateescape")).hexdigest()
    to_sign = f"{_ALGORITHM}\n{signature.amz_date}\n{signature.scope}\n{digest}"
    expected = hmac.new(
        _signing_key(secret, signature.scope), to_sign.encode(errors="surrogateescape"), hashlib.sha256
    ).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.value.encode(errors="surrogateescape")):
        raise AwsError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
            403,
        )


def _check_time(signature: Signature, now: float) -> None:
    try:
        moment = dt.datetime.strptime(signature.amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError as error:
        raise AwsError(
            "IncompleteSignature", f"X-Amz-Date must be ISO 8601 basic, got {signature.amz_date!r}."
        ) from error
    age = now - moment.timestamp()
    if signature.expires_s is not None:
        if age > signature.expires_s or age < -MAX_SKEW_S:
            raise AwsError("AccessDenied", "Request has expired", 403)
    elif abs(age) > MAX_SKEW_S:
        code = "RequestTimeTooSkewed" if signature.service == "s3" else "SignatureDoesNotMatch"
        raise AwsError(code, "The difference between the request time and the current time is too large.", 403)


def _check_scope(signature: Signature, region: str, service: str) -> None:
    wanted = f"{signature.amz_date[:8]}/{region}/{service}/aws4_request"
    if signature.scope != wanted:
        code = "AuthorizationHeaderMalformed" if service == "s3" else "SignatureDoesNotMatch"
        words = (
            f"Credential should be scoped to a valid region and service: {wanted}, got {ascii(signature.scope)[:100]}"
        )
        raise AwsError(code, words, 400 if service == "s3" else 403)


def _check_signed_headers(request: web.BaseRequest, signature: Signature) -> None:
    needed = {"host"} | {name.lower() for name in request.headers if name.lower().startswith("x-amz-")}
    if signature.service == "s3" and signature.expires_s is None and signature.payload_sha256 is None:
        raise AwsError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256", 400)
    unsigned = sorted(needed - set(signature.signed_headers) - {"x-amz-content-sha256"})
    if unsigned:
        words = f"There were headers present in the request which were not signed: {', '.join(unsigned)[:200]}"
        raise AwsError("AccessDenied" if signature.service == "s3" else "SignatureDoesNotMatch", words, 403)


def _canonical_query(raw_query: str) -> str:
    pairs = [
        (k, v) for k, v in parse_qsl(raw_query.replace("+", "%2B"), keep_blank_values=True) if k != "X-Amz-Signature"
    ]
    encoded = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in pairs)
    return "&".join(f"{k}={v}" for k, v in encoded)


def _header(request: web.BaseRequest, name: str) -> str:
    return ",".join(" ".join(value.split()) for value in request.headers.getall(name, []))


@lru_cache(maxsize=256)
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
