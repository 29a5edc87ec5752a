"""What an attacker with a foot in the door tries: two readers of one request, and other people's rights."""

import itertools

import pytest

from components.roles import ROLES
from tests.integration.emulators.security.azure import AUDIENCES, Azure
from tests.integration.emulators.security.shapes import check_storage
from tests.integration.emulators.security.wire import Answer, Wire

VERSION = ("x-ms-version", "2021-12-02")


class Worker:
    """Who may write one container and receive from one queue, and somebody else's with a secret in it beside it."""

    def __init__(self, azure: Azure, wire: Wire) -> None:
        self.local, self.wire = azure.local, wire
        mine, theirs, queue = azure.place("blob"), azure.place("blob"), azure.place("queue")
        self.mine, self.theirs = mine.scope.rsplit("/", 1)[-1], theirs.scope.rsplit("/", 1)[-1]
        self.queue = queue.scope.rsplit("/", 1)[-1]
        self.who = azure.local.identity("worker")
        owner = azure.local.identity("owner")
        azure.local.assign(owner, ROLES["blob.write"].id, theirs.scope)
        azure.local.assign(self.who, ROLES["blob.write"].id, mine.scope)
        azure.local.assign(self.who, ROLES["queue.send"].id, queue.scope)
        headers = [("x-ms-blob-type", "BlockBlob")]
        put = self.send("PUT", f"/stsecurity/{self.theirs}/secret", headers, b"CANARY", who=owner)
        assert put.status == 201, put

    def send(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        *,
        service: str = "blob",
        who: str = "",
    ) -> Answer:
        token = self.local.do(lambda: self.local.cloud.identity.token(who or self.who, AUDIENCES[service]))
        every = [("Authorization", f"Bearer {token}"), VERSION, *(headers or [])]
        answer = self.wire.send(self.local.cloud.endpoints[service], method, target, every, body)
        self.keeps_its_secrets(answer)
        return answer

    def keeps_its_secrets(self, answer: Answer) -> None:
        seen = answer.body.decode("latin-1") + str(answer.headers)
        assert "CANARY" not in seen
        assert "sig=" not in seen
        assert not any(key in seen for key in self.local.cloud._azurite._keys.values())


@pytest.fixture(scope="module")
def worker(azure: Azure, wire: Wire) -> Worker:
    return Worker(azure, wire)


SEPARATORS = ["/", "%2f", "%2F", "\\", "%5c", "%252f"]
DOTS = ["..", "%2e%2e", ".%2e", "%2e.", "%252e%252e", "..;"]


def test_no_path_leads_from_my_container_into_another(worker: Worker) -> None:
    for dots, first, second in itertools.product(DOTS, SEPARATORS, SEPARATORS):
        for start in (f"/stsecurity/{worker.mine}", f"/stsecurity/{worker.mine}/x/{dots}"):
            target = f"{start}{first}{dots}{second}{worker.theirs}{second}secret"
            assert worker.send("GET", target).status in {400, 403, 404}, target
            assert worker.send("DELETE", target).status in {400, 403, 404}, target
    for target in (
        f"//stsecurity/{worker.theirs}/secret",
        f"/stsecurity//{worker.theirs}/secret",
        f"/./stsecurity/{worker.theirs}/secret",
        f"/slot01/{worker.theirs}/secret",
        f"/stsecurity-secondary/{worker.theirs}/secret",
        f"/stsecurity%2f{worker.theirs}/secret",
        f"/stsecurity/{worker.mine}%2f..%2f{worker.theirs}/secret",
        f"/stsecurity/{worker.theirs}%00/secret",
        f"/stsecurity/{worker.theirs.upper()}/secret",
        f"/stsecurity/{worker.mine}/x#/../../{worker.theirs}/secret",
        f"https://127.0.0.1/stsecurity/{worker.theirs}/secret",
        f"http://{worker.mine}.localhost/stsecurity/{worker.theirs}/secret",
    ):
        assert worker.send("GET", target).status in {400, 403, 404, 501}, target


