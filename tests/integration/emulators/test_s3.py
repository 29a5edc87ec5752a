"""S3 with boto3: objects, versions, multipart, listings, policies, and notifications into SQS."""

import io
import json
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.integration.emulators.local import AWS_ACCOUNT, REGION, Local

ODD_KEYS = [
    "logs/2026/10/31/file-1.gz",
    "a b+c&d=e?f.json",
    "ü/日本 %41%2F.txt",
    "x//y/../z",
    "tab\there",
    "' \"<>*~!()",
]


@pytest.fixture(scope="module")
def s3(local: Local) -> Any:
    return local.vendor("s3")


def bucket(local: Local, versioning: str = "Enabled") -> str:
    name = f"b-{uuid.uuid4().hex[:8]}"
    local.do(lambda: local.cloud.aws.put_bucket(name))
    local.do(lambda: local.cloud.aws.put_bucket_versioning(name, versioning))
    return name


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_odd_keys_come_back_as_they_were_and_list_in_order(local: Local, s3: Any) -> None:
    name = bucket(local)
    for key in ODD_KEYS:
        s3.put_object(Bucket=name, Key=key, Body=key.encode(), ContentType="text/plain", Metadata={"who": "me"})
    for key in ODD_KEYS:
        got = s3.get_object(Bucket=name, Key=key)
        assert got["Body"].read() == key.encode()
        assert (got["ContentType"], got["Metadata"]) == ("text/plain", {"who": "me"})
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, PaginationConfig={"PageSize": 2})
    listed = [item["Key"] for page in pages for item in page["Contents"]]
    assert listed == sorted(ODD_KEYS, key=str.encode)
    page = s3.list_objects_v2(Bucket=name, Delimiter="/", Prefix="logs/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["logs/2026/"]


def test_versions_ranges_and_conditions(local: Local, s3: Any) -> None:
    name = bucket(local)
    first = s3.put_object(Bucket=name, Key="k", Body=b"first")
    second = s3.put_object(Bucket=name, Key="k", Body=b"second")
    assert s3.get_object(Bucket=name, Key="k", VersionId=first["VersionId"])["Body"].read() == b"first"
    assert s3.get_object(Bucket=name, Key="k", Range="bytes=2-")["Body"].read() == b"cond"
    assert s3.head_object(Bucket=name, Key="k")["ETag"] == second["ETag"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=name, Key="k", IfMatch=first["ETag"])
    assert code(error) == "PreconditionFailed"
    s3.delete_object(Bucket=name, Key="k")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=name, Key="k")
    kinds = s3.list_object_versions(Bucket=name)
    assert (len(kinds["Versions"]), len(kinds["DeleteMarkers"])) == (2, 1)
    s3.delete_object(Bucket=name, Key="k", VersionId=kinds["DeleteMarkers"][0]["VersionId"])
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"second"


def test_multipart_copy_and_bulk_delete(local: Local, s3: Any) -> None:
    name = bucket(local, "")
    data = bytes(range(256)) * 48 * 1024  # 12 MiB: three parts
    s3.upload_fileobj(
        io.BytesIO(data),
        name,
        "big",
        Config=TransferConfig(multipart_threshold=5 * 1024**2, multipart_chunksize=5 * 1024**2),
    )
    head = s3.head_object(Bucket=name, Key="big")
    assert (head["ContentLength"], head["ETag"].endswith('-3"')) == (len(data), True)
    out = io.BytesIO()
    s3.download_fileobj(name, "big", out)
    assert out.getvalue() == data
    s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "big"})
    s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "big"}, {"Key": "copy"}]})
    assert "Contents" not in s3.list_objects_v2(Bucket=name)


