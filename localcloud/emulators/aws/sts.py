"""STS: AssumeRoleWithWebIdentity with every check AWS makes, and GetCallerIdentity.

The token's issuer stays the tenant's own (`https://sts.windows.net/{tenant}/`); its keys are the local tenant's.
Order and codes of the refusals follow the API reference of AssumeRoleWithWebIdentity: InvalidIdentityToken,
ExpiredTokenException, IDPRejectedClaim, AccessDenied, ValidationError. `azp`, when present, is taken for the
audience, as AWS does.
"""

import datetime as dt
import re
import uuid
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.emulators.aws.account import Account, Caller, Provider, Role, Session
from localcloud.emulators.aws.errors import AwsError, query_error, shaped
from localcloud.emulators.aws.policy import decide
from localcloud.emulators.door import Call, Refusal, Troubles
from localcloud.emulators.identity import Claims, Identity, TokenRefused

DEFAULT_SESSION_S: Final = 3600
MIN_SESSION_S: Final = 900
ACTION: Final = "sts:AssumeRoleWithWebIdentity"
_XMLNS: Final = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
_SKEW_S: Final = 300


class Sts:
    """The service behind the STS door."""

    name = "sts"
    troubles = Troubles(
        shaped(query_error), busy=(500, "InternalFailure"), throttled=(400, "Throttling"),
        expired=(400, "ExpiredTokenException"),
    )  # fmt: skip

    def __init__(self, account: Account, identity: Identity) -> None:
        self._account = account
        self._identity = identity

    async def admit(self, request: web.BaseRequest) -> Call:
        """AssumeRoleWithWebIdentity is the one unsigned call; every other needs a signature."""
        body = await request.read()
        fields = dict(parse_qsl(body.decode(errors="replace") or request.query_string))
        operation = fields.get("Action", "")
        try:
            if operation == "AssumeRoleWithWebIdentity":
                return Call(operation, "web identity", fields)
            caller = self._account.caller(request, body, "sts")
            if caller is None:
                raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
            if operation != "GetCallerIdentity":
                raise AwsError("InvalidAction", f"The local cloud's STS has no operation {operation}.", 400)
        except AwsError as error:
            raise Refusal(query_error(error), operation or "?") from error
        return Call(operation, caller.arn, caller)

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:  # noqa: ARG002 -- the door's shape
        """The XML of the operation."""
        if call.operation == "GetCallerIdentity":
            return self._caller_identity(call.detail)
        try:
            role, claims, session = self.assume(call.detail)
        except AwsError as error:
            raise Refusal(query_error(error), call.operation) from error
        expires = dt.datetime.fromtimestamp(session.expires, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        result = (
            f"<SubjectFromWebIdentityToken>{escape(str(claims['sub']))}</SubjectFromWebIdentityToken>"
            f"<Audience>{escape(_audience(claims))}</Audience><Provider>{escape(self._provider(claims).arn)}</Provider>"
            f"<AssumedRoleUser><Arn>{session.arn}</Arn><AssumedRoleId>{session.user_id}</AssumedRoleId></AssumedRoleUser>"
            f"<Credentials><AccessKeyId>{session.access_key}</AccessKeyId><SecretAccessKey>{session.secret}</SecretAccessKey>"
            f"<SessionToken>{session.token}</SessionToken><Expiration>{expires}</Expiration></Credentials>"
        )
        del role
        return _xml("AssumeRoleWithWebIdentity", result)

    def assume(self, fields: dict[str, str]) -> tuple[Role, Claims, Session]:
        """The checks and the session; AwsError with AWS's own code."""
        for name in ("RoleArn", "RoleSessionName", "WebIdentityToken"):
            if not fields.get(name):
                raise AwsError("ValidationError", f"1 validation error detected: Value at '{name}' failed to satisfy "
                               "constraint: Member must not be null")  # fmt: skip
        session_name = fields["RoleSessionName"]
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", session_name, re.ASCII):
            raise AwsError("ValidationError", f"Value '{session_name}' at 'roleSessionName' failed to satisfy "
            "constraint: "
                           r"Member must satisfy regular expression pattern: [\w+=,.@-]*")  # fmt: skip
        claims = self._claims(fields["WebIdentityToken"])
        provider = self._provider(claims)
        if _audience(claims) not in provider.audiences:
            raise AwsError("InvalidIdentityToken", "Incorrect token audience")
        role = self._account.role_of_arn(fields["RoleArn"])
        if role is None or not _trusts(role, provider, claims):
            raise AwsError("AccessDenied", f"Not authorized to perform {ACTION}", 403)
        return role, claims, self._account.open_session(role, session_name, _duration(fields, role))

    def _claims(self, token: str) -> Claims:
        try:
            claims = self._identity.check(token)
        except TokenRefused as refused:
            raise AwsError("InvalidIdentityToken", _WORDS.get(refused.reason, str(refused))) from refused
        now = self._account.clock()
        if now >= claims["exp"]:
            raise AwsError(
                "ExpiredTokenException", "Token expired: current date/time must be before the expiration date/time"
            )
        if now < claims.get("nbf", 0) - _SKEW_S:
            raise AwsError("IDPRejectedClaim", "The token is not valid yet", 403)
        return claims

    def _provider(self, claims: Claims) -> Provider:
        issuer = str(claims["iss"]).removeprefix("https://")
        for provider in self._account.providers.values():
            if provider.url.rstrip("/") == issuer.rstrip("/"):
                return provider
        raise AwsError(
            "InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + str(claims["iss"])
        )

    def _caller_identity(self, caller: Caller) -> web.Response:
        return _xml(
            "GetCallerIdentity",
            f"<Arn>{caller.arn}</Arn><UserId>{caller.user_id}</UserId><Account>{self._account.account_id}</Account>",
        )


_WORDS: Final = {
    "malformed": "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    "signature": "Couldn't retrieve verification key from your identity provider, please reference "
    "AssumeRoleWithWebIdentity documentation for requirements",
    "issuer": "No OpenIDConnect provider found in your account for the token's issuer",
}


def _trusts(role: Role, provider: Provider, claims: Claims) -> bool:
    context = {f"{provider.url}:aud".lower(): _audience(claims)}
    for claim in ("sub", "oid", "appid", "tid"):
        if claim in claims:
            context[f"{provider.url}:{claim}".lower()] = str(claims[claim])
    naming = [statement for statement in role.trust if statement.names("Federated", {provider.arn})]
    return decide(naming, ACTION, role.arn, context) == "Allow"


def _audience(claims: dict[str, Any]) -> str:
    return str(claims.get("azp") or claims.get("aud"))


def _duration(fields: dict[str, str], role: Role) -> int:
    text = fields.get("DurationSeconds") or str(DEFAULT_SESSION_S)
    if not text.isdigit() or int(text) < MIN_SESSION_S:
        raise AwsError("ValidationError", f"Value '{text}' at 'durationSeconds' failed to satisfy constraint: Member "
        "must have "
                       f"value greater than or equal to {MIN_SESSION_S}")  # fmt: skip
    if int(text) > role.max_session_s:
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return int(text)


def _xml(operation: str, result: str) -> web.Response:
    body = (
        f"<{operation}Response {_XMLNS}><{operation}Result>{result}</{operation}Result><ResponseMetadata>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{operation}Response>"
    )
    return web.Response(body=body.encode(), content_type="text/xml")