def test_the_same_names_lead_to_my_own_blobs(worker: Worker) -> None:
    """What is refused above is refused for what it means, not for how it looks."""
    for name in ("a..b", "..a", "a/b..", "%252e%252e", "x%20y", "a%2Fb", "%C3%BC", "%25"):
        put = worker.send("PUT", f"/stsecurity/{worker.mine}/{name}", [("x-ms-blob-type", "BlockBlob")], b"x")
        assert put.status == 201, (name, put)
        assert worker.send("GET", f"/stsecurity/{worker.mine}/{name}").body == b"x"


def test_a_copy_is_no_way_to_read(worker: Worker) -> None:
    azurite = worker.local.cloud._azurite.blob_url
    door = worker.local.cloud.endpoints["blob"]
    slot = worker.local.cloud.storage._slot_of["stsecurity"]
    for source in (
        f"{azurite}/{slot}/{worker.theirs}/secret",
        f"{door}/stsecurity/{worker.theirs}/secret",
        "http://169.254.169.254/metadata/instance",
    ):
        for more in ([], [("x-ms-requires-sync", "true")], [("x-ms-blob-type", "BlockBlob")]):
            target = f"/stsecurity/{worker.mine}/copied"
            answer = worker.send("PUT", target, [("x-ms-copy-source", source), *more])
            assert answer.status == 501
            check_storage(answer, "NotImplemented")
            assert worker.send("PUT", f"{target}?comp=block&blockid=AA==", [("x-ms-copy-source", source)]).status == 501
    assert worker.send("GET", f"/stsecurity/{worker.mine}/copied").status == 404


def test_one_query_is_read_one_way(worker: Worker) -> None:
    container = f"/stsecurity/{worker.mine}"
    for target in (
        f"{container}?restype=x&restype=container",
        f"{container}?RESTYPE=container",
        f"{container}?restype[]=container",
        f"{container}?restype=container&comp=acl",
        f"{container}?restype=container&comp=batch",
        f"{container}?%72estype=container&comp=acl&comp=list",
        f"{container}/b?comp=metadata&comp=tags",
        f"{container}/b?Comp=tags",
        f"{container}?comp=list",
        "/stsecurity?comp=batch",
        "/stsecurity?restype=service&comp=properties",
        "/stsecurity?comp=list",
    ):
        for method in ("GET", "PUT", "POST", "DELETE"):
            assert worker.send(method, target, body=b"").status in {400, 403, 501}, (method, target)
    assert worker.send("GET", f"{container}?restype=container&comp=list").status == 200


def test_a_signature_beside_the_token_is_refused(worker: Worker) -> None:
    slot = worker.local.cloud.storage._slot_of["stsecurity"]
    sas = worker.local.cloud._azurite.sas(slot)
    for query in (sas, "sig=x", "sv=2021-12-02&sig=x", "se=2099-01-01"):
        answer = worker.send("GET", f"/stsecurity/{worker.theirs}/secret?{query}")
        assert answer.status == 403
        check_storage(answer, "KeyBasedAuthenticationNotPermitted")
        bare = worker.wire.send(
            worker.local.cloud.endpoints["blob"], "GET", f"/stsecurity/{worker.theirs}/secret?{query}"
        )
        assert bare.status == 401


