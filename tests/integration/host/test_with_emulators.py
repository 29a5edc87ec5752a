"""A queue trigger against Azurite behind the door: TLS, the identity's token, its role on that one queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from localcloud.emulators.cloud import LocalCloud
from localcloud.host.functions import FunctionsHost
from localcloud.host.queue_access import TokenQueueAccess
from localcloud.host.spec import AppSpec, LogLine
from tests.integration.host.waiting import until

ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/words"
CONTRIBUTOR = "974c5e8b-45b9-4653-ba55-5f855dd0fb88"
PRINCIPAL, CLIENT = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


async def test_messages_arrive_once_the_identity_has_its_role(spec: Callable[..., AppSpec], tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "cloud", tenant_id="t", subscription_id="s", aws_account="123456789012")
    await cloud.start()
    try:
        cloud.identity.put(PRINCIPAL, CLIENT, "reader")
        await cloud.storage.put_account(ACCOUNT, "words")
        for queue in ("words", "words-poison"):
            await cloud.storage.put_queue(f"{ACCOUNT}/queueServices/default/queues/{queue}", "words", queue)
        address = f"{cloud.endpoints['queue']}/words"
        await run(cloud, spec("reader", {"WORDS__queueServiceUri": address, "WORDS__clientId": CLIENT}), address)
    finally:
        await cloud.stop()


def issue(cloud: LocalCloud, client_id: str | None, audience: str) -> str:
    who = cloud.identity.of_client(client_id or "")
    assert who is not None
    return cloud.identity.token(who.principal_id, audience)


async def run(cloud: LocalCloud, made: AppSpec, address: str) -> None:
    access = TokenQueueAccess(
        lambda who, audience: issue(cloud, who, audience), ca_file=cloud.endpoints["ca_file"],
        servers=cloud.door.server_at,
    )  # fmt: skip
    lines: list[LogLine] = []
    host = FunctionsHost(made, on_line=lines.append, queue_access=access)
    await host.start()
    try:
        await until(lambda: any("words: cannot be read" in line.text for line in lines))
        cloud.access.assign("one", PRINCIPAL, CONTRIBUTOR, ACCOUNT)
        async with access.client(address, "words", CLIENT) as sender:
            for body in ("good", "bad", "grüße"):
                await sender.send_message(body)
        await until(lambda: host.status().functions[0].runs == 7)  # the bad one has five tries
        await until(lambda: host.in_flight == 0)
        depths = {depth.name: depth.active for depth in await cloud.storage.depths()}
    finally:
        await host.stop()
    assert depths == {"words/words": 0, "words/words-poison": 1}
    bodies = [line.fields["body"] for line in lines if line.fields and line.event == "message"]
    assert sorted(bodies) == ["bad"] * 5 + ["good", "grüße"]
