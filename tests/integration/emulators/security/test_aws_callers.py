"""S3, SQS and STS: every operation, as the deployed worker's role and as everybody who only looks like it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from localcloud.emulators.aws.s3_operation import BUCKET_OPERATIONS, OBJECT_OPERATIONS
from tests.components.program import TENANCY
from tests.integration.emulators.local import AWS_ACCOUNT, Local
from tests.integration.emulators.security.deployed import Deployed
from tests.integration.emulators.security.sigv4 import UNSIGNED, Headers, Keys, signed
from tests.integration.emulators.security.tokens import UNKNOWN, Forge
from tests.integration.emulators.security.wire import Answer, Wire

ALLOWED: Final = {
    "s3": {"GetObject", "HeadObject", "ListObjects", "HeadBucket"},
    "sqs": {
        *("ReceiveMessage", "DeleteMessage", "DeleteMessageBatch"),
        *("ChangeMessageVisibility", "ChangeMessageVisibilityBatch"),
    },
}
"""What log_ingest's worker may do in its own bucket and queue; nothing of it anywhere else."""
JSON: Final = ("content-type", "application/x-amz-json-1.0")


@dataclass(frozen=True, slots=True)
class Ask:
    """One operation, unsigned."""

    service: str
    operation: str
    method: str
    base: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    running = Local(tmp_path_factory.mktemp("cloud"), TENANCY.tenant_id)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def deployed(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    found = Deployed(local, tmp_path_factory.mktemp("control"))
    vendor = local.vendor("s3")
    for bucket in (found.bucket, "somebody-elses"):
        local.do(lambda bucket=bucket: local.cloud.aws.put_bucket(bucket))  # type: ignore[misc]
        vendor.put_object(Bucket=bucket, Key="key", Body=b"CANARY")
    local.do(lambda: local.cloud.aws.put_queue("somebody-elses", {}))
    yield found
    local.do(found.plane.close)


def s3_asks(local: Local, bucket: str) -> list[Ask]:
    base, found = local.cloud.endpoints["s3"], []
    for table, path in ((BUCKET_OPERATIONS, f"/{bucket}"), (OBJECT_OPERATIONS, f"/{bucket}/key")):
        for (method, subresource), (operation, _) in table.items():
            query = f"?{subresource}=1" if subresource else ""
            query += "&partNumber=1" if operation == "UploadPart" else ""
            body = b"<Delete><Object><Key>key</Key></Object></Delete>" if operation == "DeleteObjects" else b""
            found.append(Ask("s3", operation, method, base, path + query, (), body))
    return found


def sqs_asks(local: Local, queue: str) -> list[Ask]:
    url = local.cloud.aws.sqs.url(queue)
    entry = {"Id": "a", "ReceiptHandle": "a.b.c", "MessageBody": "m", "VisibilityTimeout": 0}
    fields = {
        **entry,
        "QueueUrl": url,
        "QueueName": queue,
        "Entries": [entry],
        "Attributes": {},
        "MaxNumberOfMessages": 1,
    }
    body = json.dumps(fields).encode()
    return [
        Ask("sqs", one, "POST", local.cloud.endpoints["sqs"], "/", (("x-amz-target", f"AmazonSQS.{one}"), JSON), body)
        for one in sorted(local.cloud.aws.sqs.operations)
    ]


def call(wire: Wire, ask: Ask, keys: Keys | None, **wrong: Any) -> Answer:
    headers: Headers = list(ask.headers)
    if keys is not None:
        headers = signed(keys, ask.service, ask.method, ask.base, ask.target, headers=headers, body=ask.body, **wrong)
    return wire.send(ask.base, ask.method, ask.target, headers, ask.body)


def refusal(service: str, answer: Answer) -> tuple[int, str]:
    """(status, code), the shape of the whole answer checked."""
    assert b"CANARY" not in answer.body
    if service == "s3":
        if not answer.body:
            return answer.status, ""
        assert answer.headers["content-type"].startswith("application/xml")
        assert answer.xml.tag == "Error"
        assert answer.xml.findtext("RequestId") == answer.headers["x-amz-request-id"]
        return answer.status, str(answer.xml.findtext("Code"))
    if service == "sqs":
        assert answer.headers["content-type"].startswith("application/x-amz-json-1.0")
        assert "x-amzn-requestid" in answer.headers
        assert answer.headers["x-amzn-query-error"].endswith(";Sender")
        return answer.status, answer.json["__type"].removeprefix("com.amazonaws.sqs#")
    namespace = "{https://sts.amazonaws.com/doc/2011-06-15/}"
    assert answer.xml.tag == f"{namespace}ErrorResponse"
    assert answer.xml.findtext(f"{namespace}RequestId")
    return answer.status, str(answer.xml.findtext(f"{namespace}Error/{namespace}Code"))


DENIED: Final = (403, "AccessDenied")


def test_the_worker_does_its_work_in_its_place_and_nothing_else(local: Local, deployed: Deployed, wire: Wire) -> None:
    for service, here in (("s3", s3_asks(local, deployed.bucket)), ("sqs", sqs_asks(local, deployed.queue))):
        assert ALLOWED[service] < {ask.operation for ask in here}
        for ask in here:
            answer = call(wire, ask, deployed.keys)
            if ask.operation in ALLOWED[service]:
                assert answer.status < 300 or refusal(service, answer)[1] in {"MessageNotInflight", ""}, (ask, answer)
            elif ask.operation == "DeleteObjects":  # answers per key
                assert b"<Error><Key>key</Key><Code>AccessDenied</Code>" in answer.body
            else:
                assert refusal(service, answer) in {DENIED, (403, "")}, ask.operation
    assert local.vendor("s3").get_object(Bucket=deployed.bucket, Key="key")["Body"].read() == b"CANARY"


def test_the_worker_does_nothing_anywhere_else(local: Local, deployed: Deployed, wire: Wire) -> None:
    asks = s3_asks(local, "somebody-elses")
    asks += [*sqs_asks(local, "somebody-elses"), *sqs_asks(local, deployed.dead_queue)]
    asks.append(Ask("s3", "ListBuckets", "GET", local.cloud.endpoints["s3"], "/"))
    for ask in asks:
        answer = call(wire, ask, deployed.keys)
        if ask.operation == "DeleteObjects":
            assert b"<Code>AccessDenied</Code>" in answer.body
        else:
            assert refusal(ask.service, answer) in {DENIED, (403, "")}, ask
    elsewhere = sqs_asks(local, deployed.queue)[0].body.replace(AWS_ACCOUNT.encode(), b"999999999999")
    for ask in sqs_asks(local, deployed.queue):
        assert refusal("sqs", call(wire, replace(ask, body=elsewhere), deployed.keys)) == DENIED


Wrong = Callable[[Deployed, Wire, Ask], Answer]


def _swapped(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    return call(wire, ask, replace(deployed.keys, token=deployed.session().token))


def _added(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    headers = signed(
        deployed.keys, ask.service, ask.method, ask.base, ask.target, headers=list(ask.headers), body=ask.body
    )
    return wire.send(ask.base, ask.method, ask.target, [*headers, ("x-amz-meta-added", "later")], ask.body)


def _other_target(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    other = f"{ask.target}{'&' if '?' in ask.target else '?'}added=1"
    headers = signed(
        deployed.keys, ask.service, ask.method, ask.base, ask.target, headers=list(ask.headers), body=ask.body
    )
    return wire.send(ask.base, ask.method, other, headers, ask.body)


def _other_method(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    headers = signed(
        deployed.keys, ask.service, "PATCH", ask.base, ask.target, headers=list(ask.headers), body=ask.body
    )
    return wire.send(ask.base, ask.method, ask.target, headers, ask.body)


def _twice(deployed: Deployed, wire: Wire, ask: Ask) -> Answer:
    headers = signed(
        deployed.keys, ask.service, ask.method, ask.base, ask.target, headers=list(ask.headers), body=ask.body
    )
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


@pytest.mark.parametrize("kind", STRANGERS)
def test_nobody_who_only_looks_like_the_worker_comes_in(
    local: Local, deployed: Deployed, wire: Wire, kind: str
) -> None:
    """Every operation, those that the worker may do included."""
    make, on_s3, on_sqs = STRANGERS[kind]
    for ask in [*s3_asks(local, deployed.bucket), *sqs_asks(local, deployed.queue)]:
        answer = make(deployed, wire, ask)
        status, code = on_s3 if ask.service == "s3" else on_sqs
        if ask.operation == "DeleteObjects" and kind == "nobody":
            assert b"<Code>AccessDenied</Code>" in answer.body
        else:
            assert refusal(ask.service, answer) == (status, "" if ask.method == "HEAD" else code), ask


def test_a_body_is_what_was_signed(local: Local, deployed: Deployed, wire: Wire) -> None:
    vendor = Keys(*local.do(local.cloud.aws.vendor_keys))
    put = Ask("s3", "PutObject", "PUT", local.cloud.endpoints["s3"], f"/{deployed.bucket}/put", (), b"good")
    assert call(wire, put, vendor).status == 200
    headers = signed(vendor, "s3", put.method, put.base, put.target, body=put.body)
    changed = wire.send(put.base, put.method, put.target, headers, b"evil")
    assert refusal("s3", changed) == (400, "XAmzContentSHA256Mismatch")
    assert call(wire, put, vendor, payload=UNSIGNED).status == 200  # S3's own rule, over TLS
    receive = next(ask for ask in sqs_asks(local, deployed.queue) if ask.operation == "ReceiveMessage")
    headers = signed(deployed.keys, "sqs", "POST", receive.base, "/", headers=list(receive.headers), body=receive.body)
    changed = wire.send(receive.base, "POST", "/", headers, receive.body.replace(b'"m"', b'"n"'))
    assert refusal("sqs", changed) == (403, "SignatureDoesNotMatch")
    declared = signed(
        deployed.keys,
        "sqs",
        "POST",
        receive.base,
        "/",
        headers=list(receive.headers),
        body=receive.body,
        payload=UNSIGNED,
    )
    assert refusal("sqs", wire.send(receive.base, "POST", "/", declared, receive.body))[0] == 403


def test_presigned_addresses_say_one_thing_for_a_time(local: Local, deployed: Deployed, wire: Wire) -> None:
    client = local.aws("s3", deployed.keys.access_key, deployed.keys.secret, deployed.keys.token)
    base = local.cloud.endpoints["s3"]
    url = client.generate_presigned_url("get_object", Params={"Bucket": deployed.bucket, "Key": "key"}, ExpiresIn=60)
    target = url.removeprefix(base)
    assert wire.send(base, "GET", target).body == b"CANARY"
    assert refusal("s3", wire.send(base, "GET", target.replace("/key?", "/put?")))[1] == "SignatureDoesNotMatch"
    assert refusal("s3", wire.send(base, "DELETE", target))[0] == 403
    assert (
        refusal("s3", wire.send(base, "GET", target.replace("Expires=60", "Expires=600")))[1] == "SignatureDoesNotMatch"
    )
    for odd in ("", "-1", "x", "999999999"):
        answer = wire.send(base, "GET", target.replace("Expires=60", f"Expires={odd}"))
        assert refusal("s3", answer) == (400, "AuthorizationQueryParametersError")
    with_header = wire.send(base, "GET", target, [("x-amz-copy-source", "/a/b")])
    assert refusal("s3", with_header) == DENIED
    both = wire.send(base, "GET", target, [("authorization", "AWS4-HMAC-SHA256 x")])
    assert refusal("s3", both) == (400, "InvalidArgument")
    local.clock.ahead_s = 61
    try:
        assert refusal("s3", wire.send(base, "GET", target)) == DENIED
    finally:
        local.clock.ahead_s = 0


def assume(local: Local, wire: Wire, token: str, role: str) -> Answer:
    fields = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "WebIdentityToken": token}
    arn = role if role.startswith("arn:") else f"arn:aws:iam::{AWS_ACCOUNT}:role/{role}"
    body = urlencode({**fields, "RoleArn": arn, "RoleSessionName": "run"})
    headers = [("content-type", "application/x-www-form-urlencoded")]
    return wire.send(local.cloud.endpoints["sts"], "POST", "/", headers, body.encode())


STS_CODES: Final = {
    "expired": (400, "ExpiredTokenException"),
    "not yet valid": (403, "IDPRejectedClaim"),
}


def test_the_role_is_the_worker_s_alone(local: Local, deployed: Deployed, wire: Wire) -> None:
    """Trust as deployed: this issuer, this audience, this subject; no token that fails one of them."""
    identity = local.cloud.identity
    forge = local.do(lambda: Forge(identity, deployed.worker, deployed.audience))
    assert assume(local, wire, forge.good, deployed.role).status == 200
    for kind, make in UNKNOWN.items():
        answer = assume(local, wire, make(forge), deployed.role)
        assert refusal("sts", answer) == STS_CODES.get(kind, (400, "InvalidIdentityToken")), kind
    azp = forge.signed(azp="11111111-0000-0000-0000-000000000000")
    assert refusal("sts", assume(local, wire, azp, deployed.role)) == (400, "InvalidIdentityToken")
    stranger = local.identity("stranger")
    for principal in (stranger, identity.deployer.principal_id):
        token = local.do(lambda principal=principal: identity.token(principal, deployed.audience))  # type: ignore[misc]
        assert refusal("sts", assume(local, wire, token, deployed.role)) == DENIED
    assert refusal("sts", assume(local, wire, forge.signed(sub=stranger), deployed.role)) == DENIED
    assert refusal("sts", assume(local, wire, forge.signed(sub=["x", deployed.worker]), deployed.role))[0] in {400, 403}


def test_the_worker_takes_no_other_role(local: Local, deployed: Deployed, wire: Wire) -> None:
    trust = deployed.document("iam/role:Role", "assumeRolePolicy")
    (statement,) = trust["Statement"]
    conditions = statement["Condition"]["StringEquals"]
    subject = next(key for key in conditions if key.endswith(":sub"))
    assert conditions[subject] == deployed.worker
    conditions[subject] = local.identity("another worker")
    local.do(lambda: local.cloud.aws.put_role("another", json.dumps(trust)))
    token = local.do(lambda: local.cloud.identity.token(deployed.worker, deployed.audience))
    for role in ("another", "none", "", f"arn:aws:iam::999999999999:role/{deployed.role}", f"{deployed.role}*", "*"):
        assert refusal("sts", assume(local, wire, token, role)) == DENIED, role
    for action in ("AssumeRole", "GetSessionToken", "GetFederationToken", "AssumeRoleWithSAML", ""):
        body = urlencode({"Action": action, "RoleArn": f"arn:aws:iam::{AWS_ACCOUNT}:role/another"}).encode()
        ask = Ask("sts", action, "POST", local.cloud.endpoints["sts"], "/", (), body)
        assert refusal("sts", call(wire, ask, deployed.keys))[0] in {400, 403}
        assert refusal("sts", call(wire, ask, None)) == (403, "MissingAuthenticationToken")
    identity = Ask(
        "sts", "", "POST", local.cloud.endpoints["sts"], "/", (), b"Action=GetCallerIdentity&Version=2011-06-15"
    )
    answer = call(wire, identity, deployed.keys)
    assert answer.status == 200
    assert f"assumed-role/{deployed.role}/run".encode() in answer.body


def test_a_policy_with_a_prefix_holds_reads_and_listings_to_it(local: Local, deployed: Deployed, wire: Wire) -> None:
    """What the program does not declare today, declared here: the local cloud would enforce it."""
    bucket = deployed.bucket
    statements = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/in/*"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"StringLike": {"s3:prefix": ["in/*"]}},
        },
    ]
    trust = json.dumps(deployed.document("iam/role:Role", "assumeRolePolicy"))
    local.do(lambda: local.cloud.aws.put_role("prefixed", trust))
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    local.do(lambda: local.cloud.aws.put_role_policy("prefixed", "p", policy))
    for key in ("in/a", "in/../out/a", "out/a", "into/a"):
        local.vendor("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    account = local.cloud.aws.account
    made = local.do(lambda: account.open_session(account.roles["prefixed"], "run", 600))
    keys = Keys(made.access_key, made.secret, made.token)

    def get(target: str) -> int:
        return call(wire, Ask("s3", "", "GET", local.cloud.endpoints["s3"], f"/{bucket}{target}"), keys).status

    assert (get("/in/a"), get("?list-type=2&prefix=in%2F")) == (200, 200)
    assert get("/in/../out/a") == 200  # a key of that very name: S3 removes no dots
    for target in (
        "/out/a",
        "/into/a",
        "/in%2f%2e%2e",
        "?list-type=2",
        "?list-type=2&prefix=out%2F",
        "?prefix=",
        "?versions",
    ):
        assert get(target) in {403, 404}, target
        assert get(target) == 403 or target.startswith("/in%2f"), target
