"""Sending to a real queue service: Azurite behind the door, tokens of a managed identity."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.storage.queue import QueueClient, QueueMessage

from core.clients.faults import Denied, Gone, Refused, Transient
from core.clients.http import Http
from core.clients.storage_queue import MAX_BYTES, StorageQueue
from tests.integration.emulators.local import GROUP, QUEUE_CONTRIBUTOR, QUEUE_SENDER, Local, TokenOf

ACCOUNT = "stsending"
ARM_ID = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"


class Caller:
    """The identity of a principal, without the platform's endpoint in between."""

    def __init__(self, local: Local, principal: str) -> None:
        self._token = TokenOf(local, principal)
        self.forgotten = 0

    def bearer(self, audience: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.get_token(audience).token}"}

    def forget(self, audience: str) -> None:
        assert audience == "https://storage.azure.com"
        self.forgotten += 1


class Bad(Caller):
    def bearer(self, audience: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {audience}"}


class Place:
    """A queue, an identity that may send to it, and the operator's view of it."""

    def __init__(self, local: Local) -> None:
        self.name = f"q{uuid.uuid4().hex[:8]}"
        self.sender = local.identity("sender")
        self.endpoint = f"{local.cloud.endpoints['queue']}/{ACCOUNT}"
        scope = f"{ARM_ID}/queueServices/default/queues/{self.name}"
        local.run(local.cloud.storage.put_queue(scope, ACCOUNT, self.name))
        local.assign(self.sender, QUEUE_SENDER, scope)
        operator = local.identity("operator")
        local.assign(operator, QUEUE_CONTRIBUTOR, scope)
        self._view = QueueClient(
            self.endpoint, self.name, credential=TokenOf(local, operator), connection_verify=local.ca, retry_total=0
        )
        self.caller = Caller(local, self.sender)
        self.queue = StorageQueue(self.caller, endpoint=self.endpoint, name=self.name, ca_file=local.ca)

    def take(self) -> list[QueueMessage]:
        return list(self._view.receive_messages(messages_per_page=32, visibility_timeout=60))


@pytest.fixture(scope="module", autouse=True)
def account(local: Local) -> None:
    local.run(local.cloud.storage.put_account(ARM_ID, ACCOUNT))


def test_what_is_sent_arrives_as_it_is_and_never_expires(local: Local) -> None:
    place = Place(local)
    texts = ['{"name": "Bücher & <Karten> ]]>", "n": 1}', " \t\r\n lines\r\n", "𝄞 日本", "&amp; &#13;", "x" * MAX_BYTES]
    for text in texts:
        place.queue.send(text.encode())
    found = place.take()
    assert sorted(one.content for one in found) == sorted(texts)
    assert {one.expires_on.year for one in found if one.expires_on} == {9999}


def test_a_delayed_message_is_not_seen_yet(local: Local) -> None:
    place = Place(local)
    place.queue.send(b"later", delay_s=3600)
    place.queue.send(b"now")
    assert [one.content for one in place.take()] == ["now"]
    (depth,) = [d for d in local.run(local.cloud.storage.depths()) if d.name.endswith(place.name)]
    assert depth.active + depth.in_flight + depth.scheduled == 2


def test_a_base64_queue_gets_base64(local: Local) -> None:
    place = Place(local)
    sender = StorageQueue(place.caller, endpoint=place.endpoint, name=place.name, ca_file=local.ca, encoded=True)
    sender.send(b"\x00\xff")
    assert [one.content for one in place.take()] == ["AP8="]


def test_what_the_service_would_refuse_is_refused_with_the_reason(local: Local) -> None:
    place = Place(local)
    for body, delay_s, reason in [
        (b"x" * (MAX_BYTES + 1), 0, "at most 65536 bytes, got 65537"),
        (b"\xff", 0, "must be UTF-8"),
        (b"a\x00b", 0, r"only characters that XML knows, got '\\x00' at 1"),
        (b"x", 604_801, "7 days"),
    ]:
        with pytest.raises(Refused, match=reason):
            place.queue.send(body, delay_s=delay_s)
    assert place.take() == []


def test_who_may_not_send_is_denied_and_a_missing_queue_is_gone(local: Local) -> None:
    place = Place(local)
    stranger = Caller(local, local.identity("stranger"))
    with pytest.raises(Denied, match="403 AuthorizationPermissionMismatch"):
        StorageQueue(stranger, endpoint=place.endpoint, name=place.name, ca_file=local.ca).send(b"x")
    local.assign(place.sender, QUEUE_SENDER, ARM_ID)
    with pytest.raises(Gone, match="404 QueueNotFound"):
        StorageQueue(place.caller, endpoint=place.endpoint, name="not-there", ca_file=local.ca).send(b"x")


def test_a_refused_token_is_asked_for_once_more_and_then_passing(local: Local) -> None:
    place = Place(local)
    bad = Bad(local, place.sender)
    with pytest.raises(Transient, match="401"):
        StorageQueue(bad, endpoint=place.endpoint, name=place.name, ca_file=local.ca).send(b"x")
    assert bad.forgotten == 1


def test_no_answer_is_a_passing_fault(local: Local) -> None:
    place = Place(local)
    http = Http(ca_file=local.ca, tries=1)
    closed = StorageQueue(place.caller, endpoint="https://127.0.0.1:1", name="q", ca_file=None, http=http)
    with pytest.raises(Transient, match="no answer"):
        closed.send(b"x")


def test_threads_share_it(local: Local) -> None:
    place = Place(local)
    together = threading.Barrier(8)

    def send(number: int) -> None:
        together.wait(30)
        for part in range(4):
            place.queue.send(f"{number}/{part}".encode())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(8)))
    assert {one.content for one in place.take()} == {f"{n}/{part}" for n in range(8) for part in range(4)}
