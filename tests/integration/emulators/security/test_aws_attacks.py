"""Attacks on S3, SQS and STS by somebody who may do something: other people's objects, broken bodies, garbage."""

import json
import random
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.emulators.local import AWS_ACCOUNT, Local
from tests.integration.emulators.security.sigv4 import Headers, Keys, signed
from tests.integration.emulators.security.wire import Answer, Wire

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "ha">'
    + b"".join(
        b'<!ENTITY x%d "&x%s;&x%s;">' % (n, str(n - 1 or "").encode(), str(n - 1 or "").encode()) for n in range(1, 40)
    )
    + b"]><Delete><Object><Key>&x39;</Key></Object></Delete>"
)
FILE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>'


class Writer:
    """Who may put objects below one prefix of one bucket, and nothing else."""

    def __init__(self, local: Local, wire: Wire) -> None:
        self.local, self.wire, self.base = local, wire, local.cloud.endpoints["s3"]
        aws = local.cloud.aws
        self.owner = Keys(*local.do(aws.vendor_keys))
        for bucket in ("mine", "theirs"):
            local.do(lambda bucket=bucket: aws.put_bucket(bucket))  # type: ignore[misc]
            local.vendor("s3").put_object(Bucket=bucket, Key="secret", Body=b"CANARY")
        nobody = {"Effect": "Deny", "Principal": {"Federated": "x"}, "Action": "sts:*"}
        local.do(lambda: aws.put_role("writer", json.dumps({"Version": "2012-10-17", "Statement": [nobody]})))
        rights = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::mine/in/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
        local.do(lambda: aws.put_role_policy("writer", "p", policy))
        made = local.do(lambda: aws.account.open_session(aws.account.roles["writer"], "run", 3600))
        self.keys = Keys(made.access_key, made.secret, made.token)

    def send(
        self, method: str, target: str, headers: Headers | None = None, body: bytes = b"", keys: Keys | None = None
    ) -> Answer:
        given = keys or self.keys
        every = signed(given, "s3", method, self.base, target, headers=headers, body=body)
        answer = self.wire.send(self.base, method, target, every, body)
        assert answer.status < 500 or answer.status == 501, (method, target, headers, body[:80], answer)
        if keys is None:
            assert b"CANARY" not in answer.body
        return answer


@pytest.fixture(scope="module")
def writer(local: Local, wire: Wire) -> Writer:
    return Writer(local, wire)


def test_a_prefix_is_a_prefix_of_what_is_written(writer: Writer) -> None:
    assert writer.send("PUT", "/mine/in/a", body=b"x").status == 200
    for target in (
        "/mine/secret",
        "/mine/out/a",
        "/mine//in/a",
        "/mine/./in/a",
        "/theirs/in/a",
        "/theirs/secret",
        "/mine%2Fin/a",
        "/mine/IN/a",
        "//mine/in/a",
        "/Mine/in/a",
        "/mine./in/a",
        "/*/in/a",
        "/mine%00/in/a",
        "https://elsewhere/mine/in/a",
    ):
        answer = writer.send("PUT", target, body=b"x")
        assert answer.status in {400, 403, 404, 501}, (target, answer)
    # S3 keeps dots as they are: this is a key below in/, and no way out of it.
    assert writer.send("PUT", "/mine/in/../secret", body=b"x").status == 200
    kept = writer.local.vendor("s3").get_object(Bucket="mine", Key="secret")["Body"].read()
    assert kept == b"CANARY"


def test_a_copy_needs_the_right_to_read_its_source(writer: Writer) -> None:
    for source in (
        "/mine/secret",
        "theirs/secret",
        "/theirs/secret?versionId=null",
        "%2Ftheirs%2Fsecret",
        "",
        "x",
        "?",
    ):
        answer = writer.send("PUT", "/mine/in/copy", [("x-amz-copy-source", source)])
        assert answer.status in {400, 403, 404}, (source, answer)
    assert (
        writer.send("PUT", "/mine/in/p?partNumber=1&uploadId=x", [("x-amz-copy-source", "/theirs/secret")]).status
        >= 400
    )


