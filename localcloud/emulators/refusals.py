"""How each of Azure's services words a refusal: status, headers and body as its clients see them.

Sources: *Status and error codes* (Storage), *Authentication, requests and responses* and *Key Vault error codes*
(`AKV…`), Azure Monitor's troubleshooting guides (Logs Ingestion: the text of its 403), *Common errors* of Azure
Resource Manager. What the documents leave open, read from messages that users report: the detail texts of Storage's and
Resource Manager's 401, and that Logs Ingestion answers a bad token with Resource Manager's codes (M confidence).
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final, Protocol
from xml.sax.saxutils import escape

from aiohttp import web

MISSING: Final = "missing"
"""The reason for a request without any token; the others are those of `TokenRefused`, and `SCHEME`."""
SCHEME: Final = "scheme"
"""The reason for credentials that are no bearer token."""
STORAGE: Final = "https://storage.azure.com"
VAULT: Final = "https://vault.azure.net"


@dataclass(frozen=True, slots=True)
class Denied:
    """Who was refused what and where. `wanted` names the permissions, `application` is the caller's client id."""

    principal: str
    application: str
    wanted: str
    scope: str


class Manner(Protocol):
    """One service's way to say no."""

    def unauthenticated(self, reason: str, detail: str, tenant_id: str) -> web.Response:
        """The answer to a caller whom the service does not know; `detail` says what is wrong with the token."""
        ...

    def forbidden(self, denied: Denied) -> web.Response:
        """The answer to a known caller without the role."""
        ...


_STORAGE_DETAILS: Final = {
    "audience": "Audience validation failed. Audience did not match.",
    "issuer": "Issuer validation failed. Issuer did not match.",
    "tenant": "Issuer validation failed. Issuer did not match.",
    "expired": "Lifetime validation failed. The token is expired.",
    "early": "Lifetime validation failed. The token is not yet valid.",
    "signature": "Signature validation failed. Signature verification failed.",
}
_REFER: Final = (
    "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."
)


class StorageManner:
    """XML with Code, Message and, for a bad token, AuthenticationErrorDetail; the code again in x-ms-error-code."""

    def unauthenticated(self, reason: str, detail: str, tenant_id: str) -> web.Response:
        """401 with a challenge; 403 for a key: accounts are declared without shared keys."""
        if reason == SCHEME:
            words = "Key based authentication is not permitted on this storage account."
            return storage_reply(403, "KeyBasedAuthenticationNotPermitted", words)
        authority = f"https://login.microsoftonline.com/{tenant_id}/oauth2/authorize"
        headers = {"WWW-Authenticate": f"Bearer authorization_uri={authority} resource_id={STORAGE}"}
        if reason == MISSING:
            return storage_reply(401, "NoAuthenticationInformation", _REFER, headers)
        told = _STORAGE_DETAILS.get(reason, "Authentication scheme Bearer is not supported in this form.")
        return storage_reply(401, "InvalidAuthenticationInfo", _REFER, headers, f"{told} ({detail})")

    def forbidden(self, denied: Denied) -> web.Response:
        """403 AuthorizationPermissionMismatch. The real message ends after its first sentence; ours says why."""
        return storage_reply(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission. "
            f"{denied.principal} lacks {denied.wanted} at {denied.scope}.",
        )


