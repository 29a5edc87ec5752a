"""Everybody who only looks like the deployed worker, and how S3 and SQS turn each of them away."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tests.integration.emulators.security.aws_asks import DENIED, Ask, call
from tests.integration.emulators.security.deployed import Deployed
from tests.integration.emulators.security.sigv4 import Headers, signed
from tests.integration.emulators.security.wire import Answer, Wire

Wrong = Callable[[Deployed, Wire, Ask], Answer]


def _signed(deployed: Deployed, ask: Ask) -> Headers:
    headers = list(ask.headers)
    return signed(deployed.keys, ask.service, ask.method, ask.base, ask.target, headers=headers, body=ask.body)


def _swapped(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    return call(wire, ask, replace(deployed.keys, token=deployed.session().token))


def _added(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    headers = _signed(deployed, ask)
    return wire.send(ask.base, ask.method, ask.target, [*headers, ("x-amz-meta-added", "later")], ask.body)


def _other_target(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    other = f"{ask.target}{'&' if '?' in ask.target else '?'}added=1"
    headers = _signed(deployed, ask)
    return wire.send(ask.base, ask.method, other, headers, ask.body)


def _other_method(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    headers = _signed(deployed, replace(ask, method="PATCH"))
    return wire.send(ask.base, ask.method, ask.target, headers, ask.body)


def _twice(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    headers = _signed(deployed, ask)
    return wire.send(ask.base, ask.method, ask.target, [*headers, ("authorization", headers[-1][1])], ask.body)


def _broken(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    header = ("authorization", "AWS4-HMAC-SHA256 Credential=x/y, Signature=z")
    return wire.send(ask.base, ask.method, ask.target, [*ask.headers, header], ask.body)


def _bearer(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    token = deployed.local.do(lambda: deployed.local.cloud.identity.token(deployed.worker, deployed.audience))
    return wire.send(ask.base, ask.method, ask.target, [*ask.headers, ("authorization", f"Bearer {token}")], ask.body)


STRANGERS: Final[dict[str, tuple[Wrong, tuple[int, str], tuple[int, str]]]] = {
    "nobody": (lambda _, wire, ask: call(wire, ask, None), DENIED, DENIED),
    "an unknown key": (
        lambda d, wire, ask: call(wire, ask, replace(d.keys, access_key="ASIAUNKNOWN")),
        (403, "InvalidAccessKeyId"),
        (403, "InvalidClientTokenId"),
    ),
    "a wrong secret": (
        lambda d, wire, ask: call(wire, ask, replace(d.keys, secret="guessed")),
        (403, "SignatureDoesNotMatch"),
        (403, "SignatureDoesNotMatch"),
    ),
    "a stolen key without its token": (
        lambda d, wire, ask: call(wire, ask, replace(d.keys, token=None)),
        (400, "InvalidToken"),
        (403, "InvalidClientTokenId"),
    ),
    "a stolen key with another session's token": (_swapped, (400, "InvalidToken"), (403, "InvalidClientTokenId")),
    "an expired session": (
        lambda d, wire, ask: call(wire, ask, d.session(-1)),
        (400, "ExpiredToken"),
        (403, "ExpiredTokenException"),
    ),
    "a signature of a quarter of an hour ago": (
        lambda d, wire, ask: call(wire, ask, d.keys, age_s=960),
        (403, "RequestTimeTooSkewed"),
        (403, "SignatureDoesNotMatch"),
    ),
    "a signature from the future": (
        lambda d, wire, ask: call(wire, ask, d.keys, age_s=-960),
        (403, "RequestTimeTooSkewed"),
        (403, "SignatureDoesNotMatch"),
    ),
    "yesterday's key": (
        lambda d, wire, ask: call(wire, ask, d.keys, scope_days=1),
        (400, "AuthorizationHeaderMalformed"),
        (403, "SignatureDoesNotMatch"),
    ),
    "a key of another region": (
        lambda d, wire, ask: call(wire, ask, d.keys, region="us-east-1"),
        (400, "AuthorizationHeaderMalformed"),
        (403, "SignatureDoesNotMatch"),
    ),
    "a key of another service": (
        lambda d, wire, ask: call(wire, ask, d.keys, scope_service="dynamodb"),
        (400, "AuthorizationHeaderMalformed"),
        (403, "SignatureDoesNotMatch"),
    ),
    "a host that is not signed": (
        lambda d, wire, ask: call(wire, ask, d.keys, leave_out="host"),
        (403, "AccessDenied"),
        (403, "SignatureDoesNotMatch"),
    ),
    "a session token that is not signed": (
        lambda d, wire, ask: call(wire, ask, d.keys, leave_out="x-amz-security-token"),
        (403, "AccessDenied"),
        (403, "SignatureDoesNotMatch"),
    ),
    "a header added after signing": (_added, (403, "AccessDenied"), (403, "SignatureDoesNotMatch")),
    "another query than was signed": (_other_target, (403, "SignatureDoesNotMatch"), (403, "SignatureDoesNotMatch")),
    "another method than was signed": (_other_method, (403, "SignatureDoesNotMatch"), (403, "SignatureDoesNotMatch")),
    "two signatures": (_twice, (400, "InvalidArgument"), (400, "InvalidArgument")),
    "half a signature": (_broken, (400, "IncompleteSignature"), (400, "IncompleteSignature")),
    "an Entra token": (_bearer, (400, "IncompleteSignature"), (400, "IncompleteSignature")),
}
