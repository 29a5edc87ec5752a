"""Doors whose callers bring no Entra token: identity, legacy collector, Alma, mail, the supervisor's own API."""

import base64
import hashlib
import hmac
import json
import re
import stat
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from aiohttp import web

from core.clients.http import Http
from localcloud.control import address
from localcloud.control.kinds import Tenancy
from localcloud.supervisor.process import Supervisor
from tests.integration.emulators.local import AWS_ACCOUNT, REGION, SUBSCRIPTION, TENANT, Local, client_of
from tests.integration.emulators.security.azure import WORKSPACE, Azure
from tests.integration.emulators.security.wire import Wire
from tests.loop_thread import LoopThread

ODD = ["", "wrong", "Bearer", "Bearer ", "Bearer wrong", "Basic d3Jvbmc6", "Bearer \xff\xfe", "bearer null"]


def test_an_app_gets_tokens_of_its_own_identities_only(local: Local, wire: Wire) -> None:
    mine, other = local.identity("app"), local.identity("other app")
    local.do(lambda: local.cloud.identity.register_header("mine", [client_of(mine)]))
    local.do(lambda: local.cloud.identity.register_header("others", [client_of(other)]))
    base, path = local.cloud.endpoints["identity"].removesuffix("/msi/token"), "/msi/token?api-version=2019-08-01"
    storage = "&resource=https://storage.azure.com"

    def ask(client: str, *secrets: str) -> int:
        headers = [("X-IDENTITY-HEADER", secret) for secret in secrets]
        answer = wire.send(base, "GET", f"{path}{storage}{client and f'&client_id={client}'}", headers)
        if answer.status != 200:
            assert set(answer.json) == {"statusCode", "message", "correlationId"}
            assert answer.json["statusCode"] == answer.status
            assert "access_token" not in answer.body.decode()
        return answer.status

    assert ask(client_of(mine), "mine") == 200
    assert ask(client_of(mine)) == 401
    for odd in ODD:
        assert ask(client_of(mine), odd) == 401
    assert ask(client_of(mine), "others") == 400
    assert ask(client_of(other), "mine") == 400
    assert ask("", "mine") == 400
    assert ask("*", "mine") == 400
    assert ask(f"{client_of(other)}&client_id={client_of(mine)}", "mine") == 400
    assert ask(client_of(mine), "wrong", "mine") == 401
    deployer = local.cloud.identity.deployer.client_id
    assert ask(deployer, "mine") == 400


def test_the_collector_knows_its_workspaces_by_their_key(azure: Azure, wire: Wire) -> None:
    local = azure.local
    key = base64.b64decode(local.do(lambda: local.cloud.logs.shared_key(WORKSPACE)))
    base, body = local.cloud.endpoints["collector"], b'[{"a": "b"}]'

    def post(
        *, secret: bytes = key, customer: str = "customer", when: float = 0, scheme: str = "SharedKey", length: int = 0
    ) -> int:
        date = formatdate(time.time() + when, usegmt=True)
        to_sign = f"POST\n{length or len(body)}\napplication/json\nx-ms-date:{date}\n/api/logs"
        signature = base64.b64encode(hmac.new(secret, to_sign.encode(), hashlib.sha256).digest()).decode()
        headers = [("Authorization", f"{scheme} {customer}:{signature}"), ("x-ms-date", date), ("Log-Type", "Seen")]
        headers.append(("Content-Type", "application/json"))
        answer = wire.send(base, "POST", "/api/logs?api-version=2016-04-01", headers, body)
        if answer.status != 200:
            assert answer.json["Error"] == "InvalidAuthorization"
        return answer.status

    assert post() == 200
    assert post(secret=b"another") == 403
    assert post(customer="somebody") == 403
    assert post(when=-3600) == 403
    assert post(when=3600) == 403
    assert post(scheme="Bearer") == 403
    assert post(length=1) == 403
    for odd in ODD:
        headers = [("Authorization", odd)] if odd else []
        assert wire.send(base, "POST", "/api/logs?api-version=2016-04-01", headers, body).status == 403


ALMA_TARGETS = [
    ("GET", "/almaws/v1/analytics/reports?path=/shared/Millrace/Reports/Shelf%20audit&limit=25"),
    *((verb, f"/almaws/v1/{path}") for verb in ("GET", "PUT") for path in (
        "bibs/990000000101", "bibs/990000000101/holdings/220000000101", "users/reader-000",
        "bibs/990000000101/holdings/220000000101/items/230000000101")),
]  # fmt: skip
MAIL_TARGETS = [("POST", "/emails"), ("GET", "/emails/00000000-0000-0000-0000-000000000000")]