def test_a_bucket_in_the_host_name_is_no_bucket(writer: Writer) -> None:
    for host in ("theirs.s3.amazonaws.com", "theirs.localhost", "s3.amazonaws.com"):
        every = signed(writer.keys, "s3", "GET", f"https://{host}", "/secret")
        assert writer.wire.send(writer.base, "GET", "/secret", every).status in {403, 404}


@pytest.mark.parametrize(
    "body", [BOMB, FILE, b"<a" * 10_000, b"<a>" * 20_000, b"\xff\xfe<\x00", b"", BOMB.decode().encode("utf-16")]
)
def test_xml_is_read_without_entities(writer: Writer, body: bytes) -> None:
    answer = writer.send("POST", "/mine?delete=", body=body, keys=writer.owner)
    assert (answer.status, answer.xml.findtext("Code")) == (400, "MalformedXML")
    started = writer.send("POST", "/mine/in/m?uploads=", keys=writer.owner)
    upload = started.xml.findtext("{http://s3.amazonaws.com/doc/2006-03-01/}UploadId")
    answer = writer.send("POST", f"/mine/in/m?uploadId={upload}", body=body, keys=writer.owner)
    assert answer.status == 400


def test_a_response_takes_no_header_from_its_caller_but_six(writer: Writer) -> None:
    for query in ("response-set-cookie=a", "response-content-length=0", "response-location=https%3A%2F%2Fx"):
        answer = writer.send("GET", f"/mine/secret?{query}", keys=writer.owner)
        name = query.partition("=")[0].removeprefix("response-")
        assert answer.status == 200
        assert answer.headers.get(name) in {None, "6"}
    split = "response-content-type=" + quote("text/plain\r\nSet-Cookie: a=b", safe="-_.~")
    answer = writer.send("GET", f"/mine/secret?{split}", keys=writer.owner)
    assert answer.status == 400
    assert "set-cookie" not in answer.headers


CHUNKS = {
    "negative": b"-1\r\n",
    "plus": b"+3\r\nabc\r\n0\r\n\r\n",
    "0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "no number": b"zz\r\n",
    "underscore": b"3_0\r\n",
    "broken off": b"5\r\nabc",
    "huge": b"ffffffffffffffff\r\nabc",
    "long line": b"a" * 70_000,
    "no trailers' end": b"3\r\nabc\r\n0\r\n",
    "many trailers": b"3\r\nabc\r\n0\r\n" + b"".join(b"x-amz-%d: b\r\n" % n for n in range(5_000)) + b"\r\n",
    "empty": b"",
}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_a_broken_chunked_body_is_refused_and_leaves_nothing(writer: Writer, body: bytes) -> None:
    for length in ("3", "-1", "x", "9" * 5_000):
        headers = [("x-amz-decoded-content-length", length), ("content-encoding", "aws-chunked")]
        declared = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        every = signed(writer.keys, "s3", "PUT", writer.base, "/mine/in/chunked", headers=headers, payload=declared)
        answer = writer.wire.send(writer.base, "PUT", "/mine/in/chunked", every, body)
        assert 400 <= answer.status < 500, (length, answer)
    assert writer.send("GET", "/mine/in/chunked", keys=writer.owner).status == 404


def test_a_whole_chunked_body_is_taken(writer: Writer) -> None:
    headers = [("x-amz-decoded-content-length", "3"), ("content-encoding", "aws-chunked")]
    payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    every = signed(writer.keys, "s3", "PUT", writer.base, "/mine/in/whole", headers=headers, payload=payload)
    body = b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32: NSRBwg==\r\n\r\n"
    assert writer.wire.send(writer.base, "PUT", "/mine/in/whole", every, body).status == 200
    assert writer.send("GET", "/mine/in/whole", keys=writer.owner).body == b"abc"