class VaultManner:
    """JSON; codes Unauthorized and Forbidden, the message begins with Key Vault's own number."""

    _NUMBERS: Final = {
        MISSING: "AKV10000: Request is missing a Bearer or PoP token.",
        SCHEME: "AKV10000: Request is missing a Bearer or PoP token.",
        "audience": "AKV10022: Invalid audience.",
        "issuer": "AKV10032: Invalid issuer.",
        "tenant": "AKV10032: Invalid issuer.",
    }

    def unauthenticated(self, reason: str, detail: str, tenant_id: str) -> web.Response:
        """401 with the challenge that SDKs ask for by a first call without a token."""
        number = self._NUMBERS.get(reason, "[BearerReadAccessTokenFailed] Error validating token.")
        message = number if reason == MISSING else f"{number} {detail}"
        challenge = f'Bearer authorization="https://login.microsoftonline.com/{tenant_id}", resource="{VAULT}"'
        return json_reply(401, "Unauthorized", message, {"WWW-Authenticate": challenge})

    def forbidden(self, denied: Denied) -> web.Response:
        """403 with the inner code ForbiddenByRbac."""
        message = (
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
            "definitions were changed recently, please observe propagation time.\r\n"
            f"Caller: appid={denied.application};oid={denied.principal}\r\nAction: '{denied.wanted}'\r\n"
            f"Resource: '{denied.scope}'\r\nAssignment: (not found)\r\n"
        )
        inner = {"code": "ForbiddenByRbac"}
        return web.json_response(
            {"error": {"code": "Forbidden", "message": message, "innererror": inner}}, status=403, headers=_request_id()
        )


_ARM_CODES: Final = {
    MISSING: ("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."),
    SCHEME: ("AuthenticationFailed", "Authentication failed. The 'Authorization' header must hold a bearer token."),
    "audience": ("InvalidAuthenticationTokenAudience", "The access token has been obtained for wrong audience."),
    "issuer": ("InvalidAuthenticationTokenTenant", "The access token is from the wrong issuer."),
    "tenant": ("InvalidAuthenticationTokenTenant", "The access token is from the wrong tenant."),
    "expired": ("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."),
}


class ArmManner:
    """Resource Manager's JSON: `{"error": {"code", "message"}}`."""

    def unauthenticated(self, reason: str, detail: str, tenant_id: str) -> web.Response:
        """401; the challenge carries error and description."""
        code, message = _ARM_CODES.get(reason, ("InvalidAuthenticationToken", "The access token is invalid."))
        authority = f'authorization_uri="https://login.microsoftonline.com/{tenant_id}"'
        challenge = f'Bearer {authority}, error="invalid_token", error_description="{message}"'
        told = message if reason == MISSING else f"{message} {detail}"
        return json_reply(401, code, told, {"WWW-Authenticate": challenge})

    def forbidden(self, denied: Denied) -> web.Response:
        """403 AuthorizationFailed."""
        return json_reply(
            403,
            "AuthorizationFailed",
            f"The client '{denied.application}' with object id '{denied.principal}' does not have authorization to "
            f"perform action '{denied.wanted}' over scope '{denied.scope}' or the scope is invalid.",
        )


class LogsManner(ArmManner):
    """Logs Ingestion: Resource Manager's 401, a 403 of its own."""

    def forbidden(self, denied: Denied) -> web.Response:
        """403 OperationFailed, as Azure Monitor's troubleshooting guides show it."""
        return json_reply(
            403,
            "OperationFailed",
            "The authentication token provided does not have access to ingest data for the data collection rule. "
            "Message: Required authorization action was not found for objectId "
            f"{denied.principal} on resourceId {denied.scope}: {denied.wanted}.",
        )


def storage_reply(
    status: int, code: str, message: str, headers: dict[str, str] | None = None, detail: str = ""
) -> web.Response:
    """Storage's error document."""
    request = _request_id()
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    told = f"{message}\nRequestId:{request['x-ms-request-id']}\nTime:{now}"
    more = f"<AuthenticationErrorDetail>{escape(detail)}</AuthenticationErrorDetail>" if detail else ""
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{escape(told)}</Message>{more}'
        "</Error>"
    )
    every = {**request, **(headers or {}), "x-ms-error-code": code}
    return web.Response(status=status, body=body.encode(), content_type="application/xml", headers=every)


def json_reply(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """`{"error": {"code", "message"}}`."""
    body = {"error": {"code": code, "message": message}}
    return web.json_response(body, status=status, headers={**_request_id(), **(headers or {})})


def _request_id() -> dict[str, str]:
    return {"x-ms-request-id": str(uuid.uuid4())}