def test_alma_and_mail_know_their_own_key_and_no_token(azure: Azure, wire: Wire) -> None:
    """Neither takes the other's key, nor a token of the tenant, nor a part of its own."""
    local, given = azure.local, azure.local.cloud.vault.given
    token = local.do(lambda: local.cloud.identity.token("deployer", "https://vault.azure.net"))
    doors = [("alma", "apikey", given["alma-key"], given["mail-key"], ALMA_TARGETS),
             ("mail", "Bearer", given["mail-key"], given["alma-key"], MAIL_TARGETS)]  # fmt: skip
    assert given["alma-key"] != given["mail-key"]
    for service, scheme, key, other, targets in doors:
        base = local.cloud.endpoints[service]
        agent = ("User-Agent", "test")
        wrong = [
            *ODD,
            f"{scheme} {other}",
            f"{scheme} {key[:-1]}",
            f"{scheme} {key}x",
            f"Basic {key}",
            f"Bearer {token}",
        ]
        for method, target in targets:
            for odd in wrong:
                headers = [agent, *([("Authorization", odd)] if odd else [])]
                answer = wire.send(base, method, target, headers, b"{}")
                assert answer.status in {401, 403}, (service, method, target, odd)
                assert key.encode() not in answer.body
            twice = [agent, ("Authorization", f"{scheme} {other}"), ("Authorization", f"{scheme} {key}")]
            assert wire.send(base, method, target, twice, b"{}").status in {401, 403}
            right = wire.send(base, method, target, [agent, ("Authorization", f"{scheme} {key}")], b"{}")
            assert right.status not in {401, 403}, (service, method, target)
    journal = (azure.outside.alma_folder / "journal.jsonl").read_text()
    assert all(secret not in journal for secret in (given["alma-key"], given["mail-key"], token))


def test_the_inbox_is_found_by_its_secret_alone(azure: Azure, wire: Wire) -> None:
    page = Path(url2pathname(urlsplit(azure.local.cloud.endpoints["inbox"]).path))
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    (shown,) = re.findall(r'href="(http[^"]+)/"', page.read_text())
    base, _, secret = shown.rpartition("/")
    assert len(secret) >= 20
    assert wire.send(base, "GET", f"/{secret}/", []).status == 200
    for wrong in (
        "/",
        f"/{secret[:-1]}/",
        f"/{secret}x/",
        "//",
        "/messages.json",
        f"/{secret[:-1]}/messages.json",
        "/%2e%2e/",
    ):
        answer = wire.send(base, "GET", wrong, [])
        assert answer.status == 404, wrong
        assert secret.encode() not in answer.body
    for folder in (azure.outside.alma_folder.parent, azure.outside.mail_folder.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in folder.glob("*.key"))


@pytest.fixture(scope="module")
def loop() -> Iterator[LoopThread]:
    """A supervisor's, in a thread."""
    made = LoopThread("supervisor")
    yield made
    made.close()


