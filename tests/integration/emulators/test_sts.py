"""AssumeRoleWithWebIdentity: every refusal AWS knows, and what a session may do."""

import json
from typing import Any

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.emulators.local import AWS_ACCOUNT, AWS_AUDIENCE, REGION, TENANT, Local

ISSUER = f"sts.windows.net/{TENANT}/"
PROVIDER = f"arn:aws:iam::{AWS_ACCOUNT}:oidc-provider/{ISSUER}"


def trust(**conditions: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{ISSUER}:{claim}": value for claim, value in conditions.items()}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def worker(local: Local) -> str:
    principal = local.identity("worker")
    local.do(lambda: local.cloud.identity.put_audience(AWS_AUDIENCE))
    local.do(lambda: local.cloud.aws.put_oidc_provider(PROVIDER, f"https://{ISSUER}", [AWS_AUDIENCE], []))
    local.do(lambda: local.cloud.aws.put_role("reader", trust(aud=AWS_AUDIENCE, sub=principal), 7200))
    return principal


def assume(local: Local, token: str, role: str = "reader", **more: Any) -> Any:
    client = boto3.client(
        "sts",
        region_name=REGION,
        endpoint_url=local.cloud.endpoints["sts"],
        verify=local.ca,
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
    )
    arn = f"arn:aws:iam::{AWS_ACCOUNT}:role/{role}"
    return client.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="run-1", WebIdentityToken=token, **more)


def token(local: Local, principal: str, audience: str = AWS_AUDIENCE, lifetime_s: int = 3600) -> str:
    return local.do(lambda: local.cloud.identity.token(principal, audience, lifetime_s))


def test_the_pinned_identity_gets_a_session(local: Local, worker: str) -> None:
    answer = assume(local, token(local, worker), DurationSeconds=3600)
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{AWS_ACCOUNT}:assumed-role/reader/run-1"
    assert answer["SubjectFromWebIdentityToken"] == worker
    got = answer["Credentials"]
    client = local.aws("sts", got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    assert client.get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]


def refused(local: Local, given: str, **more: Any) -> str:
    with pytest.raises(ClientError) as error:
        assume(local, given, **more)
    return str(error.value.response["Error"]["Code"])


def test_refusals(local: Local, worker: str) -> None:
    identity = local.cloud.identity
    claims = jwt.decode(token(local, worker), options={"verify_signature": False})
    other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kid = {"kid": identity.keys.kid}

    def signed(**changed: Any) -> str:
        return jwt.encode({**claims, **changed}, identity.keys.private, algorithm="RS256", headers=kid)

    assert refused(local, "rubbish") == "InvalidIdentityToken"
    assert refused(local, jwt.encode(claims, other_key, algorithm="RS256", headers=kid)) == "InvalidIdentityToken"
    assert refused(local, jwt.encode(claims, "", algorithm="none", headers=kid)) == "InvalidIdentityToken"
    assert refused(local, signed(iss="https://sts.windows.net/other/")) == "InvalidIdentityToken"
    assert refused(local, token(local, worker, "https://management.azure.com/")) == "InvalidIdentityToken"
    assert refused(local, signed(azp="11111111-0000-0000-0000-000000000000")) == "InvalidIdentityToken"
    assert refused(local, signed(exp=claims["iat"] - 1)) == "ExpiredTokenException"
    assert refused(local, signed(nbf=claims["iat"] + 3000)) == "IDPRejectedClaim"
    assert refused(local, token(local, local.identity("somebody else"))) == "AccessDenied"
    assert refused(local, token(local, worker), role="unknown") == "AccessDenied"
    assert refused(local, token(local, worker), DurationSeconds=43_200) == "ValidationError"


def test_a_session_is_its_keys_its_token_and_its_time(local: Local, worker: str) -> None:
    got = assume(local, token(local, worker), DurationSeconds=900)["Credentials"]
    keys = (got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    for service, expected in (("sts", "InvalidClientTokenId"), ("s3", "InvalidToken")):
        client = local.aws(service, keys[0], keys[1], "another")
        with pytest.raises(ClientError) as error:
            client.get_caller_identity() if service == "sts" else client.list_buckets()
        assert error.value.response["Error"]["Code"] == expected
    with pytest.raises(ClientError) as error:
        local.aws("sts", keys[0], "wrong", keys[2]).get_caller_identity()
    assert error.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_expired_sessions_are_refused(local: Local, worker: str) -> None:
    session = local.do(lambda: local.cloud.aws.account.open_session(local.cloud.aws.account.roles["reader"], "old", -1))
    for service, expected in (("sqs", "ExpiredTokenException"), ("s3", "ExpiredToken")):
        client = local.aws(service, session.access_key, session.secret, session.token)
        with pytest.raises(ClientError) as error:
            client.list_queues() if service == "sqs" else client.list_buckets()
        assert error.value.response["Error"]["Code"] == expected


def test_an_unenforceable_trust_policy_is_refused_when_it_is_put(local: Local) -> None:
    policy = trust(aud="x").replace("StringEquals", "DateGreaterThan")
    with pytest.raises(ValueError, match="DateGreaterThan"):
        local.do(lambda: local.cloud.aws.put_role("bad", policy, 3600))
