"""Every Azure service × operation × verb × kind of caller. The tables say what is there; nothing may be missing."""

import typing

import pytest

from components.roles import ROLES, Verb
from localcloud.emulators import storage_needs
from localcloud.emulators.vault import ACTIONS
from tests.integration.emulators.local import Local, client_of
from tests.integration.emulators.security.azure import ACCOUNT, ALLOWED, AUDIENCES, NOT_SERVED, Ask, Azure
from tests.integration.emulators.security.shapes import check_forbidden, check_unknown
from tests.integration.emulators.security.tokens import UNKNOWN, Forge
from tests.integration.emulators.security.wire import Answer, Wire

ELSEWHERE = {"identity", "collector", "s3", "sqs", "sts", "alma", "mail", "inbox"}
"""Sites with callers of another kind: test_other_doors.py, test_aws_callers.py."""
OPERATIONS = {
    **{service: {one.name for one in listed} for service, listed in storage_needs.OPERATIONS.items()},
    "vault": set(ACTIONS),
    "logs": {"Upload"},
}
SERVED = [(verb, service) for verb, services in ALLOWED.items() for service in services]


def send(wire: Wire, ask: Ask, token: str | None) -> Answer:
    headers = [*ask.headers, *([("Authorization", f"Bearer {token}")] if token is not None else [])]
    return wire.send(ask.base, ask.method, ask.target, headers, ask.body)


def token_of(azure: Azure, principal: str, service: str) -> str:
    return azure.local.do(lambda: azure.local.cloud.identity.token(principal, AUDIENCES[service]))


def test_no_verb_no_service_and_no_operation_is_forgotten(azure: Azure) -> None:
    assert set(ALLOWED) == set(ROLES) == set(typing.get_args(Verb)), "say in ALLOWED what the new verb opens"
    azure.place("vault")
    sites = {name.partition("-")[0] for name in azure.local.cloud.door.sites}
    assert sites == set(AUDIENCES) | ELSEWHERE, "a new service needs its callers here or in ELSEWHERE"
    for verb, services in ALLOWED.items():
        assert services or NOT_SERVED[verb] not in sites, f"{verb}: its service runs now, so it needs its cases"
        for service, allowed in services.items():
            assert allowed <= OPERATIONS[service], f"{verb}: {allowed - OPERATIONS[service]} is no operation"
    for service, names in OPERATIONS.items():
        assert {ask.operation for ask in azure.place(service).asks} == names


@pytest.mark.parametrize("service", AUDIENCES)
def test_nobody_unknown_comes_in(azure: Azure, wire: Wire, service: str) -> None:
    """Any operation; the principal holds every right, so it is the token alone that is refused."""
    identity = azure.local.cloud.identity
    place = azure.place(service)
    azure.local.assign(identity.deployer.principal_id, ROLES["blob.own"].id, place.scope)
    forge = azure.local.do(lambda: Forge(identity, "deployer", AUDIENCES[service]))
    for kind, make in UNKNOWN.items():
        token = make(forge)
        for ask in place.asks:
            check_unknown(service, kind, send(wire, ask, token), head=ask.method == "HEAD")
    for ask in place.asks:
        check_unknown(service, "missing", send(wire, ask, None), head=ask.method == "HEAD")
        check_unknown(service, "missing", send(wire, ask, ""), head=ask.method == "HEAD")
        for scheme in ("Basic dXNlcjpwdw==", "SharedKey stsecurity:c2ln"):
            answer = wire.send(ask.base, ask.method, ask.target, [("Authorization", scheme)], ask.body)
            assert answer.status == (403 if service in {"blob", "queue"} else 401)
            assert b"dXNlcjpwdw" not in answer.body
            assert b"c2ln" not in answer.body
        twice = [("Authorization", f"Bearer {forge.good}"), ("Authorization", "Bearer x")]
        assert wire.send(ask.base, ask.method, ask.target, twice, ask.body).status in {400, 401}


@pytest.mark.parametrize("service", AUDIENCES)
def test_a_known_stranger_is_forbidden(azure: Azure, wire: Wire, service: str) -> None:
    """An identity of the tenant without any role, and one that does not exist any more."""
    identity = azure.local.cloud.identity
    stranger, gone = azure.local.identity("stranger"), azure.local.identity("gone")
    tokens = azure.local.do(lambda: [identity.token(who, AUDIENCES[service]) for who in (stranger, gone)])
    azure.local.do(lambda: identity.remove(gone))
    for ask in azure.place(service).asks:
        for token in tokens:
            check_forbidden(service, send(wire, ask, token), head=ask.method == "HEAD")


@pytest.mark.parametrize(("verb", "service"), SERVED)
def test_a_verb_opens_what_it_says_and_nothing_else(azure: Azure, wire: Wire, verb: Verb, service: str) -> None:
    """On its own scope: each operation of the service is let in or forbidden. On the same thing next door: none."""
    worker = azure.local.identity(f"worker-{verb}")
    here, next_door = azure.place(service), azure.place(service)
    scope = ACCOUNT if ROLES[verb].scope == "host storage account" else here.scope
    azure.local.assign(worker, ROLES[verb].id, scope)
    token = token_of(azure, worker, service)
    worked = set()
    for ask in here.asks:
        answer = send(wire, ask, token)
        if ask.operation in ALLOWED[verb][service]:
            assert answer.status not in {401, 403, 501}, (ask, answer)
            worked |= {ask.operation} if answer.status < 300 else set()
        else:
            check_forbidden(service, answer, head=ask.method == "HEAD")
        if ask.restore and answer.status < 300:
            ask.restore()
    assert worked, "a verb under which nothing works proves nothing"
    if scope == ACCOUNT:
        return
    for ask in next_door.asks:
        check_forbidden(service, send(wire, ask, token), head=ask.method == "HEAD")


@pytest.mark.parametrize(("verb", "service"), SERVED)
def test_a_verb_of_one_service_opens_no_other(azure: Azure, wire: Wire, verb: Verb, service: str) -> None:
    """Even at the top of everything: a role that is granted on the whole group still opens its own service only."""
    worker = azure.local.identity(f"wide-{verb}")
    azure.local.assign(worker, ROLES[verb].id, ACCOUNT.partition("/providers/")[0])
    for other in set(AUDIENCES) - {service}:
        token = token_of(azure, worker, other)
        for ask in azure.place(other).asks:
            check_forbidden(other, send(wire, ask, token), head=ask.method == "HEAD")


@pytest.mark.parametrize("service", ["management", "scm"])
def test_the_deployer_comes_in(azure: Azure, wire: Wire, service: str) -> None:
    token = token_of(azure, "deployer", service)
    for ask in azure.place(service).asks:
        assert send(wire, ask, token).status == 404  # let in: there is no such app


def test_a_token_is_refused_from_the_moment_it_ends(local: Local, azure: Azure, wire: Wire) -> None:
    """Known tokens are remembered: their end is not forgotten over it."""
    worker = local.identity("brief")
    place = azure.place("blob")
    local.assign(worker, ROLES["blob.read"].id, place.scope)
    token = local.do(lambda: local.cloud.identity.token(worker, AUDIENCES["blob"], 600))
    (ask,) = [one for one in place.asks if one.operation == "ListBlobs"]
    assert send(wire, ask, token).status == 200
    local.clock.ahead_s = 601
    try:
        check_unknown("blob", "expired", send(wire, ask, token))
    finally:
        local.clock.ahead_s = 0
    assert client_of(worker) not in str(send(wire, ask, token).headers)
