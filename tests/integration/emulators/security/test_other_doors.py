"""Doors whose callers bring no Entra token: identity endpoint, legacy collector, the supervisor's own API."""

import asyncio
import base64
import hashlib
import hmac
import re
import stat
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from aiohttp import web

from localcloud.control import address
from localcloud.control.kinds import Tenancy
from localcloud.supervisor.process import Supervisor
from tests.integration.emulators.local import AWS_ACCOUNT, REGION, SUBSCRIPTION, TENANT, Local, client_of
from tests.integration.emulators.security.azure import WORKSPACE, Azure
from tests.integration.emulators.security.wire import Wire

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


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """A whole one, its loop in a thread."""
    tenancy = Tenancy(subscription_id=SUBSCRIPTION, tenant_id=TENANT, aws_account=AWS_ACCOUNT, aws_region=REGION)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> Supervisor:
        made = Supervisor(tmp_path_factory.mktemp("stack"), tenancy)
        await made.start()
        return made

    running = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    yield running
    asyncio.run_coroutine_threadsafe(running.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


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


def test_routes_are_what_the_test_saw(supervisor: Supervisor) -> None:
    """A route that is mounted past the list would not be tested above."""
    runner = supervisor._runner
    assert runner is not None
    app = runner.app
    assert isinstance(app, web.Application)
    mounted = {resource.canonical for resource in app.router.resources()}
    assert mounted == {route.path for route in supervisor.routes()}
