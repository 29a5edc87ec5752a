"""Each kind of fault at the door, as a real client meets it."""

import io
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from azure.storage.queue import QueueClient, QueueMessage
from botocore.exceptions import ClientError, ConnectionClosedError, SSLError
from urllib3.exceptions import HTTPError

from core.clients.blob import BlobContainer
from core.clients.faults import Transient
from core.clients.http import Http
from localcloud.faults.fault import Fault, Schedule
from localcloud.faults.injector import Injector
from tests.integration.emulators.local import BLOB_CONTRIBUTOR, GROUP, QUEUE_CONTRIBUTOR, Local, TokenOf
from tests.integration.host.waiting import until

BODY = bytes(range(256)) * 1000


class Faulty:
    """Puts faults on the local cloud, each call's unless it says otherwise."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self.killed: list[str] = []

    def put(self, *faults: dict[str, Any]) -> Injector:
        async def kill(process: str) -> None:
            self.killed.append(process)

        schedule = Schedule(name="s", faults=[Fault(**{"rate": 1.0, **fields}) for fields in faults])
        injector = Injector(schedule, 0, kill)
        self._local.cloud.door.fault = injector
        return injector

    def fired(self, injector: Injector) -> list[str]:
        return [one.kind for one in self._local.do(injector.report).fired]

    def waits(self, injector: Injector) -> list[str]:
        """What fired, once something did."""
        self._local.run(until(lambda: bool(injector.report().fired)))
        return self.fired(injector)

    def off(self) -> None:
        self._local.cloud.door.fault = None


@pytest.fixture
def faulty(local: Local) -> Iterator[Faulty]:
    made = Faulty(local)
    yield made
    made.off()


@pytest.fixture
def bucket(local: Local) -> str:
    name = f"b-{uuid.uuid4().hex[:12]}"
    local.do(lambda: local.cloud.aws.put_bucket(name))
    local.vendor("s3").put_object(Bucket=name, Key="k", Body=BODY)
    return name


@pytest.fixture
def queue(local: Local) -> str:
    name = f"q-{uuid.uuid4().hex[:12]}"
    return local.do(lambda: local.cloud.aws.put_queue(name, {"VisibilityTimeout": "60"}))[0]


def _messages(local: Local) -> QueueClient:
    """A storage queue."""
    account, name = "stfaults", f"q{uuid.uuid4().hex[:8]}"
    arm_id = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{account}"
    scope = f"{arm_id}/queueServices/default/queues/{name}"
    local.run(local.cloud.storage.put_account(arm_id, account))
    local.run(local.cloud.storage.put_queue(scope, account, name))
    who = local.identity("queues")
    local.assign(who, QUEUE_CONTRIBUTOR, scope)
    url = f"{local.cloud.endpoints['queue']}/{account}/{name}"
    return QueueClient.from_queue_url(url, credential=TokenOf(local, who), connection_verify=local.ca, retry_total=0)


def _get(local: Local, bucket: str, key: str = "k") -> bytes:
    """What arrives, before boto3 compares a checksum."""
    body: bytes = local.vendor("s3").get_object(Bucket=bucket, Key=key)["Body"]._raw_stream.read()
    return body


@pytest.mark.parametrize(
    ("service", "kind", "status", "code"),
    [
        ("s3", "refuse", 500, "InternalError"),
        ("s3", "throttle", 503, "SlowDown"),
        ("sqs", "refuse", 500, "InternalFailure"),
        ("sqs", "throttle", 400, "RequestThrottled"),
        ("sts", "refuse", 500, "InternalFailure"),
        ("sts", "throttle", 400, "Throttling"),
    ],
)
def test_aws_refuses_and_throttles_in_its_own_shapes(
    local: Local, bucket: str, queue: str, faulty: Faulty, service: str, kind: str, status: int, code: str
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "s3": lambda: _get(local, bucket),
        "sqs": lambda: local.vendor("sqs").receive_message(QueueUrl=queue),
        "sts": lambda: local.vendor("sts").get_caller_identity(),
    }
    faulty.put({"kind": kind, "service": service})
    with pytest.raises(ClientError) as error:
        calls[service]()
    answer = error.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (status, code)
    assert ("retry-after" in answer["ResponseMetadata"]["HTTPHeaders"]) == (kind == "throttle")


def test_a_fault_may_name_another_status_and_code(local: Local, bucket: str, faulty: Faulty) -> None:
    faulty.put({"kind": "refuse", "service": "s3", "status": 403, "code": "AccessDenied"})
    with pytest.raises(ClientError, match="AccessDenied"):
        _get(local, bucket)


def test_storage_answers_in_xml_and_the_identity_endpoint_in_json(local: Local, faulty: Faulty) -> None:
    blobs = _blobs(local)
    faulty.put({"kind": "refuse", "service": "blob"}, {"kind": "throttle", "service": "identity"})
    with pytest.raises(Transient, match="500 InternalError"):
        blobs.get("a")
    answer = requests.get(local.cloud.endpoints["identity"], timeout=10)
    assert (answer.status_code, answer.json()["statusCode"]) == (429, 429)


def test_a_connection_is_cut_before_in_the_middle_and_after(local: Local, bucket: str, faulty: Faulty) -> None:
    s3 = local.vendor("s3")
    faulty.put({"kind": "cut", "service": "s3", "operation": "PutObject"})
    with pytest.raises((ConnectionClosedError, SSLError)):
        s3.put_object(Bucket=bucket, Key="before", Body=b"x")
    faulty.put({"kind": "cut", "service": "s3", "operation": "PutObject", "when": "after"})
    with pytest.raises((ConnectionClosedError, SSLError)):
        s3.put_object(Bucket=bucket, Key="after", Body=b"x")
    faulty.put({"kind": "cut", "service": "s3", "operation": "GetObject", "when": "middle"})
    with pytest.raises((HTTPError, OSError)):
        _get(local, bucket)
    faulty.off()
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["after", "k"]


def test_what_was_carried_out_and_not_answered_is_reported(local: Local, bucket: str, faulty: Faulty) -> None:
    injector = faulty.put({"kind": "refuse", "service": "s3", "operation": "PutObject", "when": "after", "status": 504})
    with pytest.raises(ClientError):
        local.vendor("s3").put_object(Bucket=bucket, Key="kept", Body=b"content")
    (one,) = local.do(injector.report).unanswered
    assert (one.service, one.operation, b"content" in one.body) == ("s3", "PutObject", True)
    faulty.off()
    assert _get(local, bucket, "kept") == b"content"


@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_a_corrupt_answer_looks_whole(local: Local, bucket: str, faulty: Faulty, how: str) -> None:
    faulty.put({"kind": "corrupt", "service": "s3", "operation": "GetObject", "how": how})
    body = _get(local, bucket)
    assert body != BODY
    assert BODY.startswith(body) if how == "truncated" else len(body) == len(BODY)


def test_a_message_is_delivered_twice_and_the_newest_first(local: Local, queue: str, faulty: Faulty) -> None:
    sqs = local.vendor("sqs")
    for number in range(5):
        sqs.send_message(QueueUrl=queue, MessageBody=str(number))
    receive = {"service": "sqs", "operation": "ReceiveMessage", "most": 1}
    faulty.put({"kind": "duplicate", **receive}, {"kind": "reorder", **receive})
    received = [
        [one["Body"] for one in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=5).get("Messages", [])]
        for _ in range(3)
    ]
    assert received == [["0", "1", "2", "3", "4"], ["4", "3", "2", "1", "0"], []]


def test_storage_queues_deliver_twice_and_take_a_message_twice(local: Local, faulty: Faulty) -> None:
    messages = _messages(local)
    faulty.put({"kind": "duplicate", "service": "queue", "operation": "PutMessage", "most": 1})
    messages.send_message("put twice")
    messages.send_message("put once")
    faulty.put({"kind": "duplicate", "service": "queue", "operation": "GetMessages", "most": 1})
    first = list(messages.receive_messages(messages_per_page=32, visibility_timeout=3600))
    assert sorted(one.content for one in first) == ["put once", "put twice", "put twice"]
    faulty.off()
    again: list[QueueMessage] = []
    deadline = time.monotonic() + 10
    while len(again) < 3 and time.monotonic() < deadline:
        again += messages.receive_messages(visibility_timeout=3600)
    assert {one.id for one in again} == {one.id for one in first}
    assert all(one.dequeue_count == 2 for one in again)


def test_a_call_is_carried_out_twice(local: Local, bucket: str, queue: str, faulty: Faulty) -> None:
    sqs = local.vendor("sqs")
    injector = faulty.put(
        {"kind": "duplicate", "service": "sqs", "operation": "SendMessage"},
        {"kind": "duplicate", "service": "s3", "operation": "PutObject"},
    )
    sqs.send_message(QueueUrl=queue, MessageBody="twice")
    found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert [one["Body"] for one in found] == ["twice", "twice"]
    assert len({one["MessageId"] for one in found}) == 2
    local.vendor("s3").put_object(Bucket=bucket, Key="twice", Body=io.BytesIO(BODY))  # streamed
    assert faulty.fired(injector) == ["duplicate", "duplicate"]
    faulty.off()
    assert _get(local, bucket, "twice") == BODY


def test_a_message_that_is_held_back_comes_after_the_next(local: Local, faulty: Faulty) -> None:
    messages = _messages(local)
    injector = faulty.put({"kind": "reorder", "service": "queue", "operation": "PutMessage", "seconds": 30, "most": 1})
    first = threading.Thread(target=lambda: messages.send_message("first"))
    first.start()
    assert faulty.waits(injector) == ["reorder"]
    messages.send_message("second")
    first.join(10)
    assert [one.content for one in messages.receive_messages()] == ["second", "first"]


def test_the_next_call_overtakes_one_that_is_held_back(local: Local, bucket: str, faulty: Faulty) -> None:
    injector = faulty.put({"kind": "reorder", "service": "s3", "operation": "GetObject", "seconds": 30, "most": 1})
    held: list[bytes] = []
    first = threading.Thread(target=lambda: held.append(_get(local, bucket)))
    first.start()
    assert faulty.waits(injector) == ["reorder"]
    assert not held
    assert _get(local, bucket) == BODY
    first.join(10)
    assert held == [BODY]


def test_an_expired_token_stays_refused_and_a_new_one_is_taken(local: Local, faulty: Faulty) -> None:
    blobs = _blobs(local)
    blobs.put("a", b"x")
    injector = faulty.put({"kind": "expire", "service": "blob", "most": 1})
    assert blobs.get("a") is not None  # the client got itself another token
    assert faulty.fired(injector) == ["expire"]
    fixed = _blobs(local, renews=False)
    faulty.put({"kind": "expire", "service": "blob", "most": 1})
    for _ in range(3):
        with pytest.raises(Transient, match="401"):
            fixed.get("a")


def test_a_kill_is_asked_for_and_the_call_goes_on(local: Local, bucket: str, faulty: Faulty) -> None:
    faulty.put(
        {"kind": "kill", "service": "s3", "operation": "GetObject", "when": "after", "most": 1},
        {"kind": "delay", "service": "s3", "operation": "GetObject", "seconds": 0.1, "when": "after"},
    )
    assert [_get(local, bucket), _get(local, bucket)] == [BODY, BODY]
    assert faulty.killed == ["handlers"]


class Tokens:
    """A client's token, renewed when it was refused, or never."""

    def __init__(self, local: Local, *, renews: bool) -> None:
        principal = local.identity(f"id-{uuid.uuid4().hex[:8]}")
        local.assign(principal, BLOB_CONTRIBUTOR, GROUP)
        self._of, self._renews = TokenOf(local, principal, "https://storage.azure.com"), renews
        self._token = self._of.get_token().token

    def bearer(self, audience: str) -> dict[str, str]:
        assert audience
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self, audience: str) -> None:
        assert audience
        if self._renews:
            self._token = self._of.get_token().token


def _blobs(local: Local, *, renews: bool = True) -> BlobContainer:
    account = f"acct{uuid.uuid4().hex[:10]}"
    arm = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{account}"
    local.run(local.cloud.storage.put_account(arm, account))
    local.run(local.cloud.storage.put_container(f"{arm}/blobServices/default/containers/box", account, "box"))
    http = Http(ca_file=local.ca, tries=1)
    return BlobContainer(http, Tokens(local, renews=renews), url=f"{local.cloud.endpoints['blob']}/{account}/box")
