"""The clock jumps while the cloud runs: what was stored stays, what expires is refused with its own words."""

import json

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import BlobClient
from botocore.exceptions import ClientError

from tests.integration.emulators.local import BLOB_CONTRIBUTOR, GROUP, FixedToken, Local, TokenOf

ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/clock"
STORAGE = "https://storage.azure.com"
DAY_S = 86_400


def test_messages_in_hand_come_back_and_none_is_lost(local: Local) -> None:
    local.do(lambda: local.cloud.aws.put_queue("jumps", {"VisibilityTimeout": "360"}))
    sqs = local.vendor("sqs")
    url = sqs.get_queue_url(QueueName="jumps")["QueueUrl"]
    sent = {sqs.send_message(QueueUrl=url, MessageBody=str(number))["MessageId"] for number in range(5)}
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=5)
    local.clock.ahead_s = 400  # less than the 15 min after which a signature is refused
    back = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert {message["MessageId"] for message in back} == sent
    local.clock.ahead_s = 0
    assert "Messages" not in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10), "hidden until their own time"
    local.clock.ahead_s = 400 + 361
    again = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert {message["MessageId"] for message in again} == sent
    local.clock.ahead_s = 0


@pytest.mark.parametrize("jump_s", [DAY_S + 3600, -3600])
def test_a_token_from_another_time_is_refused_and_a_new_one_is_good(local: Local, jump_s: int) -> None:
    local.run(local.cloud.storage.put_account(ACCOUNT, "clock"))
    local.run(local.cloud.storage.put_container(f"{ACCOUNT}/blobServices/default/containers/things", "clock", "things"))
    writer = local.identity(f"writer-{jump_s}")
    local.assign(writer, BLOB_CONTRIBUTOR, ACCOUNT)
    url = f"{local.cloud.endpoints['blob']}/clock/things/b"
    old = BlobClient.from_blob_url(url, FixedToken(local.do(lambda: local.cloud.identity.token(writer, STORAGE))),
                                   connection_verify=local.ca, retry_total=0)  # fmt: skip
    new = BlobClient.from_blob_url(url, TokenOf(local, writer, STORAGE), connection_verify=local.ca, retry_total=0)
    old.upload_blob(b"kept", overwrite=True)
    local.clock.ahead_s = jump_s
    try:
        with pytest.raises(ClientAuthenticationError) as refused:
            old.download_blob()
        assert refused.value.status_code == 401
        assert new.download_blob().readall() == b"kept"
    finally:
        local.clock.ahead_s = 0


def test_a_session_from_another_time_is_refused_as_expired(local: Local) -> None:
    vendor = local.vendor("s3")
    local.do(lambda: local.cloud.aws.put_bucket("clock"))
    vendor.put_object(Bucket="clock", Key="k", Body=b"kept")
    issuer, audience = f"sts.windows.net/{local.cloud.identity.tenant_id}/", "api://clock"
    principal = local.identity("session")
    arn = f"arn:aws:iam::{local.cloud.aws.account.account_id}"
    statement = {
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"{arn}:oidc-provider/{issuer}"},
        "Condition": {"StringEquals": {f"{issuer}:aud": audience, f"{issuer}:sub": principal}},
    }  # fmt: skip
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::clock/*"}

    def declare() -> None:
        local.cloud.identity.put_audience(audience)
        local.cloud.aws.put_oidc_provider(f"{arn}:oidc-provider/{issuer}", f"https://{issuer}", [audience])
        local.cloud.aws.put_role("clock", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        local.cloud.aws.put_role_policy("clock", "p", json.dumps({"Version": "2012-10-17", "Statement": [read]}))

    local.do(declare)
    token = local.do(lambda: local.cloud.identity.token(principal, audience))
    made = local.do(lambda: local.cloud.aws.role_credentials(f"{arn}:role/clock", token))
    session = local.aws("s3", made.access_key, made.secret_key, made.session_token)
    assert session.get_object(Bucket="clock", Key="k")["Body"].read() == b"kept"
    local.clock.ahead_s = 3700
    try:
        with pytest.raises(ClientError) as refused:
            session.get_object(Bucket="clock", Key="k")
        assert refused.value.response["Error"]["Code"] in {"ExpiredToken", "RequestTimeTooSkewed"}
    finally:
        local.clock.ahead_s = 0
    assert session.get_object(Bucket="clock", Key="k")["Body"].read() == b"kept"