def test_headers_of_a_front_end_mean_nothing(worker: Worker) -> None:
    for header in (
        ("Host", "other.blob.core.windows.net"),
        ("Host", f"{worker.local.cloud.storage._slot_of['stsecurity']}.localhost"),
        ("X-Forwarded-Host", "slot01.blob.core.windows.net"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1;host=slot01.localhost"),
        ("X-Original-URL", f"/stsecurity/{worker.theirs}/secret"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Connection", "authorization"),
    ):
        assert worker.send("GET", f"/stsecurity/{worker.theirs}/secret", [header]).status == 403, header
        assert worker.send("GET", f"/stsecurity/{worker.mine}?restype=container&comp=list", [header]).status == 200, (
            header
        )
    public = [("x-ms-blob-public-access", "container")]
    answer = worker.send("PUT", f"/stsecurity/{worker.mine}?restype=container&comp=metadata", public)
    check_storage(answer, "PublicAccessNotPermitted")


def test_tags_ask_for_their_own_right(worker: Worker) -> None:
    target = f"/stsecurity/{worker.mine}/tagged"
    headers = [("x-ms-blob-type", "BlockBlob"), ("x-ms-tags", "a=b")]
    assert worker.send("PUT", target, headers, b"x").status == 403
    assert worker.send("PUT", target, headers[:1], b"x").status == 201


def test_a_sender_cannot_reach_round_the_message(worker: Worker) -> None:
    queue = f"/stsecurity/{worker.queue}"
    for target in (
        f"{queue}/messages/",
        f"{queue}/messages%2f1?popreceipt=x",
        f"{queue}/messages/1/2?popreceipt=x",
        f"{queue}/%6dessages",
        f"{queue}/messages?peekonly=TRUE",
        f"{queue}/messages?peekonly=true&peekonly=false",
        f"{queue}%2fmessages",
        f"{queue}/x",
    ):
        for method in ("GET", "DELETE", "PUT"):
            assert worker.send(method, target, service="queue").status in {400, 403, 501}, (method, target)


def test_one_secret_is_not_its_neighbour(azure: Azure, wire: Wire) -> None:
    local, place = azure.local, azure.place("vault")
    vault = place.scope.split("/")[-3]
    for name in ("one2", "two", "on"):
        local.do(lambda name=name: local.cloud.vault.set_secret(vault, name, "CANARY"))  # type: ignore[misc]
    reader = local.identity("reader of one")
    local.assign(reader, ROLES["secret.read"].id, place.scope)
    token = local.do(lambda: local.cloud.identity.token(reader, AUDIENCES["vault"]))
    base = place.asks[0].base
    for path in (
        *("one2", "two", "on", "one/../two", "one%2f..%2ftwo", "one%2f%2e%2e%2ftwo", "%2e/two", "./two", "one//../two"),
        *("TWO", "two?name=one", "two/versions", "two/one", "one%00two", "/one", "*", ""),
    ):
        answer = wire.send(base, "GET", f"/secrets/{path}", [("Authorization", f"Bearer {token}")])
        assert answer.status in {403, 404}, (path, answer)
        assert b"CANARY" not in answer.body
    for path in ("one", "ONE", "%6fne"):
        assert wire.send(base, "GET", f"/secrets/{path}", [("Authorization", f"Bearer {token}")]).json["value"] == "1"


def test_one_rule_is_not_its_neighbour(azure: Azure, wire: Wire) -> None:
    local, mine, theirs = azure.local, azure.place("logs"), azure.place("logs")
    writer = local.identity("writer of one")
    local.assign(writer, ROLES["logs.write"].id, mine.scope)
    token = local.do(lambda: local.cloud.identity.token(writer, AUDIENCES["logs"]))
    (ask,), (other,) = mine.asks, theirs.asks
    me, them = (one.target.split("/")[2] for one in (ask, other))
    for target in (
        other.target,
        ask.target.replace(me, f"{me}/../{them}"),
        ask.target.replace(me, f"{me}%2f..%2f{them}"),
        ask.target.replace(me, f"%2e%2e/dataCollectionRules/{them}"),
        ask.target.replace(me, f"{them}%00{me}"),
        f"{other.target}&immutableId={me}",
        other.target.replace("/dataCollectionRules", f"//dataCollectionRules/{me}/.."),
    ):
        answer = wire.send(ask.base, "POST", target, [("Authorization", f"Bearer {token}")], ask.body)
        assert answer.status in {403, 404}, (target, answer)
    assert wire.send(ask.base, "POST", ask.target, [("Authorization", f"Bearer {token}")], ask.body).status == 204
