"""S3, SQS and STS: every operation, as the deployed worker's role and as everybody who only looks like it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.components.program import TENANCY
from tests.integration.emulators.local import AWS_ACCOUNT, Local
from tests.integration.emulators.security.aws_asks import DENIED, Ask, call, refusal, s3_asks, sqs_asks
from tests.integration.emulators.security.aws_strangers import STRANGERS
from tests.integration.emulators.security.deployed import Deployed
from tests.integration.emulators.security.sigv4 import UNSIGNED, Keys, signed
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