@pytest.fixture(scope="module")
def supervisor(loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """A whole one."""
    tenancy = Tenancy(subscription_id=SUBSCRIPTION, tenant_id=TENANT, aws_account=AWS_ACCOUNT, aws_region=REGION)

    async def start() -> Supervisor:
        made = Supervisor(tmp_path_factory.mktemp("stack"), tenancy)
        await made.start()
        return made

    running = loop.run(start())
    yield running
    loop.run(running.stop())


def test_every_call_of_the_supervisor_wants_its_secret(supervisor: Supervisor, wire: Wire) -> None:
    found = address.read(supervisor.home)
    assert found is not None
    assert stat.S_IMODE((supervisor.home / address.FILE).stat().st_mode) == 0o600
    base = f"http://127.0.0.1:{found.port}"
    targets = [(route.method, re.sub(r"\{\w+\}", "invoke", route.path)) for route in supervisor.routes()]
    assert ("POST", "/stop") in targets
    for method, target in [*targets, ("GET", "/"), ("POST", "/nothing")]:
        for odd in [*ODD, f"Bearer {found.secret[:-1]}", f"Bearer {found.secret}x", f"Basic {found.secret}"]:
            answer = wire.send(base, method, target, [("Authorization", odd)] if odd else [], b"{}")
            assert answer.status == 401, (method, target, odd)
            assert found.secret.encode() not in answer.body
    right = [("Authorization", f"Bearer {found.secret}")]
    assert wire.send(base, "GET", "/status", right).status == 200
    assert wire.send(base, "GET", "/access", right).json["identity_header"] == supervisor.deployer_header
    assert not supervisor.stopping.is_set()


def test_metrics_want_their_token(supervisor: Supervisor, loop: LoopThread, wire: Wire) -> None:
    cloud, base = supervisor.cloud, supervisor.cloud.endpoints["metrics"].removesuffix("/metrics")
    file = supervisor.home / "metrics.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for odd in [*ODD, f"Bearer {file.read_text()[:-1]}", f"Basic {file.read_text()}"]:
        answer = wire.send(base, "GET", "/metrics", [("Authorization", odd)] if odd else [])
        assert (answer.status, file.read_bytes() in answer.body) == (401, False)
    loop.run(cloud.buses.put("bus-seen", "/x"))
    loop.run(cloud.buses.put_queue("bus-seen", "jobs", {}))
    page = wire.send(base, "GET", "/metrics", [("Authorization", f"Bearer {file.read_text()}")])
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/plain")
    assert b'servicebus_messages_active{namespace="bus-seen",entity="jobs"} 0' in page.body.splitlines()


def test_a_vault_has_the_outside_keys_and_a_person_s_stay(supervisor: Supervisor, loop: LoopThread) -> None:
    vault = supervisor.cloud.vault

    async def made(own: str = "") -> dict[str, str | None]:
        if own:
            vault.set_secret("kv-own", "alma-key", own)
        await vault.put_vault("/x", "kv-own")
        return {name: vault.get_secret("kv-own", name) for name in vault.given}

    def run(own: str = "") -> dict[str, str | None]:
        return loop.run(made(own))

    assert run() == vault.given
    assert set(vault.given) == {"alma-key", "mail-key"}
    assert run("a person's")["alma-key"] == "a person's"


def test_settings_of_the_outside_services(supervisor: Supervisor, wire: Wire) -> None:
    found = address.read(supervisor.home)
    assert found is not None
    base, right = f"http://127.0.0.1:{found.port}", [("Authorization", f"Bearer {found.secret}")]
    assert wire.send(base, "GET", "/outside/alma/settings", right).json["per_second"] == 25
    assert wire.send(base, "PUT", "/outside/alma/settings", right, b'{"per_second": 7}').json["per_second"] == 7
    assert wire.send(base, "GET", "/outside/alma/settings", right).json["per_second"] == 7
    wrong = wire.send(base, "PUT", "/outside/mail/settings", right, b'{"per_secnd": 7}')
    assert (wrong.status, "per_secnd" in wrong.json["refused"]) == (409, True)
    access = wire.send(base, "GET", "/access", right).json
    assert access["alma"] == supervisor.cloud.endpoints["alma"]
    assert access["mail"] == supervisor.cloud.endpoints["mail"]


def test_faults_reach_the_outside_services(supervisor: Supervisor, wire: Wire) -> None:
    """As a campaign puts them: through the supervisor, by service and operation."""
    found = address.read(supervisor.home)
    assert found is not None
    base, right = f"http://127.0.0.1:{found.port}", [("Authorization", f"Bearer {found.secret}")]
    faults = [{"kind": "refuse", "service": service, "operation": operation, "every": 1, "status": 503}
              for service, operation in (("alma", "GetUser"), ("mail", "GetEmail"))]  # fmt: skip
    turn = json.dumps({"schedule": {"name": "test", "faults": faults}}).encode()
    assert wire.send(base, "PUT", "/faults", right, turn).status == 200
    given, endpoints = supervisor.cloud.vault.given, supervisor.cloud.endpoints
    http = Http(ca_file=endpoints["ca_file"])
    try:
        for service, scheme, target in (
            ("alma", "apikey", "/almaws/v1/users/reader-000"),
            ("mail", "Bearer", "/emails/x"),
        ):
            headers = {"Authorization": f"{scheme} {given[f'{service}-key']}"}
            assert http.once("GET", endpoints[service] + target, headers=headers, most=10_000).status == 503
    finally:
        report = wire.send(base, "DELETE", "/faults", right).json
    assert [one["operation"] for one in report["fired"]] == ["GetUser", "GetEmail"]


def test_routes_are_what_the_test_saw(supervisor: Supervisor) -> None:
    """A route that is mounted past the list would not be tested above."""
    runner = supervisor._runner
    assert runner is not None
    app = runner.app
    assert isinstance(app, web.Application)
    mounted = {resource.canonical for resource in app.router.resources()}
    assert mounted == {route.path for route in supervisor.routes()}