def test_signed_garbage_is_refused_never_an_accident(writer: Writer) -> None:
    """By the account's root, whom nothing is refused for want of a right: 4xx for what makes no sense, never a 500."""
    values = ["", "0", "-1", "x", "9" * 5000, "\u0661", "\U0001f600", "a/b", "..", "null", "%", "\r\n", "<&>", "1" * 19]
    names = ["versionId", "uploadId", "partNumber", "max-keys", "prefix", "marker", "list-type", "continuation-token"]
    names += [
        "start-after",
        "delimiter",
        "encoding-type",
        "key-marker",
        "uploads",
        "delete",
        "versions",
        "X-Amz-Expires",
    ]
    heads = [
        "range",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "content-md5",
        "x-amz-copy-source",
        "content-type",
    ]
    heads += ["x-amz-checksum-crc32", "x-amz-meta-a", "x-amz-tagging", "x-amz-acl", "if-unmodified-since", "expect-ct"]
    plain = [
        "",
        "0",
        "x",
        "-1",
        "bytes=9-1",
        "bytes=-0",
        "bytes=" + "9" * 40 + "-",
        "=",
        "*",
        "Thu, 99 Foo 2026",
        '"x"',
    ]
    for seed in range(300):
        rng = random.Random(seed)
        query = "&".join(
            f"{rng.choice(names)}={quote(rng.choice(values), safe='-_.~')}" for _ in range(rng.randint(0, 3))
        )
        key = quote(rng.choice(["", "/secret", "/" + rng.choice(values) or "/x"]), safe="/-_.~")
        headers = [(rng.choice(heads), rng.choice(plain)) for _ in range(rng.randint(0, 2))]
        body = rng.choice([b"", b"x", b"<a/>", b"[" * 3000])
        target = f"/{rng.choice(['mine', 'garbage-bucket', 'x'])}{key}{query and '?' + query}"
        writer.send(rng.choice(["GET", "HEAD", "PUT", "POST", "DELETE"]), target, headers, body, keys=writer.owner)


def test_signed_garbage_to_queues_is_refused_never_an_accident(writer: Writer) -> None:
    local, base = writer.local, writer.local.cloud.endpoints["sqs"]
    local.do(lambda: local.cloud.aws.put_queue("garbage", {}))
    url = local.cloud.aws.sqs.url("garbage")
    values: list[Any] = [
        None,
        "",
        0,
        -1,
        10**40,
        1.5,
        True,
        [],
        {},
        [None],
        [[]],
        {"a": None},
        "x" * 300,
        "\ud83d",
        "a.b.c",
        url,
        [{}],
    ]
    names = [
        "QueueUrl",
        "QueueName",
        "MessageBody",
        "MaxNumberOfMessages",
        "WaitTimeSeconds",
        "VisibilityTimeout",
        "Entries",
    ]
    names += ["ReceiptHandle", "DelaySeconds", "MessageAttributes", "Attributes", "AttributeNames", "QueueNamePrefix"]
    names += ["QueueOwnerAWSAccountId", "MessageAttributeNames"]
    for operation in sorted(local.cloud.aws.sqs.operations):
        for seed in range(40):
            rng = random.Random(f"{operation}{seed}")
            more = {rng.choice(names): rng.choice(values) for _ in range(rng.randint(0, 4))}
            fields: dict[str, Any] = {"QueueUrl": url, **more}
            if fields.get("WaitTimeSeconds") is True:
                continue  # true is 1, and a wait is no accident
            body = json.dumps(fields).encode()
            headers = [("x-amz-target", f"AmazonSQS.{operation}"), ("content-type", "application/x-amz-json-1.0")]
            every = signed(writer.owner, "sqs", "POST", base, "/", headers=headers, body=body)
            answer = writer.wire.send(base, "POST", "/", every, body)
            assert answer.status < 500, (operation, fields, answer)
        local.do(lambda: local.cloud.aws.put_queue("garbage", {}))


def test_an_answer_of_the_old_protocol_is_xml(writer: Writer) -> None:
    base = writer.local.cloud.endpoints["sqs"]
    body = f"Action=SendMessage&QueueUrl=https://x/{AWS_ACCOUNT}/q&MessageBody=m".encode()
    answer = writer.wire.send(base, "POST", "/", [("content-type", "application/x-www-form-urlencoded")], body)
    assert answer.status == 400
    assert answer.xml.tag == "{http://queue.amazonaws.com/doc/2012-11-05/}ErrorResponse"