def test_a_presigned_url_works_until_it_expires(local: Local, s3: Any) -> None:
    name = bucket(local)
    s3.put_object(Bucket=name, Key="k é", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k é"}, ExpiresIn=60)
    session = s3._endpoint.http_session
    from botocore.awsrequest import AWSRequest

    assert session.send(AWSRequest("GET", url).prepare()).content == b"x"
    assert session.send(AWSRequest("GET", url.replace("Expires=60", "Expires=61")).prepare()).status_code == 403
    assert session.send(AWSRequest("GET", url.partition("?")[0]).prepare()).status_code == 403


def role_client(local: Local, *statements: dict[str, Any]) -> Any:
    aws, name = local.cloud.aws, f"r-{uuid.uuid4().hex[:8]}"
    local.do(lambda: aws.put_role(name, json.dumps({"Version": "2012-10-17", "Statement": []})))
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    local.do(lambda: aws.put_role_policy(name, "p", document))
    session = local.do(lambda: aws.account.open_session(aws.account.roles[name], "s", 900))
    return local.aws("s3", session.access_key, session.secret, session.token)


def test_a_role_reads_what_its_policy_names_and_nothing_else(local: Local, s3: Any) -> None:
    name, other = bucket(local), bucket(local)
    for where in (name, other):
        s3.put_object(Bucket=where, Key="k", Body=b"x")
    get = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    reader = role_client(local, get)
    assert reader.get_object(Bucket=name, Key="k")["Body"].read() == b"x"
    calls: tuple[Callable[[], Any], ...] = (
        lambda: reader.get_object(Bucket=other, Key="k"),
        lambda: reader.put_object(Bucket=name, Key="k", Body=b"y"),
        lambda: reader.list_objects_v2(Bucket=name),
        lambda: reader.get_object(Bucket=name, Key="gone"),  # without ListBucket a missing key is not told apart
    )
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "AccessDenied"
    lister = role_client(local, get, {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{name}"})
    with pytest.raises(ClientError) as error:
        lister.get_object(Bucket=name, Key="gone")
    assert code(error) == "NoSuchKey"


def notified(local: Local, name: str, **filters: str) -> str:
    aws, queue = local.cloud.aws, f"q-{uuid.uuid4().hex[:8]}"
    url, arn = local.do(lambda: aws.put_queue(queue, {}))
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{name}"},
            "StringEquals": {"aws:SourceAccount": AWS_ACCOUNT},
        },
    }
    wanted = [{"id": "logs", "queue_arn": arn, "events": ["s3:ObjectCreated:*"], **filters}]
    with pytest.raises(ValueError, match="validate the following destination"):
        local.do(lambda: aws.put_bucket_notification(name, wanted))
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    local.do(lambda: aws.put_queue_policy(queue, document))
    for _ in range(2):  # the second put changes nothing and sends no second test event
        local.do(lambda: aws.put_bucket_notification(name, wanted))
    return url


def events(local: Local, url: str) -> list[dict[str, Any]]:
    sqs, bodies = local.vendor("sqs"), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [json.loads(message["Body"]) for message in messages]
    return bodies


def test_notifications_carry_odd_keys_form_encoded_after_one_test_event(local: Local, s3: Any) -> None:
    name = bucket(local)
    url = notified(local, name)
    versions = {key: s3.put_object(Bucket=name, Key=key, Body=b"123") for key in ODD_KEYS}
    test, *rest = events(local, url)
    assert (test["Event"], test["Bucket"]) == ("s3:TestEvent", name)
    records = [record for event in rest for record in event["Records"]]
    assert [urllib.parse.unquote_plus(r["s3"]["object"]["key"]) for r in records] == ODD_KEYS
    record = records[1]
    assert record["s3"]["object"]["key"] == "a+b%2Bc%26d%3De%3Ff.json"
    put = versions[ODD_KEYS[1]]
    assert (record["s3"]["object"]["versionId"], f'"{record["s3"]["object"]["eTag"]}"') == (
        put["VersionId"],
        put["ETag"],
    )
    assert (record["eventName"], record["awsRegion"], record["s3"]["object"]["size"]) == (
        "ObjectCreated:Put",
        REGION,
        3,
    )
    sequencers = [r["s3"]["object"]["sequencer"] for r in records]
    assert sequencers == sorted(sequencers)


def test_filters_and_one_event_for_a_multipart_upload(local: Local, s3: Any) -> None:
    name = bucket(local)
    url = notified(local, name, filter_prefix="logs/", filter_suffix=".gz")
    for key in ("logs/a.gz", "logs/a.json", "other/a.gz"):
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    config = TransferConfig(multipart_threshold=5 * 1024**2, multipart_chunksize=5 * 1024**2)
    s3.upload_fileobj(io.BytesIO(b"0" * 6 * 1024**2), name, "logs/b.gz", Config=config)
    s3.delete_object(Bucket=name, Key="logs/a.gz")
    names = [(r["eventName"], r["s3"]["object"]["key"]) for e in events(local, url)[1:] for r in e["Records"]]
    assert names == [("ObjectCreated:Put", "logs/a.gz"), ("ObjectCreated:CompleteMultipartUpload", "logs/b.gz")]
